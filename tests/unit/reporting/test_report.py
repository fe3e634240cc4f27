"""`Report` from Python: any kind of data, written whole or not at all, shown in a notebook."""

import html
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import anogan
from anogan import ImageFolder, InputError, Report, Stream


def table(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"amount": rng.normal(size=rows), "kind": rng.choice(["a", "b"], rows)})


@pytest.fixture(scope="module")
def detector():
    return anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(table())


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).random((20, 1, 8, 8))


@pytest.fixture(scope="module")
def picture_detector(pictures):
    return anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(pictures)


def test_a_report_counts_what_the_detector_flags(detector):
    new = table(30, seed=1)
    report = Report.from_estimator(detector, new, top=5)
    flagged = int((detector.predict(new) == -1).sum())
    assert (report.facts["count"], report.facts["flagged"], len(report.facts["rows"])) == (30, flagged, 5)
    assert repr(report) == f"Report('this DataFrame': {flagged} of 30 flagged)"
    page = report.to_html()
    assert "this DataFrame" in page
    assert "Model file" not in page  # there is none


def test_labels_add_curves(detector):
    new, y = table(30, seed=1), np.arange(30) % 3 == 0
    measured = Report.from_estimator(detector, new, y)
    assert measured.facts["truth"]["anomalous"] == 10
    assert measured.facts["measures"]["auroc"]["value"] == anogan.metrics.auroc(y, detector.anomaly_score(new))
    assert "ROC" in measured.to_html()
    assert "ROC" not in Report.from_estimator(detector, new).to_html()
    named = Report.from_estimator(detector, new, np.where(y, "fraud", "fine"), normal="fine")
    assert named.facts["truth"] == measured.facts["truth"]
    with pytest.raises(InputError, match="say which one is normal"):
        Report.from_estimator(detector, new, np.where(y, "fraud", "fine"))
    with pytest.raises(InputError, match="29 labels"):
        Report.from_estimator(detector, new, y[1:])


def test_files_streams_and_data_in_memory_report_the_same(detector, tmp_path):
    new = table(30, seed=1)
    new.to_parquet(tmp_path / "new.parquet", index=False)
    scored = [
        Report.from_estimator(detector, data, top=3).facts["rows"]
        for data in (new, tmp_path / "new.parquet", Stream(detector, new, chunk_rows=7))
    ]
    assert [row["row"] for row in scored[0]] == [row["row"] for row in scored[1]] == [row["row"] for row in scored[2]]


def test_arrays_are_reported_with_numbered_columns(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 3))
    detector = anogan.WGANGP(**anogan.WGANGP.tiny, random_state=0).fit(X)
    report = Report.from_estimator(detector, X)
    assert [column["name"] for column in report.facts["samples"]["columns"]] == ["column 0", "column 1", "column 2"]


def test_pictures_in_memory_and_in_folders_have_heatmaps(picture_detector, pictures, tmp_path):
    for i, picture in enumerate(pictures):
        Image.fromarray((255 * picture[0]).astype(np.uint8)).save(tmp_path / f"{i:02d}.png")
    report = Report.from_estimator(picture_detector, pictures, top=4)
    shown = [entry["name"] for group in report.facts["gallery"] for entry in group["pictures"]]
    assert len(shown) >= 4
    assert all(name.startswith("picture ") for name in shown)
    folder = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(ImageFolder(tmp_path, size=8))
    report = Report.from_estimator(folder, ImageFolder(tmp_path, size=8), np.arange(20) % 2, top=4)
    first = report.facts["gallery"][0]["pictures"][0]
    assert first["name"].endswith(".png")
    assert first["overlay"].startswith("data:image/webp;base64,")
    assert report.facts["truth"]["anomalous"] == 10


def test_a_notebook_shows_the_page_in_a_frame(detector):
    report = Report.from_estimator(detector, table(30))
    frame = report._repr_html_()
    assert frame.startswith("<iframe srcdoc=")
    assert html.unescape(frame.split('srcdoc="')[1].split('" title')[0]) == report.to_html()


def test_a_page_is_written_whole_or_not_at_all(detector, tmp_path, monkeypatch):
    report = Report.from_estimator(detector, table(30))
    target = tmp_path / "r.html"
    assert report.save(target) == target.stat().st_size
    before = target.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        report.save(target)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_progress_is_told_in_stages(detector, picture_detector, pictures):
    calls: list[tuple] = []
    Report.from_estimator(picture_detector, pictures, top=3, progress=lambda *facts: calls.append(facts))
    assert calls[0] == ("scoring", 0, 20)
    stage, done, total = calls[-1]
    assert stage == "explaining"
    assert done == total >= 3


def test_the_model_file_is_stated_where_it_is_known(detector, tmp_path):
    detector.save(tmp_path / "m.anogan")
    report = Report.from_estimator(detector, table(30), model_path=tmp_path / "m.anogan")
    assert report.facts["model"]["bytes"] == (tmp_path / "m.anogan").stat().st_size
    assert report.facts["model"]["digest"] in report.to_html()


def test_a_normal_label_without_labels_is_an_error(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 2))
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(X)
    np.savez(tmp_path / "a.npz", X=X, y=np.arange(40) % 2)
    for data in (X, tmp_path / "a.npz"):
        with pytest.raises(InputError, match="without labels"):
            Report.from_estimator(detector, data, normal="0")
    report = Report.from_estimator(detector, Stream(detector, tmp_path / "a.npz", label="y"), normal="0")
    assert report.facts["truth"]["normal"] == 20
