"""Every code block of README.md is executed as it stands; the generated tables are in step.

Run as a script (`make generate`), this file rewrites the generated tables.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from anogan.cli.main import cli
from anogan.engine.settings import TrainerSettings
from benchmarks.command import main as benchmarks

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GENERATED = {"detectors": (cli, "list --markdown"), "figures": (benchmarks, "report --summary")}
"""Generated part -> the command that writes it."""
CODE_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Return the language and the text of each fenced block, in order."""
    return CODE_BLOCK.findall(README.read_text(encoding="utf-8"))


def environment() -> dict[str, str]:
    """Return the environment in which `anogan` and `python` are those of this interpreter."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(line: str, folder: Path) -> str:
    """Run one line of shell in `folder` and return what it printed; fail with its own words."""
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_here(command: click.Command, arguments: str) -> str:
    """Run a command in this process, since starting another one takes seconds, and return what it printed."""
    done = CliRunner().invoke(command, shlex.split(arguments))
    assert done.exit_code == 0, f"{arguments}\n{done.output}\n{done.exception!r}"
    return done.stdout


def marks(name: str) -> tuple[str, str]:
    """Return what stands before and after a generated part."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


@pytest.mark.timeout(600)
def test_the_code_blocks_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who pastes the blocks one after the other gets what they promise; all fits are short."""
    monkeypatch.chdir(tmp_path)
    short = lambda steps, *others: TrainerSettings(min(steps, 50), *others)  # noqa: E731
    monkeypatch.setattr("anogan.detectors.fitting.TrainerSettings", short)
    namespace: dict[str, object] = {"__name__": "readme"}
    started = False
    for language, text in blocks():
        if language == "python":
            exec(compile(text, README.name, "exec"), namespace)
            continue
        assert language == "bash", f"a block in '{language}' is not executed by this test"
        for line in text.splitlines():
            command = line.partition(" #")[0].strip()
            plain = command.startswith("anogan ") and not set(command) & set("|<>;&$*")
            if command.startswith("make "):
                run(f"{command} --dry-run", ROOT)  # really run by a person and by CI
            elif plain and (started or command.startswith("anogan fit ")):
                run_here(cli, command.removeprefix("anogan "))
            elif command:
                run(command, tmp_path)
                started = True


def test_the_readme_shows_both_languages() -> None:
    assert {"python", "bash"} == {language for language, _ in blocks()}


@pytest.mark.parametrize("name", GENERATED)
def test_generated_parts_are_in_step(name: str) -> None:
    """The table of detectors with the code, the figures with the records."""
    begin, end = marks(name)
    between = README.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0].strip()
    assert between == run_here(*GENERATED[name]).strip(), f"README.md shows old {name}: run `make generate`"


def test_links_within_the_repository_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", README.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (ROOT / target).exists()]


if __name__ == "__main__":
    for name, (command, arguments) in GENERATED.items():
        begin, end = marks(name)
        head, _, rest = README.read_text(encoding="utf-8").partition(begin)
        whole = f"{head}{begin}\n{run_here(command, arguments).strip()}\n{end}{rest.partition(end)[2]}"
        README.write_text(whole, encoding="utf-8")
