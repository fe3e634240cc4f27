"""The table of the ablation, from records made by hand."""

from benchmarks import ablation


def record(params, dataset, auroc, aupr=0.5):
    return {
        "detector": ablation.DETECTOR,
        "params": params,
        "dataset": dataset,
        "seed": 0,
        "auroc": auroc,
        "aupr": aupr,
        "fit_s": 1.0,
        "limits": {},
    }


def test_variants_are_compared_on_the_tables_that_both_have():
    whole = [record({}, name, auroc) for name, auroc in (("a", 0.9), ("b", 0.8), ("c", 0.7))]
    plain = [record({"adversarial_share": 0.0}, name, auroc) for name, auroc in (("a", 0.6), ("b", 0.81))]
    failed = record({"jitter": 0.0}, "a", 0.1) | {"error": "no"}
    lines = ablation.table([*whole, *plain, failed]).splitlines()
    assert len(lines) == 4
    assert lines[2].split(" | ")[1:3] == ["3", "80.00"]
    assert lines[3].split(" | ")[1:6] == ["2", "70.50", "-14.50", "+1.00", "1 / 1"]
