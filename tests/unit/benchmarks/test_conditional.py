"""The comparison with and without a condition, on rows made by hand."""

import pandas as pd
import pytest

from benchmarks import conditional


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(conditional, "EACH", 10)
    (tmp_path / "tables").mkdir()
    for file, services in zip(conditional.NSL_KDD, (["http", "smtp"], ["http", "smtp", "gopher"]), strict=True):
        kinds = [(service, label) for service in services for label in ("normal", "smurf")] * 20
        table = pd.DataFrame(kinds, columns=["service", "label"]).assign(number=range(len(kinds)))
        table.to_csv(tmp_path / file, index=False)
    return tmp_path


def test_rows_are_of_known_services_and_misplaced_ones_have_another(folder):
    rows = conditional.rows_of(folder, "service", seed=0)
    test = pd.read_csv(folder / conditional.NSL_KDD[1]).set_index("number")
    assert {kind: len(part) for kind, part in rows.items()} == {
        "train": 40,
        "normal": 10,
        "misplaced": 10,
        "attacks": 10,
    }
    assert not any("label" in part for part in rows.values())
    assert set(test.loc[rows["attacks"]["number"], "label"]) == {"smurf"}
    assert not set(rows["normal"]["number"]) & set(rows["misplaced"]["number"])
    for kind in ("normal", "misplaced"):
        before = test.loc[rows[kind]["number"]]
        assert set(before["label"]) == {"normal"}
        same = rows[kind]["service"].to_numpy() == before["service"].to_numpy()
        assert same.all() if kind == "normal" else not same.any()
    assert all("gopher" not in set(part["service"]) for part in rows.values())


def test_the_page_has_means_and_seeds(tmp_path):
    records = [
        {
            "condition": "service",
            "variant": "conditional_gan, given",
            "seed": seed,
            "misplaced": auroc,
            "attacks": auroc,
        }
        for seed, auroc in ((0, 0.9), (1, 0.8))
    ]
    last = conditional.Conditional().report(records, tmp_path).splitlines()[-1]
    assert last == "| service | conditional_gan | given | 85.00 | 90.00 80.00 | 85.00 | 90.00 80.00 |"
