"""Model cards."""

import numpy as np
import pandas as pd
import pytest

import anogan


def card(X, path, cls=anogan.GANomaly, **changes):
    settings = cls.tiny | {"random_state": 0, "target_fpr": 0.2, "device": "cpu"} | changes
    cls(**settings).fit(X).save(path)
    return anogan.model_card(path)


def test_a_card_of_a_table_has_columns_promises_and_limits(tmp_path):
    X = pd.DataFrame({"a|b": np.arange(60) * 1.5 % 7, "kind": ["x", "<b>"] * 30})
    text = card(X, tmp_path / "m_1.anogan")
    assert text.startswith("# m\\_1.anogan\n")
    assert "| a\\|b | number |  | no |" in text
    assert "| kind | category | 2 categories | no |" in text
    assert "is flagged with probability" in text
    assert "Training did not go well" in text  # after three steps
    assert "so protect it like the data" in text
    assert text.count("\n## ") == 6


def test_a_card_of_pictures_has_the_limits_of_its_detector(tmp_path):
    X = np.random.default_rng(0).uniform(size=(14, 1, 32, 32))
    text = card(X, tmp_path / "m.anogan", anogan.FeatureGAN)
    assert "Images of 32 x 32 pixels with 1 channels." in text
    assert "Training images score lower than new ones" in text


@pytest.mark.parametrize("rate", [0.01, 0.2])
def test_a_card_says_whether_there_are_enough_calibration_samples(tmp_path, rate):
    text = card(np.random.default_rng(0).normal(size=(60, 2)), tmp_path / "m.anogan", target_fpr=rate)
    assert ("too few calibration samples" in text) == (rate == 0.01)
