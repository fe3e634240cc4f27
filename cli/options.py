"""Options of the commands: shared options, and options generated from the parameters of the detectors."""

import difflib
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

import anogan
from anogan import InputError

from .config import ConfiguredCommand

_F = TypeVar("_F", bound=Callable[..., Any])

model_option = click.option(
    "-m", "--model", "model_path", required=True, metavar="MODEL", help="Model file made by `anogan fit`."
)
new_model_option = click.option(
    "-m", "--model", "model_path", required=True, metavar="MODEL", help="The model file to write."
)


class Data(tuple[str, ...]):
    """What DATA names: a file, a folder, several files, a pattern such as ``jan*.csv``, or - for standard input."""

    def __str__(self) -> str:
        return " ".join(self)


data_argument = click.argument("data", nargs=-1, required=True, callback=lambda *given: Data(given[2]))
label_option = click.option(
    "--label",
    metavar="COLUMN",
    help="The column with the labels, or y for a .npz file. The labels of pictures are the names of their folders.",
)
normal_option = click.option(
    "--normal",
    metavar="VALUE",
    help="The label of normal rows, or the name of the folders of normal pictures; all others are anomalous.  "
    "[default: 0, false, or a folder's name such as good or OK]",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object instead of text, also for an error."
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress and no summary.")
drop_option = click.option(
    "--drop", multiple=True, metavar="COLUMN", help="Ignore this column; may be given several times."
)
keep_option = click.option(
    "--keep", multiple=True, metavar="COLUMN", help="Copy this column to the output; may be given several times."
)
picture_error_option = click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="What to do with a picture that cannot be read: stop, or skip and list it.",
)
on_error_option = click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    help="What to do with a row that cannot be scored or a picture that cannot be read: stop, or skip it and say so.  "
    "[default: skip rows, stop at pictures]",
)
on_gap_option = click.option(
    "--on-gap",
    type=click.Choice(["score", "skip"]),
    default="score",
    show_default=True,
    help="What to do with a row with a missing value in a column that had none in training: score it, as evidence like "
    "an unseen category, or treat it as one that cannot be scored.",
)
chunk_rows_option = click.option(
    "--chunk-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="Rows or pictures held in memory at a time.  [default: 32768 rows, 64 pictures]",
)
strict_option = click.option(
    "--strict",
    is_flag=True,
    help="Stop with an error at a value that was not in the training data: an unknown category, or a missing value in "
    "a column that had none. Without this option such rows are scored and a warning is printed, because an unseen "
    "value may itself be an anomaly.",
)


_dialect_options = (
    click.option(
        "--sep", metavar="CHARACTER", help="Separator of the columns of a CSV file, or tab.  [default: detected]"
    ),
    click.option("--decimal", metavar=".|,", help="Decimal sign of the numbers in a CSV file.  [default: detected]"),
    click.option("--thousands", metavar="CHARACTER", help="Sign between thousands in a CSV file.  [default: detected]"),
    click.option(
        "--na-values",
        multiple=True,
        metavar="TEXT",
        help="A text that means a missing value in a CSV file, beside the usual ones; may be given several times.",
    ),
    click.option("--encoding", metavar="NAME", help="Encoding of a CSV file, such as cp1252.  [default: detected]"),
    click.option(
        "--no-header",
        is_flag=True,
        help="The first row of a CSV file is data. Its columns are column_0, column_1 and so on.",
    ),
)


def dialect_options(command: _F) -> _F:
    """Add the options that say how CSV files are written; the command gets them as `dialect`, None without any."""

    @functools.wraps(command)
    def with_dialect(
        *args: Any, sep: Any, decimal: Any, thousands: Any, na_values: Any, encoding: Any, no_header: bool, **given: Any
    ) -> Any:
        dialect = anogan.CSVDialect(sep, decimal, thousands, na_values, encoding, not no_header)
        return command(*args, dialect=None if dialect == anogan.CSVDialect() else dialect, **given)

    for option in reversed(_dialect_options):
        option(with_dialect)
    return with_dialect  # type: ignore[return-value]


ROLES = {
    "category": "Learn each value of this column, such as a postcode, whose zeros are kept. This and the "
    "six options below may be given several times.",
    "number": "Learn this column as a number.",
    "date": "Learn the periods of this date: time of day, weekday and season. FORMAT is as in strptime: %d.%m.%Y.",
    "trend": "Learn the time itself of this date too.",
    "id": "Do not learn this column, which identifies the row.",
    "drop": "Do not learn this column.",
    "only": "Learn only columns that are named so or have another role.",
}
"""Option that says how a column is read -> its help."""


def role_options(command: _F) -> _F:
    """Add the options that say how columns are read; `roles` makes the detector's `columns` of them."""
    for role, text in reversed(ROLES.items()):
        metavar = "COLUMN[:FORMAT]" if role in ("date", "trend") else "COLUMN"
        command = click.option(f"--{role}", multiple=True, metavar=metavar, help=text)(command)
    return command


def roles(names: Sequence[str], given: Mapping[str, Sequence[str]], label: str | None = None) -> dict[str, str]:
    """Return the roles of columns from the values of `role_options`; the label is not learned.

    Raises
    ------
    InputError
        If there is no such column, or it has two roles.
    """
    found: dict[str, str] = {} if label is None else {label: "drop"}
    for role, columns in given.items():
        for text in columns:
            name, _, form = (text, "", "") if text in names or role not in ("date", "trend") else text.partition(":")
            if name not in names:
                raise InputError(f"--{role} {text}: there is no such column.{anogan.labels.closest(name, names)}")
            if role == "only":
                continue
            if name in found:
                other = "--label" if name == label else f"--{found[name].partition(':')[0]}"
                raise InputError(f"--{role} {text}: the column has another role by {other}; give it one.")
            found[name] = f"{role}:{form}" if form else role
    if only := given["only"]:
        found |= {name: "drop" for name in names if name not in only and name not in found}
    return found


def stream_options(command: _F) -> _F:
    """Add the options that are common to commands that stream data through a model.

    Except for ``--json`` and ``--quiet`` the command gets them as the parameters of `anogan.Stream`.
    """
    command = dialect_options(command)
    for option in (
        quiet_option, json_option, chunk_rows_option, on_gap_option, on_error_option, strict_option, drop_option,
    ):  # fmt: skip
        command = option(command)
    return command


def engine_option(what: str) -> Callable[[_F], _F]:
    """Return the option that names a cluster; the command gets an engine, or None for this machine."""

    def engine(ctx: click.Context, param: click.Parameter, value: str) -> Any:
        del ctx, param
        if value == "local":
            return None
        return anogan.SparkEngine() if value == "spark" else anogan.RayEngine()

    return click.option(
        "--engine",
        type=click.Choice(["local", "spark", "ray"]),
        default="local",
        show_default=True,
        callback=engine,
        help=f"{what}: on this machine, or on the cluster that Spark or Ray is set up to use, whose nodes must all be "
        "able to read DATA. The result is the same.",
    )


def complete_detectors(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a detector, or the last one of several between commas."""
    del ctx
    before, comma, start = incomplete.rpartition(",")
    names = [*anogan.detector_names(), *(anogan.baselines.BASELINES if param.name == "detectors" else ())]
    return [CompletionItem(before + comma + name) for name in names if name.startswith(start)]


def flag_name(parameter: str) -> str:
    """Return the flag of a parameter: ``latent_dim`` -> ``--latent-dim``."""
    return "--" + parameter.replace("_", "-")


def examples(*lines: str) -> str:
    """Return the examples at the end of a command's help."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def owners(detector: str | None = None) -> dict[str, dict[str, Any]]:
    """Return parameter name -> detector name -> declaration, with a plug-in only if it is `detector`."""
    descriptions = dict(anogan.describe_detectors(plug_ins=False))
    if detector is not None:
        descriptions[detector] = anogan.describe_detector(detector)
    found: dict[str, dict[str, Any]] = {}
    for name, description in descriptions.items():
        for parameter in description.parameters.values():
            if parameter.constraint.kind is dict:  # roles of columns have options of their own
                continue
            found.setdefault(parameter.name, {})[name] = parameter
    return found


class ParameterOption(click.Option):
    """An option for a parameter of one or more detectors; its value is text or bool, or None if not given."""

    def __init__(self, name: str, by_detector: dict[str, Any]) -> None:
        self.by_detector = by_detector
        constraint = next(iter(by_detector.values())).constraint
        flag, metavar = flag_name(name), None
        if all(parameter.constraint.kind is bool for parameter in by_detector.values()):
            flag = f"{flag}/--no-{flag[2:]}"
        else:
            words = [*(constraint.choices or ()), *(["none"] if constraint.optional else [])]
            kinds = {int: ["INTEGER"], float: ["FLOAT"]}.get(constraint.kind, [] if constraint.choices else ["TEXT"])
            metavar = "|".join([*kinds, *words])
        flags = ["--seed", flag] if name == "random_state" else [flag]
        super().__init__([*flags, name], default=None, metavar=metavar, help=_help([*by_detector.values()]))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the words among the values."""
        constraint = next(iter(self.by_detector.values())).constraint
        return [CompletionItem(word) for word in constraint.choices or () if word.startswith(incomplete)]

    def of(self, detector: str) -> click.Option:
        """Return the option with the help and default of one detector."""
        return ParameterOption(str(self.name), {detector: self.by_detector[detector]})


def _help(parameters: list[Any]) -> str:
    """Return the help, range and default that most detectors have."""
    texts = [parameter.help for parameter in parameters]
    defaults = [parameter.default for parameter in parameters]
    default = max(defaults, key=defaults.count)
    others = "" if defaults.count(default) == len(defaults) else "; differs for some detectors"
    facts = [parameters[0].constraint.bounds, f"default: {_text(default)}{others}"]
    return f"{max(texts, key=texts.count)}  [{'; '.join(fact for fact in facts if fact)}]"


def _text(value: object) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


class DetectorCommand(ConfiguredCommand):
    """A command with --detector and an option for each parameter that a detector has.

    The help shows the options of the named detector, or without --detector those that all detectors have.
    """

    def prepare(self, ctx: click.Context, args: list[str], given: dict[str, Any]) -> None:
        """Note the named detector, which decides which options there are."""
        ctx.meta[__name__] = self.value_of("--detector", args) or given.get("detector")

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        options = [ParameterOption(*item) for item in owners(ctx.meta.get(__name__)).items()]
        return [*super().get_params(ctx), *options]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        named = ctx.meta.get(__name__)
        everyone = anogan.describe_detectors(plug_ins=False).keys()
        own, common = f"Parameters of {named}", "Parameters of every detector"
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], own: [], common: []}
        for parameter in self.get_params(ctx):
            title = "Options"
            if isinstance(parameter, ParameterOption):
                title = common if everyone <= parameter.by_detector.keys() else own
                if named in parameter.by_detector:
                    parameter = parameter.of(named)
                elif title == own:
                    continue
            record = parameter.get_help_record(ctx)
            if record is not None and not isinstance(parameter, click.Argument):
                sections[title].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
        if named is None:
            formatter.write_paragraph()
            formatter.write_text(
                f"Each detector has further parameters; {ctx.command_path} --detector NAME --help shows them."
            )


def chosen_parameters(cls: type[Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the constructor arguments for the options that were given.

    Parameters
    ----------
    cls : Detector class
    given : dict
        Parameter name -> text, bool, or None where the option was not given.

    Raises
    ------
    InputError
        If the detector has no such parameter (the error names similar ones) or a value violates its constraint.
    """
    declared = cls.parameters()
    chosen = {}
    for name, value in given.items():
        if value is None:
            continue
        if name not in declared:
            close = [flag_name(n) for n in difflib.get_close_matches(name, declared, n=3)]
            hint = f" It has {', '.join(close)}." if close else ""
            having = ", ".join(sorted(owners(cls.name)[name]))
            raise InputError(f"Detector '{cls.name}' has no option {flag_name(name)} ({having} has).{hint}")
        chosen[name] = value if isinstance(value, bool) else parse(flag_name(name), value, declared[name].constraint)
    return chosen


def parse(flag: str, text: str, constraint: Any) -> Any:
    """Parse the text of an option under a parameter's constraint.

    Raises
    ------
    InputError
        If the text is not a valid value; the error says what is needed.
    """
    if constraint.optional and text.lower() == "none":
        return None
    if constraint.choices is not None and text in constraint.choices:
        return text
    if constraint.kind is str and constraint.choices is None:
        return text
    if constraint.kind in (int, float):
        try:
            value = constraint.kind(text)
        except ValueError:
            value = math.nan
        low = -math.inf if constraint.low is None else constraint.low
        high = math.inf if constraint.high is None else constraint.high
        above = value > low if constraint.open_low else value >= low
        below = value < high if constraint.open_high else value <= high
        if above and below:
            return value
    kind = {int: ["an integer"], float: ["a number"]}.get(constraint.kind, [])
    words = [f"'{w}'" for w in (*(constraint.choices or ()), *(("none",) if constraint.optional else ()))]
    needed = " or ".join([*(f"{k} {constraint.bounds}".rstrip() for k in kind), *words])
    close = difflib.get_close_matches(text, constraint.choices or (), n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise InputError(f"{flag} must be {needed}; got '{text}'.{hint}")
