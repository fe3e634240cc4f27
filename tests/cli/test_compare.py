"""`anogan compare` on files: figures, failures that do not stop it, bad input."""

import json

import numpy as np
import pandas as pd
import pytest

from anogan.engine.settings import TrainerSettings

CLASSICAL = ["--detectors", "knn,iforest,sklearn.svm.OneClassSVM", "--seeds", 2]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A mixed table whose anomalies are far away, and a .npz of its numbers."""
    folder = tmp_path_factory.mktemp("compare")
    rng = np.random.default_rng(0)
    y = np.arange(80) < 10
    X = rng.normal(size=(80, 2)) + 8 * y[:, None]
    table = pd.DataFrame(
        {"a": X[:, 0], "b": X[:, 1], "shop": rng.choice(["x", "y"], 80), "kind": np.where(y, "bad", "ok")}
    )
    table.loc[70, "a"] = np.nan
    table.to_csv(folder / "mixed.csv", index=False)
    np.savez(folder / "numbers.npz", X=X, y=y.astype(int))
    np.savez(folder / "nan.npz", X=X, y=np.where(np.arange(80) == 3, np.nan, y))
    table[["kind"]].to_csv(folder / "only.csv", index=False)
    return folder


def test_a_mixed_table_is_compared(run, labelled, tmp_path):
    options = ["--label", "kind", "--normal", "ok", *CLASSICAL, "-o", tmp_path / "out.csv", "--json", "-q"]
    facts = json.loads(run("compare", labelled / "mixed.csv", *options).stdout)
    assert (facts["n_train"], facts["n_test"], facts["anomalous"]) == (35, 45, 10)
    assert {row["detector"] for row in facts["detectors"]} == {"knn", "iforest", "sklearn.svm.OneClassSVM"}
    assert all(row["auroc"]["mean"] > 0.95 and row["seeds"] == 2 for row in facts["detectors"])
    means = [row["auroc"]["mean"] for row in facts["detectors"]]
    assert means == sorted(means, reverse=True)
    written = pd.read_csv(tmp_path / "out.csv")
    assert written.groupby("detector")["auroc"].mean().to_dict() == pytest.approx(
        {row["detector"]: row["auroc"]["mean"] for row in facts["detectors"]}
    )


def test_numbers_and_the_contaminated_protocol(run, labelled):
    options = ["--detectors", "knn", "--seeds", 1, "--protocol", "contaminated"]
    output = run("compare", labelled / "numbers.npz", *options).output
    assert "80 rows: 37 train, 43 test, 8 of them anomalous. In %. F1" in output
    assert "±" not in output
    options += ["--max-rows", 40]
    assert "80 rows, of which 40 random ones are used" in run("compare", labelled / "numbers.npz", *options).output


def test_a_gan_runs_beside_them(run, labelled, monkeypatch):
    short = lambda steps, *others: TrainerSettings(min(steps, 50), *others)  # noqa: E731
    monkeypatch.setattr("anogan.detectors.fitting.TrainerSettings", short)
    result = run("compare", labelled / "mixed.csv", "--label", "kind", "--normal", "ok", "--detectors", "wgan_gp,knn")
    assert "wgan_gp" in result.output
    assert "failed" not in result.output
    assert "only test rows have missing values in a" in result.output  # in some split


def test_scores_of_the_wrong_shape_take_nothing_else_along(run, labelled, tmp_path, monkeypatch):
    (tmp_path / "wrong_shape.py").write_text(
        "class Column:\n"
        "    def get_params(self): return {}\n"
        "    def fit(self, X): return self\n"
        "    def score_samples(self, X): return X[:, :1]\n"
    )
    monkeypatch.chdir(tmp_path)
    result = run("compare", labelled / "numbers.npz", "--detectors", "wrong_shape.Column,knn", "--seeds", 2)
    assert "wrong_shape.Column failed on 2 of 2 splits" in result.output
    assert "knn" in result.output


def test_the_table_goes_to_stdout_and_words_do_not(run, labelled):
    result = run("compare", labelled / "numbers.npz", "--detectors", "knn", "--seeds", 1, "-o", "-")
    assert result.stdout.splitlines()[0].startswith('"detector"') or result.stdout.startswith("detector,")
    assert len(result.stdout.splitlines()) == 2


def test_a_detector_of_the_users_own_module(run, labelled, tmp_path, monkeypatch):
    (tmp_path / "own_detector.py").write_text(
        "class Distance:\n"
        "    def get_params(self): return {}\n"
        "    def fit(self, X): self.centre = X.mean(0); return self\n"
        "    def score_samples(self, X): return -((X - self.centre) ** 2).sum(1)\n"
    )
    monkeypatch.chdir(tmp_path)
    result = run("compare", labelled / "numbers.npz", "--detectors", "own_detector.Distance", "--seeds", 1)
    assert "100.0" in result.output


def test_one_that_fails_is_named_and_the_others_go_on(run, labelled):
    result = run("compare", labelled / "numbers.npz", "--detectors", "knn,sklearn.cluster.DBSCAN", "--seeds", 1)
    assert "sklearn.cluster.DBSCAN failed on 1 of 1 splits: InputError" in result.output
    assert "knn" in result.output


def test_if_all_fail_the_command_does(run, labelled):
    result = run("compare", labelled / "numbers.npz", "--detectors", "sklearn.cluster.DBSCAN", code=1)
    assert "Every detector failed" in result.output


@pytest.mark.parametrize(
    ("file", "options", "words"),
    [
        ("mixed.csv", [], "--label COLUMN is needed"),
        ("mixed.csv", ["--label", "kid"], "Did you mean 'kind'?"),
        ("mixed.csv", ["--label", "kind"], "say which one is normal"),
        ("mixed.csv", ["--label", "kind", "--normal", "no"], "has the label 'no'"),
        ("mixed.csv", ["--label", "kind", "--normal", "ok", "--detectors", "nobody"], "no detector 'nobody'"),
        ("mixed.csv", ["--label", "kind", "--normal", "ok", "--detectors", ","], "No detector is named"),
        ("numbers.npz", ["--detectors", "nobody.Here"], "No module named 'nobody'"),
        ("numbers.npz", ["--detectors", "math.pi"], "has no class 'pi'"),
        ("numbers.npz", ["--detectors", ".X"], "cannot be imported"),
        ("nan.npz", [], "y has missing labels (first at row 3)"),
        ("mixed.csv", ["--label", "kind", "--drop", "kind"], "holds the labels"),
        ("only.csv", ["--label", "kind", "--normal", "ok"], "no columns left"),
        ("numbers.npz", ["--label", "z"], "has no labels 'z'"),
        ("numbers.npz", ["--drop", "a"], "--drop names columns of a table"),
    ],
)
def test_bad_input_gets_one_line(run, labelled, file, options, words):
    output = run("compare", labelled / file, *options, code=2).output
    assert words in output
    assert output.count("\n") == 1


def test_pictures_have_no_column_of_labels(run, data):
    assert "but" in (output := run("compare", data / "parts", "--label", "x", code=2).output)
    assert "holds pictures" in output


def test_the_baselines_are_listed(run):
    assert "pyod.models.knn.KNN" in run("list", "--baselines").output
    assert json.loads(run("list", "--baselines", "--json").stdout)["vae"]["kind"] == "deep"
