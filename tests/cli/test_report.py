"""`anogan report`: what the page says, and that it works in a browser."""

import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import anogan

from .conftest import TINY, mixed_table

EVIL = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "=HYPERLINK(1)",
    "{{ 7 * 7 }}",
]
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


def slider_of(page: Path) -> Any:
    """What the page's script is given."""
    return json.loads(re.search(r'id="steps">(.*?)</script>', page.read_text(encoding="utf-8"))[1])


@pytest.fixture(scope="module")
def table_page(run, data, table_model, tmp_path_factory):
    page = tmp_path_factory.mktemp("report") / "table.html"
    run("report", data / "labelled.csv", "-m", table_model, "-o", page, "--label", "kind", "--normal", "fine", "-q")
    return page


@pytest.fixture(scope="module")
def picture_page(run, data, picture_model, tmp_path_factory):
    page = tmp_path_factory.mktemp("report") / "pictures.html"
    run("report", data / "parts", "-m", picture_model, "-o", page, "-q")
    return page


@pytest.fixture(scope="module")
def evil_page(run, tmp_path_factory):
    """Names of columns, values, labels and the file itself are hostile."""
    folder = tmp_path_factory.mktemp("evil")
    table = mixed_table(60).rename(columns=dict(zip(["amount", "items"], EVIL, strict=False)))
    table["shop"] = np.array(EVIL)[np.arange(60) % len(EVIL)]
    table.to_csv(folder / "normal.csv", index=False)
    new = folder / "<b onclick=alert(1)>.csv"
    table.assign(label=[EVIL[i % 2] for i in range(60)]).to_csv(new, index=False)
    run("fit", folder / "normal.csv", "-m", folder / "m.anogan", *TINY)
    run(
        "report", new, "-m", folder / "m.anogan", "-o", folder / "r.html", "--label", "label", "--normal", EVIL[0], "-q"
    )
    return folder / "r.html"


def test_the_slider_counts_what_a_threshold_flags(data, table_model, table_page):
    frame = pd.read_csv(data / "labelled.csv", parse_dates=["day"])
    scores = anogan.load(table_model).anomaly_score(frame.drop(columns="kind"))
    fraud = (frame["kind"] == "fraud").to_numpy()
    slider = slider_of(table_page)
    for step in (0, len(slider["threshold"]) // 2, slider["start"], len(slider["threshold"]) - 1):
        flags = scores > slider["threshold"][step]
        text = {name: values[step] for name, values in slider["text"].items()}
        assert text["flagged"] == str(flags.sum())
        assert (text["hits"], text["alarms"]) == (str((flags & fraud).sum()), str((flags & ~fraud).sum()))
        assert float(text["recall"].split("\N{NO-BREAK SPACE}")[0]) == pytest.approx(
            100 * flags[fraud].mean(), abs=0.06
        )
    assert slider["threshold"][slider["start"]] == anogan.load(table_model).calibration_.threshold


def test_the_page_needs_nothing_but_itself(table_page, picture_page, evil_page):
    for page in (table_page, picture_page, evil_page):
        text = page.read_text(encoding="utf-8")
        assert len(text) < 5e6
        assert "default-src 'none'" in html.unescape(text)
        assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_hostile_names_stay_text(evil_page):
    text = evil_page.read_text(encoding="utf-8")
    for word in ("<img src=x", "<script>alert", "<b onclick", '" onmouseover="'):
        assert word not in text
    assert "{{ 7 * 7 }}" in text  # shown as it is, not evaluated


def test_a_model_without_normal_rows_is_reported_without_reasons(run, data, table_model, tmp_path, monkeypatch):
    def refuse(*_: Any) -> None:
        raise anogan.InputError("The model's file is from before reasons.")

    monkeypatch.setattr(anogan.Detector, "reasons", refuse)
    run("report", data / "new.csv", "-m", table_model, "-o", tmp_path / "r.html", "-q")
    text = html.unescape((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "The model's file is from before reasons." in text


def test_one_kind_of_picture_cannot_be_measured(run, data, picture_model, tmp_path):
    shutil.copytree(data / "parts", tmp_path / "parts")
    shutil.rmtree(tmp_path / "parts" / "test" / "scratch")
    run("report", tmp_path / "parts", "-m", picture_model, "-o", tmp_path / "r.html", "-q")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "nothing is measured: all" in text.lower()
    assert "ROC" not in text


def test_what_is_no_page_is_refused(run, data, table_model, tmp_path):
    refused = run("report", data / "new.csv", "-m", table_model, "-o", tmp_path / "r.pdf", code=2)
    assert "does not end in .html" in refused.stderr
    missing = run("report", data / "labelled.csv", "-m", table_model, "-o", tmp_path / "r.html", code=2)
    assert "kind" in missing.stderr  # a column that the model does not know
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser):
    """Open a page; at the end nothing may have been logged, asked from the network, or popped up."""
    issue: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")

    def go(path: Path) -> Any:
        page = context.new_page()
        page.on("console", lambda message: issue.append(message.text))
        page.on("pageerror", lambda error: issue.append(str(error)))
        page.on("dialog", lambda dialog: (issue.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else issue.append(r.url))
        page.goto(path.as_uri())
        return page

    yield go
    context.close()
    assert issue == []


def test_moving_the_slider_changes_counts_and_flags(opened, table_page):
    page, slider = opened(table_page), slider_of(table_page)
    control = page.locator("#threshold")
    control.focus()
    page.keyboard.press("Home")
    assert page.locator("[data-text=flagged]").inner_text() == "30"
    assert set(page.locator("#top [data-flag]").all_inner_texts()) == {"flagged"}
    page.keyboard.press("ArrowRight")
    assert page.locator("[data-text=threshold]").inner_text() == slider["text"]["threshold"][1]
    page.keyboard.press("End")
    assert page.locator("[data-text=flagged]").inner_text() == "0"
    assert page.locator("[data-text=precision]").inner_text() == "none flagged"
    page.locator("#reset").click()
    assert page.locator("[data-text=flagged]").inner_text() == slider["text"]["flagged"][slider["start"]]


def test_the_table_is_sorted_by_its_headers(opened, table_page):
    page = opened(table_page)

    def cells(column: int) -> list[str]:
        return page.locator(f"#top tbody tr td:nth-child({column})").evaluate_all("c => c.map(x => x.dataset.value)")

    assert [float(v) for v in cells(2)] == sorted(map(float, cells(2)), reverse=True)
    row, label = (page.locator("#top th button", has_text=name) for name in ("Row", "Label"))
    row.click()
    assert cells(1) == [str(n) for n in range(29, -1, -1)]
    row.press("Enter")
    assert cells(1) == [str(n) for n in range(30)]
    label.click()
    assert cells(5) == sorted(cells(5))
    assert page.locator("#top th[aria-sort=ascending]").inner_text().strip().startswith("Label")


def test_pictures_are_enlarged_by_keys(opened, picture_page):
    page = opened(picture_page)
    names = page.locator("#gallery .name").all_inner_texts()
    page.locator("#gallery .enlarge").nth(0).press("Enter")
    assert page.locator("#enlarged-name").inner_text() == names[0]
    page.keyboard.press("ArrowRight")
    assert page.locator("#enlarged-name").inner_text() == names[1]
    assert page.locator("#enlarged-overlay").evaluate("image => image.naturalWidth") > 0
    page.keyboard.press("Escape")
    assert not page.locator("#enlarged").is_visible()
    # The browser closes the dialog first and gives the focus back in a later event.
    page.wait_for_function(
        "label => document.activeElement.getAttribute('aria-label') === label", arg=f"Enlarge {names[1]}"
    )


def test_the_theme_follows_the_system_and_the_button(opened, table_page):
    page = opened(table_page)
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.locator("#theme").click()
    assert page.evaluate(colour) != light
    page.locator("#theme").click()
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colour) == light  # the button outlasts the system's choice


def test_a_phone_needs_no_sideways_scrolling(opened, table_page, picture_page, evil_page):
    for path in (table_page, picture_page, evil_page):
        page = opened(path)
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_hostile_names_run_no_script(opened, evil_page):
    page = opened(evil_page)
    page.locator("#top th button", has_text="Label").click()
    page.mouse.move(300, 300)
    assert page.locator("bdi", has_text=EVIL[0]).count() > 0
    assert page.locator("img[src=x]").count() == 0
