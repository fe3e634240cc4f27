"""Pictures of the README, light and dark: `make pictures`. They come from the demo's pages and from the records.

Usage: python docs/pictures.py DEMO, where DEMO is the folder that `anogan demo` wrote.
"""

import io
import shutil
import sys
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import pages  # noqa: E402

FOLDER = HERE / "_static" / "readme"
THEMES = {"light": ("#1b1f23", "#57606a", "#0069a6", "#c5ccd3"), "dark": ("#e9ecee", "#a3adb7", "#63b8ec", "#4b545e")}
SIZE = (1000, 640)
SHOWN = 9
"""Detectors in the figure of the benchmark."""


def screenshots(demo: Path) -> None:
    """Photograph the report of the table and the maps of the page."""
    chromium = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for theme in THEMES:
            page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme=theme)
            page.goto((demo / "hawks.html").resolve().as_uri())
            page.wait_for_timeout(500)
            save(page.screenshot(), f"report-{theme}")
            page.goto((demo / "index.html").resolve().as_uri())
            page.set_viewport_size({"width": 1200, "height": 700})
            page.locator("ul.gallery li").evaluate_all("items => items.slice(6).forEach(item => item.remove())")
            save(page.locator("ul.gallery").screenshot(), f"maps-{theme}")
        browser.close()


def benchmark() -> None:
    """Draw the mean AUROC on ADBench's tables of the best detectors, and of how many tables each is ahead of kNN."""
    means = pages.means()
    chosen = sorted(means, key=lambda name: -means[name])[:SHOWN]
    ours = set(pages.anogan.detector_names())
    for theme, (ink, soft, blue, grey) in THEMES.items():
        with matplotlib.rc_context(
            {"text.color": ink, "axes.labelcolor": soft, "xtick.color": soft, "ytick.color": ink}
        ):
            figure = Figure(figsize=(8, 3.4), layout="constrained")
            ax = figure.subplots()
            names = chosen[::-1]
            bars = ax.barh(
                names, [means[n] for n in names], color=[blue if n in ours else grey for n in names], height=0.66
            )
            ax.bar_label(bars, fmt="%.1f", padding=3, color=ink)
            ax.set(xlim=(min(means[n] for n in names) - 4, max(means.values()) + 1.5))
            ax.set_xlabel(
                "mean AUROC on the tables of ADBench, %; the axis does not start at 0\nblue: detectors of this package"
            )
            for side in ("top", "right", "left", "bottom"):
                ax.spines[side].set_visible(False)
            ax.tick_params(length=0)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=120, transparent=True)
            save(buffer.getvalue(), f"benchmark-{theme}")


def save(png: bytes, name: str) -> None:
    """Write a small WebP file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    Image.open(io.BytesIO(png)).save(FOLDER / f"{name}.webp", quality=72, method=6)


if __name__ == "__main__":
    screenshots(Path(sys.argv[1]))
    benchmark()
