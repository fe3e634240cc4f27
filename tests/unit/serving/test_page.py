"""The service's page, in a browser."""

import shutil

import pytest

from .conftest import served, table

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    page = browser.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
    yield page
    page.close()


def test_a_table_and_pictures_are_scored_in_the_page(page, client, folder, tmp_path):
    new = table(30, seed=3)
    new.loc[4, ["amount", "size"]] = [99999.0, "<img src=x onerror=document.title='run'>"]
    new.to_csv(tmp_path / "new.csv", index=False)
    page.goto(str(client.base_url))
    page.wait_for_selector("#facts:not(:empty)")
    assert "ganomaly, 4 columns" in page.inner_text("#facts")
    page.set_input_files("#files", tmp_path / "new.csv")
    page.wait_for_selector("tr:nth-child(31)")
    first = page.inner_text("tr:nth-child(2)")
    assert first.startswith("4\t")  # the highest score comes first
    assert "anomalous" in first
    assert "onerror" in first
    assert page.title() == "anogan"
    page.select_option("#model", "pictures")
    page.wait_for_selector("#facts:has-text('images of 16')")
    page.set_input_files("#files", [folder / "12.png", folder / "13.png"])
    page.wait_for_selector("tr:nth-child(3) img")
    assert [image.evaluate("image => image.naturalWidth") for image in page.locator("img").all()] == [24, 24]
    assert not page.faults


def test_a_refused_file_is_explained(page, client, tmp_path):
    (tmp_path / "bad.csv").write_text("amount,size\n1,small\n")
    page.goto(str(client.base_url))
    page.wait_for_selector("#facts:not(:empty)")
    page.set_input_files("#files", tmp_path / "bad.csv")
    page.wait_for_selector("#said.wrong")
    assert "lacks column 'count'" in page.inner_text("#said")


def test_the_page_asks_for_the_token(page, folder):
    with served(folder / "rows.anogan", token="known") as client:  # noqa: S106
        page.goto(str(client.base_url))
        page.wait_for_selector("#secret:not([hidden])")
        page.fill("#token", "known")
        page.click("#enter")
        page.wait_for_selector("#facts:not(:empty)")
        assert page.is_hidden("#secret")
