"""Ranks, wins and fronts of known tables; figures are drawn; ADBench's list is whole."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import wilcoxon

from benchmarks import adbench
from benchmarks.figures import Point, _spread, costs, critical_differences
from benchmarks.images import Images, datasets
from benchmarks.quality import pixel_quality
from benchmarks.ranking import Ranking, pareto
from benchmarks.records import append_record, current, page
from benchmarks.report import IDENTITY, summary
from benchmarks.tabular import Tabular


def ranking(n: int = 12) -> Ranking:
    """`good` is always above `knn`, `same` is level with it; `bad` is below."""
    level = np.linspace(0.6, 0.9, n)
    noise = np.random.default_rng(0).uniform(0.01, 0.05, n)
    values = {"knn": level, "good": level + noise, "same": level + 0.0004, "bad": level - noise}
    return Ranking(pd.DataFrame(values, index=[f"table {i}" for i in range(n)]))


def test_ranks_wins_and_losses() -> None:
    found = ranking()
    assert found.mean_ranks.to_dict() == {"good": 1, "same": 2, "knn": 3, "bad": 4}
    assert [found.against(name) for name in ("good", "same", "bad")] == [(12, 0, 0), (0, 12, 0), (0, 0, 12)]


def test_few_data_sets_are_not_tested() -> None:
    assert Ranking(ranking().values.iloc[:8]).testable
    assert not Ranking(ranking().values.iloc[:6]).testable  # six pairs, and 2/64 is the least p of any


def test_ties_share_a_rank() -> None:
    table = pd.DataFrame({"a": [0.9, 0.5], "b": [0.9, 0.6], "c": [0.1, 0.1]})
    assert Ranking(table).mean_ranks.to_dict() == {"b": 1.25, "a": 1.75, "c": 3.0}


def test_incomplete_detectors_are_not_ranked() -> None:
    means = {"a": {"x": 0.5, "y": 0.6}, "b": {"x": 0.7}, "c": {"x": 0.1, "y": 0.2, "z": 0.3}}
    found = Ranking.of(means).values
    assert list(found) == ["a", "c"]
    assert list(found.index) == ["x", "y"]  # z is a set that hardly anybody has


def test_pairs_are_tested_by_wilcoxon_and_holm() -> None:
    found = ranking().pairwise_p(list(ranking().values))
    values = ranking().values
    raw = wilcoxon(values["good"], values["bad"]).pvalue
    assert found.loc["good", "bad"] == pytest.approx(min(1, 6 * raw))  # the smallest of six, with its ties
    assert found.loc["good", "bad"] == found.loc["bad", "good"] < 0.05
    assert ranking().friedman_p() < 0.001


def test_the_front_has_what_nothing_faster_beats() -> None:
    assert pareto([(1, 0.5), (2, 0.4), (3, 0.9), (3, 0.8), (9, 0.9)]) == [0, 2]


def test_labels_keep_apart_and_inside() -> None:
    places = _spread(np.array([0.0, 0.5, 0.5, 0.51, 1.0, 1.0]), gap=0.1)
    assert (np.diff(places) >= 0.1 - 1e-9).all()
    assert places[0] >= 0
    assert places[-1] <= 1


def test_figures_are_drawn(tmp_path: Path) -> None:
    critical_differences(ranking(), tmp_path / "ranks.png")
    kinds = ["gan", "pyod-gan", "deep", "classical"]
    costs([Point(kind, kind, 10.0**i, 0.6 + i / 10) for i, kind in enumerate(kinds)], tmp_path / "costs.png")
    for name in ("ranks.png", "costs.png"):
        with Image.open(tmp_path / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 5  # something is on it


def record(dataset: str, detector: str, seed: int, auroc: float) -> dict[str, object]:
    quality = {"auroc": auroc, "aupr": auroc, "f1_at_count": auroc, "fpr95": 1 - auroc, "constant": False}
    cell = {"protocol": "semi", "dataset": dataset, "detector": detector, "seed": seed}
    facts = {"params": {}, "limits": {}, "config": "1"}
    return cell | quality | facts | {"fit_s": 0.0, "score_s": 0.1, "peak_mb": 9}


def test_the_report_orders_by_auroc_and_draws(tmp_path: Path) -> None:
    for i in range(8):
        for seed in (0, 1):
            for name, auroc in (("knn", 0.7), ("ganomaly", 0.8), ("ecod", 0.6)):
                published = {"limits": {"max_rows": 5000}}
                append_record(tmp_path / "tabular.jsonl", record(f"t{i}", name, seed, auroc + 0.01 * seed) | published)
    text = page(Tabular(), tmp_path)
    assert text.index("| ganomaly |") < text.index("| knn |") < text.index("| ecod |")
    assert "| 8/0/0 |" in text
    assert "| 80.50 | 0.71 | 0.71 | 1.00 |" in text
    assert (tmp_path / "tabular-semi-5000-ranks.png").is_file()
    assert (tmp_path / "tabular-semi-5000-costs.png").is_file()
    short = summary(tmp_path)
    assert "| ganomaly | 80.5 ± 0.7 |" in short
    assert "| *knn* |" in short


def test_a_failed_seed_takes_the_rank_away_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "tabular.jsonl"
    for dataset in "abc":
        for name in ("knn", "ganomaly", "pca"):
            append_record(path, record(dataset, name, 0, 0.7) | {"limits": {"max_rows": 5000}})
    failed = {"error": "no", "seed": 1, "limits": {"max_rows": 5000}}
    good = record("b", "pca", 1, 0.7)
    append_record(path, {k: v for k, v in good.items() if k not in ("auroc", "aupr", "f1_at_count", "fpr95")} | failed)
    assert "| pca | 3 (!) |" in page(Tabular(), tmp_path)
    assert "Left out, since cells failed or are missing: pca." in summary(tmp_path)


def test_the_readme_takes_the_published_limits_alone(tmp_path: Path) -> None:
    for rows, auroc in ((5000, 0.5), (50_000, 0.9)):
        for name in ("knn", "ganomaly"):
            limits = {"limits": {"max_rows": rows}}
            append_record(tmp_path / "tabular.jsonl", record("a", name, 0, auroc) | limits)
    assert "| *knn* | 50.0 |" in summary(tmp_path)


def test_a_default_that_came_back_counts_again(tmp_path: Path) -> None:
    old, new = record("a", "knn", 0, 0.5), record("b", "knn", 0, 0.5) | {"config": "2"}
    assert current([old, new, old], IDENTITY) == ([old], 1)


def test_folders_without_masks_stand_beside_others(tmp_path: Path) -> None:
    path = tmp_path / "images.jsonl"
    for dataset, pixels in (("with", {"pixel_auroc": 0.9, "aupro": 0.8}), ("without", {})):
        changed = {"protocol": "mvtec"} | pixels
        append_record(path, record(dataset, "ganomaly", 0, 0.7) | changed)
    text = page(Images(), tmp_path)
    assert "| 90.00 | 80.00 |" in text
    assert "****" not in text


def test_a_record_of_a_class_that_is_not_here_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "tabular.jsonl"
    for i in range(8):
        for name, auroc in (("knn", 0.7), ("nobody.here.Detector", 0.8), ("ecod", 0.6)):
            append_record(path, record(f"t{i}", name, 0, auroc))
    assert "| nobody.here.Detector |" in page(Tabular(), tmp_path)


def test_adbench_is_known_whole() -> None:
    numbers = [int(file.split("_")[0]) for file in adbench.SHA256]
    assert numbers == list(range(1, 48))
    assert len({adbench.name_of(file) for file in adbench.SHA256}) == 47
    assert all(digest is None or len(digest) == 64 for digest in adbench.SHA256.values())


def test_a_changed_table_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "1_ALOI.npz").write_bytes(b"something else")
    (tmp_path / "99_unknown.npz").write_bytes(b"")
    assert adbench.differs(tmp_path / "1_ALOI.npz")
    assert not adbench.differs(tmp_path / "99_unknown.npz")


def test_pixels_are_measured_at_the_size_of_the_masks() -> None:
    mask = np.zeros((20, 30), bool)
    mask[:10, :10] = True
    values = np.zeros((2, 3))
    values[0, 0] = 1
    good, unknown = np.zeros((5, 5), bool), None
    found = pixel_quality(iter([mask, good, unknown]), np.stack([values, 0 * values, values]))
    assert found["pixel_auroc"] > 0.95
    assert pixel_quality(iter([good]), values[None]) == {}


def test_mvtec_folders_are_found_and_their_masks_belong_to_the_test_pictures(tmp_path: Path) -> None:
    root = tmp_path / "images" / "part"
    for i, place in enumerate(
        ("train/good/0", "train/good/1", "test/good/0", "test/hole/0", "ground_truth/hole/0_mask")
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 9), 40 * i, np.uint8)).save(root / f"{place}.png")
    dataset = datasets(tmp_path)["part"]
    split = dataset.load(tmp_path, np.random.default_rng(0), {})
    assert (len(split.train), list(split.labels)) == (2, [False, True])
    good, hole = dataset.masks(tmp_path, split)
    assert good.shape == hole.shape == (6, 9)
    assert not good.any()
    assert hole.all()
