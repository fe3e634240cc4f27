"""The data layer on published data, where it is at hand (`ANOGAN_DATA`)."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from anogan.data.choose import preprocessor_for
from anogan.data.scaling import SCALINGS
from anogan.sources.images import ImageFolder

DATA = Path(os.environ.get("ANOGAN_DATA", Path(__file__).parents[4] / "shared" / "data"))
NSL_KDD = DATA / "tables" / "nsl_kdd_train.csv"
TILES = DATA / "images" / "magnetic_tile"


@pytest.mark.skipif(not NSL_KDD.exists(), reason="NSL-KDD is not at hand")
@pytest.mark.parametrize("scaling", SCALINGS)
def test_nsl_kdd_comes_back(scaling):
    table = pd.read_csv(NSL_KDD).drop(columns="label")
    preprocessor = preprocessor_for(table, scaling=scaling).fit(table, rows=np.arange(20_000))
    code = preprocessor.transform(table, torch.float64).tensor
    assert code.shape == (25_192, 118)
    assert [stop - start for start, stop in preprocessor.spec_.spans] == [3, 66, 11]
    assert code.abs().max() < {"standard": 1000, "soft": 50}.get(scaling, 20)
    pd.testing.assert_frame_equal(preprocessor.inverse(code.numpy()), table)


@pytest.mark.skipif(not NSL_KDD.exists(), reason="NSL-KDD is not at hand")
def test_services_that_training_never_saw_are_reported():
    table, test = pd.read_csv(NSL_KDD), pd.read_csv(NSL_KDD.with_name("nsl_kdd_test.csv"))
    normal = table[table["label"] == "normal"].drop(columns="label")
    preprocessor = preprocessor_for(normal).fit(normal)
    account = preprocessor.account(test.drop(columns="label"))
    expected = ~test["service"].isin(normal["service"])
    assert account.unseen[:, account.columns.index("service")].tolist() == expected.tolist()


@pytest.mark.skipif(not TILES.exists(), reason="the magnetic tiles are not at hand")
def test_magnetic_tiles_of_all_sizes_become_one_tensor():
    folder = ImageFolder(TILES / "train", size=(48, 64))[:40]
    assert folder.channels == 1
    assert len({folder.original_size(i) for i in range(40)}) > 10
    preprocessor = preprocessor_for(folder).fit(folder)
    batch = preprocessor.transform(folder, torch.float32).batch(np.arange(40))
    assert batch.shape == (40, 1, 48, 64)
    assert batch.min() >= -1
    assert batch.max() <= 1
    np.testing.assert_allclose(preprocessor.inverse(batch.numpy())[7], folder[7], atol=1e-6)
