"""Options of the commands: shared ones, and those made from the detectors' declared parameters."""

import difflib
import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

import anogan
from anogan import InputError

DEFAULT_DETECTOR = "denoising_gan"  # the best on the tables it was developed on

_F = TypeVar("_F", bound=Callable[..., Any])

model_option = click.option(
    "-m", "--model", "model_path", required=True, metavar="MODEL", help="Model file made by `anogan fit`."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress and no summary.")
drop_option = click.option(
    "--drop", multiple=True, metavar="COLUMN", help="Leave this column out; may be given several times."
)
on_error_option = click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="What to do about a picture that cannot be read: stop, or skip it and list it.",
)
chunk_rows_option = click.option(
    "--chunk-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="Rows or pictures held in memory at a time.  [default: 32768 rows, 256 pictures]",
)
strict_option = click.option(
    "--strict",
    is_flag=True,
    help="Make a category that was not in the training data an error. Without it such a row is scored and a "
    "warning says so: to a detector an unseen value is evidence, not a mistake.",
)


def stream_options(command: _F) -> _F:
    """The options of the commands that stream data through a model."""
    for option in (quiet_option, json_option, chunk_rows_option, on_error_option, strict_option, drop_option):
        command = option(command)
    return command


def flag_name(parameter: str) -> str:
    """``latent_dim`` -> ``--latent-dim``."""
    return "--" + parameter.replace("_", "-")


def owners() -> dict[str, dict[str, Any]]:
    """Every parameter name -> detector name -> its declaration."""
    found: dict[str, dict[str, Any]] = {}
    for detector, cls in anogan.list_detectors().items():
        for name, parameter in cls.parameters().items():
            found.setdefault(name, {})[detector] = parameter
    return found


def detector_options(command: _F) -> _F:
    """Add an option per parameter that any detector has; values come as text or bool, unset ones as None."""
    for name, by_detector in reversed(owners().items()):
        command = _option(name, by_detector)(command)
    return command


def _option(name: str, by_detector: dict[str, Any]) -> Callable[[_F], _F]:
    parameters = list(by_detector.values())
    constraint = parameters[0].constraint
    flag = flag_name(name)
    if all(p.constraint.kind is bool for p in parameters):
        return click.option(
            f"{flag}/--no-{flag[2:]}",
            name,
            cls=ParameterOption,
            default=None,
            help=_help(by_detector),
            owners=by_detector,
        )
    words = [*(constraint.choices or ()), *(["none"] if constraint.optional else [])]
    kind = {int: ["INTEGER"], float: ["FLOAT"]}.get(constraint.kind, [] if constraint.choices else ["TEXT"])
    metavar = "|".join([*kind, *words])
    return click.option(
        flag,
        name,
        cls=ParameterOption,
        default=None,
        metavar=metavar,
        help=_help(by_detector),
        owners=by_detector,
    )


def _help(by_detector: dict[str, Any]) -> str:
    """The declaration's help, range and default, by detector where they differ, and who has it."""
    parameters = list(by_detector.values())
    common = max((p.default for p in parameters), key=[p.default for p in parameters].count)
    others = {d: p.default for d, p in by_detector.items() if p.default != common}
    default = "; ".join([_text(common), *(f"{d}: {_text(value)}" for d, value in others.items())])
    helps = {d: p.help for d, p in by_detector.items()}
    text = parameters[0].help
    if len(set(helps.values())) > 1:
        text = " ".join(f"{detector}: {line}" for detector, line in helps.items())
    elif len(by_detector) < len(anogan.list_detectors()):
        text += f" Only {', '.join(by_detector)}."
    allowed = _range(parameters[0].constraint)
    return f"{text}  [{allowed + '; ' if allowed else ''}default: {default}]"


def _text(value: object) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _range(constraint: Any) -> str:
    if constraint.kind not in (int, float):
        return ""
    low = "" if constraint.low is None else f"{'above' if constraint.open_low else 'at least'} {constraint.low:g}"
    high = "" if constraint.high is None else f"{'below' if constraint.open_high else 'at most'} {constraint.high:g}"
    return ", ".join(part for part in (low, high) if part)


class ParameterOption(click.Option):
    """An option that stands for a detector's parameter; the help lists them apart."""

    def __init__(self, *args: Any, owners: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owners = owners


class DetectorCommand(click.Command):
    """A command whose help shows the detectors' parameters in sections of their own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        everyone = len(anogan.list_detectors())
        sections: dict[str, list[tuple[str, str]]] = {
            "Options": [],
            "Every detector": [],
            "Some detectors": [],
        }
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None or isinstance(parameter, click.Argument):
                continue
            if not isinstance(parameter, ParameterOption):
                sections["Options"].append(record)
            else:
                sections["Every detector" if len(parameter.owners) == everyone else "Some detectors"].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def chosen_parameters(cls: type[Any], given: dict[str, Any]) -> dict[str, Any]:
    """Constructor arguments from the options that were given.

    Parameters
    ----------
    cls : Detector class
    given : dict
        Parameter name -> text, bool, or None where the option was not given.

    Raises
    ------
    InputError
        If the detector has no such parameter (names close ones) or a value does not fit its declaration.
    """
    declared = cls.parameters()
    chosen = {}
    for name, value in given.items():
        if value is None:
            continue
        if name not in declared:
            close = [flag_name(n) for n in difflib.get_close_matches(name, declared, n=3)]
            hint = f" It has {', '.join(close)}." if close else ""
            having = ", ".join(sorted(owners()[name]))
            raise InputError(f"Detector '{cls.name}' has no option {flag_name(name)} ({having} has).{hint}")
        chosen[name] = value if isinstance(value, bool) else parse(flag_name(name), value, declared[name].constraint)
    return chosen


def parse(flag: str, text: str, constraint: Any) -> Any:
    """The value that `text` stands for under a parameter's constraint.

    Raises
    ------
    InputError
        If it stands for none; says what is needed.
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
    needed = " or ".join([*(f"{k} {_range(constraint)}".rstrip() for k in kind), *words])
    close = difflib.get_close_matches(text, constraint.choices or (), n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise InputError(f"{flag} must be {needed}; got '{text}'.{hint}")
