"""Options of a command from a TOML file."""

import difflib
import tomllib
from typing import Any

import click

from anogan import InputError

config_option = click.option(
    "--config",
    metavar="FILE.toml",
    expose_value=False,
    help="Read options from this file, such as `target-fpr = 0.02` or `keep = ['id', 'day']`; data is DATA. The "
    "command line wins.",
)


class ConfiguredCommand(click.Command):
    """A command with --config, whose file gives the values of options that the command line does not."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        path = self.value_of("--config", args)
        given = {} if path is None else _read(path)
        self.prepare(ctx, args, given)
        if path is not None:
            ctx.default_map = self._defaults(ctx, given, path)
        rest = super().parse_args(ctx, args)
        if path is not None and not (ctx.params.get("quiet") or ctx.params.get("as_json") or ctx.resilient_parsing):
            self._say(ctx, path)
        return rest

    def prepare(self, ctx: click.Context, args: list[str], given: dict[str, Any]) -> None:
        """Do what must precede the parsing of arguments."""

    def value_of(self, flag: str, args: list[str]) -> str | None:
        """Return the value of an option among the arguments, before they are parsed; None if it is not there."""
        finder = click.Command(
            None,
            params=[click.Option([flag, "found"])],
            add_help_option=False,
            context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        )
        value: str | None = finder.make_context(None, list(args), resilient_parsing=True).params["found"]
        return value

    def _defaults(self, ctx: click.Context, given: dict[str, Any], path: str) -> dict[str, Any]:
        """Return the values of parameters by name, as the command line would give them."""
        known = _by_key(self.get_params(ctx))
        defaults: dict[str, Any] = {}
        for key, value in given.items():
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                hint = f" Did you mean '{close[0]}'?" if close else ""
                raise InputError(f"{path}: '{key}' is not an option of this command.{hint}")
            defaults[str(known[key].name)] = _as_given(known[key], key, value, path)
        return defaults

    def _say(self, ctx: click.Context, path: str) -> None:
        source = click.core.ParameterSource.DEFAULT_MAP
        names = {parameter.name: key for key, parameter in _by_key(self.get_params(ctx)).items()}
        used = [f"{key} {ctx.params[name]}" for name, key in names.items() if ctx.get_parameter_source(name) == source]
        click.echo(f"options of {path}: {', '.join(used) or 'none'}", err=True)


def _by_key(parameters: list[click.Parameter]) -> dict[str, click.Parameter]:
    """Return parameters by their key in a file: the long option without dashes, or the name of an argument."""
    found: dict[str, click.Parameter] = {}
    for parameter in parameters:
        options = [option[2:] for option in parameter.opts if option.startswith("--")]
        for key in options if isinstance(parameter, click.Option) else [str(parameter.name)]:
            if key not in ("config", "help"):
                found[key] = parameter
    return found


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a TOML file: {error}.") from None


def _as_given(parameter: click.Parameter, key: str, value: Any, path: str) -> Any:
    """Return a value of the file as words of the command line."""
    if getattr(parameter, "is_flag", False):
        if not isinstance(value, bool):
            raise InputError(f"{path}: {key} must be true or false; got {value!r}.")
        return value
    values = value if isinstance(value, list) and parameter.multiple else [value]
    if any(isinstance(each, bool | list | dict) for each in values):
        needed = "a text, a number or a list of these" if parameter.multiple else "a text or a number"
        raise InputError(f"{path}: {key} must be {needed}; got {value!r}.")
    words = [str(each) for each in values]
    return words if parameter.multiple else words[0]
