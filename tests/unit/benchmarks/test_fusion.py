"""Views and fusions: every rule gives finite scores, near probes are near, and the page compares the same tables."""

from pathlib import Path

import numpy as np
import pytest

from anogan.evaluation.metrics import auroc
from benchmarks.fusion import NEAR, RULES, SHUFFLED, Fusion, fused, probes
from benchmarks.records import append_record, page
from benchmarks.views import views

RNG = np.random.default_rng(0)


def normal_rows(n: int) -> np.ndarray:
    """Return rows with a dependency, a column of two values and a constant one."""
    first = RNG.normal(size=n)
    return np.stack([first, first + 0.1 * RNG.normal(size=n), RNG.integers(2, size=n), np.full(n, 3.0)], axis=1)


def test_every_rule_ranks_broken_dependencies_high() -> None:
    train, test = normal_rows(160), normal_rows(80)
    test[40:, 1] = RNG.permutation(test[40:, 1])
    found = fused(train, test, 0)
    assert set(RULES) < set(found)
    assert {view for rule in RULES.values() for view in rule.views} <= set(found)
    assert all(np.isfinite(scores).all() for scores in found.values())
    labels = np.arange(80) >= 40
    assert all(auroc(labels, found[name]) > 0.7 for name in RULES)


@pytest.mark.parametrize("columns", [[0], [3]])
def test_one_column_and_a_constant_one_are_scored(columns: list[int]) -> None:
    train, rows = normal_rows(24)[:, columns], normal_rows(6)[:, columns]
    assert all(np.isfinite(scores).all() for scores in views(train, rows, 0).values())
    assert all(np.isfinite(scores).all() for scores in fused(train, rows, 0).values())


def test_probes_are_what_they_say() -> None:
    train, rows = normal_rows(100), normal_rows(30)
    made = probes(train, rows, np.random.default_rng(0))
    assert set(made) == {*SHUFFLED, *NEAR}
    assert ((made["one swapped"] != rows).sum(axis=1) <= 1).all()
    assert np.isin(made["shuffled"][:, 2], [0, 1]).all()
    low, high = np.quantile(train[:, 0], [0.01, 0.99])
    changed = made["beyond"][:, 0] != rows[:, 0]
    assert changed.any()
    assert ((made["beyond"][changed, 0] < low) | (made["beyond"][changed, 0] > high)).all()
    assert made["between"][:, 0].std() < rows[:, 0].std()


def test_the_page_has_differences_on_the_same_tables(tmp_path: Path) -> None:
    experiment = Fusion()
    names = [*RULES, "standard k=3", "soft k=1", *{view for rule in RULES.values() for view in rule.views}]
    for dataset, gain in (("a", 0.1), ("b", 0.0)):
        values = dict.fromkeys(names, 0.6) | {"ten views": 0.6 + gain}
        record = {"protocol": "final", "dataset": dataset, "seed": 0, "auroc": values, "aupr": values}
        append_record(tmp_path / "fusion.jsonl", record)
    text = page(experiment, tmp_path)
    assert "## final (2 tables)" in text
    assert "| ten views | 65.00 | +5.00 ± 5.00 | 50 | 0 | +0.0 | 65.00 |" in text
