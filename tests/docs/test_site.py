"""The built site: links, alternative texts, spelling, and pages in a browser. Run by `make test-docs`."""

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "_build" / "html"
OPENED = (
    "index.html",
    "guides/tables.html",
    "guides/defects.html",
    "generated/detectors/denoising_gan.html",
    "generated/benchmarks/index.html",
)
WORDS = "anormal,differnet,fpr,zar"

pytestmark = [
    pytest.mark.docs,
    pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="the site is not built; run `make docs`"),
]


class Page(HTMLParser):
    """The links, the anchors and the images of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.without_text: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if values.get("id"):
            self.anchors.add(values["id"])
        for name in ("href", "src"):
            if values.get(name):
                self.links.add(values[name])
        source = values.get("src") or ""
        titled = "_thumb." in source or not source  # beside a title that says the same, or drawn by a script
        if tag == "img" and not (values.get("alt") or "").strip() and not titled:
            self.without_text.append(source)


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(SITE.rglob("*.html")) if "_static" not in path.parts}


def test_every_internal_link_and_anchor_exists(pages):
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment) if target in pages else ""
            if not target.exists() or (anchor and anchor not in pages[target].anchors):
                dead.append((path.relative_to(SITE).as_posix(), link))
    assert not dead, dead[:20]


def test_nothing_is_loaded_from_another_host(pages):
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert 'src="http' not in text, path
        assert '<link rel="stylesheet" href="http' not in text, path
    assert len(pages) > 50


def test_every_image_has_an_alternative_text(pages):
    assert not {path.name: page.without_text for path, page in pages.items() if page.without_text}


def test_spelling():
    sources = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "anogan", "cli", "benchmarks/README.md"]
    skipped = "*.json,*.jsonl,*.svg,*.css,*.js,docs/_build,docs/generated"
    command = [sys.executable, "-m", "codespell_lib", "--skip", skipped, "--ignore-words-list", WORDS, *sources]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def address():
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=SITE)
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    chromium = next(found, None)
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", OPENED)
def test_a_page_opens_without_errors_and_without_other_hosts(browser, address, name, width, theme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    errors, elsewhere = [], []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: elsewhere.append(request.url))
    page.goto(f"{address}/{name}")
    assert not errors
    assert not [url for url in elsewhere if not url.startswith((address, "data:", "blob:"))]
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"{name} is {overflow} pixels too wide at {width}"
    page.close()


def test_a_table_of_the_benchmark_sorts_by_a_click(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/generated/benchmarks/index.html")
    table = page.locator("table").first
    heading = table.locator("th", has_text="fit, s")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    values = [float(text) for text in table.locator("tbody tr td:last-child").all_inner_texts() if text.strip()]
    assert values == sorted(values, reverse=True)
    page.close()
