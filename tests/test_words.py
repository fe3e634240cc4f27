"""No private word or old name that CONTRIBUTING.md's table replaced comes back.

Words that also have an ordinary sense, such as look, play, pool or tell, are left to reviewers.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUFFIXES = {".py", ".pyi", ".md", ".html", ".js", ".css", ".toml", ".json", ".cff", ".yml", ".yaml"}
EXEMPT = {"CONTRIBUTING.md", "tests/test_words.py"}  # they name the words
RECORDED = "benchmarks/results/"

NAMES = (
    "X_other", "takes_pool", "NeighbourBank", "_look", "_see", "_Probe", "_story", "_Told", "_Witnesses", "_Least",
)  # fmt: skip
WORDS = (
    "fence", "disbelief", "foretell", "foretells", "foretold", "troubles", "haste", "spoil", "spoils", "spoilt",
    "vouch", "vouches", "anew", "begun",
)  # fmt: skip
RETIRED = re.compile(rf"\b(?:{'|'.join(NAMES)})\b|(?i:(?<![a-z])(?:{'|'.join(WORDS)})(?![a-z]))")


def retired_words(text: str) -> list[str]:
    """Return the retired words in a text, with the numbers of their lines."""
    lines = text.splitlines()
    return [f"{number}: {found[0]}" for number, line in enumerate(lines, 1) for found in RETIRED.finditer(line)]


def own_files() -> list[Path]:
    """Return the text files of the repository, without environments, caches and other hidden folders."""
    folders = [ROOT / name for name in ("anogan", "cli", "benchmarks", "tests")]
    paths = [*ROOT.iterdir(), *(path for folder in folders for path in folder.rglob("*"))]
    return sorted(path for path in paths if path.suffix in SUFFIXES and path.is_file())


def test_no_retired_word_is_in_the_repository():
    names = {path.relative_to(ROOT).as_posix(): path for path in own_files()}
    checked = [name for name in names if name not in EXEMPT and not name.startswith(RECORDED)]
    assert len(checked) > 100
    found = {name: retired_words(names[name].read_text(encoding="utf-8")) for name in checked}
    assert not any(found.values()), {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize("line", ["fit(X, X_other=Y)", "self._look()", "Fitted anew.", "def spoil_rows(x):", "_see(1)"])
def test_a_retired_word_is_found(line):
    assert retired_words(f"first\n{line}")


@pytest.mark.parametrize("line", ["look at it", "_seed", "_lookup", "a beginning", "unspoilt", "renewal"])
def test_another_word_is_not_found(line):
    assert not retired_words(line)
