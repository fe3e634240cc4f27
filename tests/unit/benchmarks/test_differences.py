"""Differences from nearest neighbours: on the same tables, with ranks, and by kind of table."""

from typing import Any

from benchmarks.differences import differences

VALUES = {"a": (0.50, 0.60, 0.70), "b": (0.70, 0.70, 0.60), "c": (0.80, 0.77, 0.96)}  # knn, fusion, denoising_gan


def record(detector: str, dataset: str, auroc: float, **params: int) -> dict[str, Any]:
    quality = {"auroc": auroc, "aupr": auroc / 2, "n_train": 500, "n_test": 100, "anomalous": 0.1}
    return {"protocol": "final", "dataset": dataset, "detector": detector, "params": params, "seed": 0} | quality


def records() -> list[dict[str, Any]]:
    found = []
    for name, (knn, fusion, ours) in VALUES.items():
        found += [record("knn", name, knn, n_neighbors=3), record("fusion", name, fusion)]
        found.append(record("denoising_gan", name, ours))
    return found


def test_methods_are_compared_on_the_same_tables() -> None:
    lines = differences(records(), ["final"]).splitlines()
    expected = "| fusion | 3 | 69.00 | +2.33 ± 3.93 | 33 | 33 | -3.0 |  | 2.17 | 34.50 | 2.17 |"
    assert expected in lines
    assert (
        "| denoising_gan | 3 | 75.33 | +8.67 ± 9.40 | 67 | 33 | -10.0 | +6.33 ± 8.57 | 1.67 | 37.67 | 1.67 |" in lines
    )
    assert "| knn (n_neighbors=3) | 3 | 66.67 |  |  |  |  | -2.33 ± 3.93 | 2.17 | 33.33 | 2.17 |" in lines


def test_kinds_and_extremes_name_losses_too() -> None:
    text = differences(records(), ["final"])
    assert "| AUROC of knn (n_neighbors=3), %: below 55 | 1 | +20.00 | +20.00 | 100 | 0 | +10.00 |" in text
    assert "loses most on b -10.0 (70.0), and gains most on a +20.0 (50.0), c +16.0 (80.0)" in text
    assert text.count("training rows: 300 to 1000 | 3 ") == 1


def test_nothing_is_said_without_the_reference() -> None:
    assert differences([r for r in records() if r["detector"] != "knn"], ["final"]) == ""
    assert differences(records(), ["development"]) == ""
