"""Each command's help appears at once, ends with examples that are right, and is about the detector that is named."""

import json
import shlex
import subprocess
import sys

import pytest
from click.testing import CliRunner

import anogan
from anogan.cli.main import COMMANDS, cli

HEAVY = ("torch", "sklearn", "pandas")


def help_of(*arguments: str) -> str:
    result = CliRunner().invoke(cli, [*arguments, "--help"])
    assert result.exit_code == 0, result.output
    return result.output


IN_A_FRESH_PROCESS = f"""
import json, sys
from click.testing import CliRunner
from anogan.cli.main import cli
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(cli, words)
    heavy = sorted(set({HEAVY}) & set(sys.modules))
    if heavy or done.exit_code or not done.stdout:
        sys.exit(f"{{words}} imports {{heavy}}, ends with {{done.exit_code}} and prints {{done.output!r}}")
"""


def test_a_help_imports_no_heavy_library() -> None:
    """One process shows them all, one after the other."""
    helps = [[name, "--help"] for name in COMMANDS]
    words = json.dumps([["--help"], *helps, ["fit", "--detector", "alad", "--help"], ["list"]])
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS, words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_ends_with_examples_that_can_be_parsed(name: str) -> None:
    text, _, examples = help_of(name).partition("Examples:")
    assert text
    assert examples
    for line in examples.strip().splitlines():
        program, chosen, *arguments = shlex.split(line)
        assert (program, chosen) == ("anogan", name)
        found = cli.get_command(cli.make_context("anogan", [name]), name)
        assert found is not None
        found.make_context(name, arguments)


@pytest.mark.parametrize("name", anogan.list_detectors())
def test_a_detector_s_help_has_its_own_options_with_its_own_defaults(name: str) -> None:
    text = " ".join(help_of("fit", "--detector", name).split())
    declared = {p: d for p, d in anogan.detector_class(name).parameters().items() if p != "columns"}
    for parameter in declared.values():
        assert f"--{parameter.name.replace('_', '-')} " in text
        assert parameter.help.split()[0] in text
    others = {p for cls in anogan.list_detectors().values() for p in cls.parameters()} - declared.keys() - {"columns"}
    assert not [p for p in others if f"--{p.replace('_', '-')} " in text]


def test_without_a_detector_the_help_has_what_all_have_once() -> None:
    text = help_of("fit").partition("Examples:")[0]
    common = set.intersection(*(set(cls.parameters()) for cls in anogan.list_detectors().values()))
    for parameter in {p for cls in anogan.list_detectors().values() for p in cls.parameters()} - {"columns"}:
        assert text.count(f"--{parameter.replace('_', '-')} ") == (parameter in common)
    assert "--detector NAME --help" in text


def test_the_help_of_an_unknown_detector_suggests_one() -> None:
    result = CliRunner().invoke(cli, ["fit", "--detector", "alda", "--help"])
    assert result.exit_code == 2
    assert "Did you mean 'alad'?" in result.output


def test_the_protocols_of_compare_are_those_of_the_library() -> None:
    found = cli.get_command(cli.make_context("anogan", ["compare"]), "compare")
    assert found is not None
    (option,) = [p for p in found.params if p.name == "protocol_name"]
    assert list(option.type.choices) == list(anogan.protocol.PROTOCOLS)  # type: ignore[attr-defined]
