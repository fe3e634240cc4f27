"""Every code block of README.md is executed as it stands; the generated table is in step with the code.

Run as a script (`make readme`), this file rewrites the generated table.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- detectors:begin -->", "<!-- detectors:end -->"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Return the language and the text of each fenced block, in order."""
    return FENCE.findall(README.read_text(encoding="utf-8"))


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


def table() -> str:
    """Return the table of detectors as the command prints it."""
    return run("anogan list --markdown", ROOT).strip()


@pytest.mark.timeout(600)
def test_the_code_blocks_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who pastes the blocks one after the other gets what they promise."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "readme"}
    for language, text in blocks():
        if language == "python":
            exec(compile(text, README.name, "exec"), namespace)
            continue
        assert language == "bash", f"a block in '{language}' is not executed by this test"
        for line in text.splitlines():
            command = line.partition(" #")[0].strip()
            if command.startswith("make "):
                run(f"{command} --dry-run", ROOT)  # really run by a person and by CI
            elif command:
                run(command, tmp_path)


def test_the_readme_shows_both_languages() -> None:
    assert {"python", "bash"} == {language for language, _ in blocks()}


def test_the_table_of_detectors_is_in_step_with_the_code() -> None:
    text = README.read_text(encoding="utf-8")
    between = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert between == table(), "README.md shows an old table of detectors: run `make readme`"


def test_links_within_the_repository_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", README.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (ROOT / target).exists()]


if __name__ == "__main__":
    head, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    README.write_text(f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
