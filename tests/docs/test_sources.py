"""The sources of the site are whole; `make docs` builds them, and `make test-docs` looks at the result."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if not {"generated", "_build"} & set(p.relative_to(DOCS).parts))
EXAMPLES = sorted((DOCS / "gallery").glob("plot_*.py"))
BLOCKS = re.compile(r"^(?P<marks>`{3,}|:{3,})(?P<what>.*?)\n(?P<body>.*?)^(?P=marks)$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the kind and the content of each block in backticks or colons of a page."""
    return [(found["what"].strip(), found["body"]) for found in BLOCKS.finditer(page.read_text(encoding="utf-8"))]


def targets(page: Path) -> list[str]:
    """Return the pages that a page's toctrees lead to, relative to the folder of the sources."""
    found = []
    for what, body in blocks(page):
        if what == "{toctree}":
            lines = [line.strip() for line in body.splitlines() if line.strip() and not line.startswith(":")]
            entries = [re.sub(r".*<(.*)>", r"\1", line) for line in lines]
            found += [(page.parent / entry).relative_to(DOCS).as_posix() for entry in entries]
    return found


def test_every_page_is_in_a_table_of_contents():
    reached = {target for page in PAGES for target in targets(page)}
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES}
    assert pages - reached == {"index"}
    assert {target for target in reached if not target.startswith("generated/")} <= pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_block_of_code_is_executed_when_the_site_is_built(page):
    """What is only shown cannot be known to run; commands of `make` are run by CI."""
    kinds = {"{toctree}", "{image}", "{include}", "{eval-rst}", "{code-cell}", "{grid}", "{grid-item-card}"}
    for what, body in blocks(page):
        if what == "{code-block} shell":
            assert re.findall(r"^make \w+", body, re.MULTILINE), page
        else:
            assert what.split(" ")[0] in kinds, f"{page}: a block in '{what}' is not executed"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_images_have_alternative_texts_and_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"!\[\]", text)
    assert all(":alt:" in body for what, body in blocks(page) if what.startswith("{image}"))
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    for link in links:
        target = (page.parent / link).resolve()
        if not link.startswith("http") and "generated" not in target.relative_to(DOCS).parts:
            assert target.exists(), f"{page} links to {link}"


def test_links_to_examples_lead_to_examples():
    named = {
        name for page in PAGES for name in re.findall(r"gallery/(plot_\w+)\.rst", page.read_text(encoding="utf-8"))
    }
    assert named <= {path.stem for path in EXAMPLES}


def test_there_are_examples_with_a_title_and_a_text():
    assert len(EXAMPLES) >= 12
    for path in EXAMPLES:
        assert re.match(r'"""\n(.+)\n=+\n\n\S', path.read_text(encoding="utf-8")), path
