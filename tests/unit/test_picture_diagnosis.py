"""Generated pictures of any number of channels, with and without a condition, are diagnosed and written."""

import warnings

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

import anogan
from anogan.cli.main import cli

PICTURES = np.random.default_rng(0).uniform(size=(320, 4, 8, 8))
LABELS = np.arange(320) % 2


def fitted(name, X):
    cls = anogan.detector_class(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(**cls.tiny, random_state=0, calibration_fraction=0.05).fit(X)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("conditioned", [False, True])
def test_pictures_are_measured_in_features_where_these_see_them(channels, conditioned):
    X = PICTURES[:, :channels]
    detector = fitted("conditional_gan", anogan.Conditioned(X, LABELS) if conditioned else X)
    assert ("frechet_distance" in detector.diagnosis_.measures) == (channels in (1, 3))


def test_feature_gan_refuses_channels_that_its_network_does_not_know():
    with pytest.raises(anogan.InputError, match="4 channels; the pretrained network sees 1 or 3"):
        fitted("feature_gan", PICTURES)


def test_conditioned_samples_are_written(tmp_path):
    model = tmp_path / "pictures.anogan"
    fitted("conditional_gan", anogan.Conditioned(PICTURES[:, :1], LABELS)).save(model)
    rows = tmp_path / "rows.anogan"
    fitted("conditional_gan", anogan.Conditioned(PICTURES[:, 0, 0], LABELS)).save(rows)
    for path, output in ((model, "sheet.png"), (model, "made.npy"), (rows, "rows.npy"), (rows, "rows.csv")):
        done = CliRunner().invoke(cli, ["sample", "-m", str(path), "-n", "4", "-o", str(tmp_path / output)])
        assert done.exit_code == 0, done.output
    assert Image.open(tmp_path / "sheet.png").size == (16, 16)
    assert np.load(tmp_path / "made.npy").shape == (4, 1, 8, 8)
    assert np.load(tmp_path / "rows.npy").shape == (4, 8)
    table = pd.read_csv(tmp_path / "rows.csv")
    assert table.shape == (4, 9)
    assert set(table.iloc[:, -1]) <= {0, 1}
