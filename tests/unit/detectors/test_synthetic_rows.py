"""`sample` of tables: rows that a column can have, which a classifier hardly tells from real ones."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import anogan
from anogan.engine.row_fidelity import real_vs_synthetic

ROWS = 1500
SAMPLERS = ("alad", "anogan", "conditional_gan", "egbad", "f_anogan", "wgan_gp")


def shop(rows=ROWS, seed=0):
    """Spikes, whole numbers, cents, gaps, rare categories, dates, and values that follow from others."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["book", "toy", "car", "house"], rows, p=[0.6, 0.3, 0.07, 0.03])
    level = pd.Series(kind).map({"book": 2.0, "toy": 3.0, "car": 9.0, "house": 12.0}).to_numpy()
    count = rng.poisson(1, rows) + 1
    price = np.round(np.exp(level + 0.3 * rng.normal(size=rows)), 2)
    frame = pd.DataFrame(
        {
            "kind": kind,
            "count": count,
            "price": price,
            "total": np.round(price * count, 2),
            "rebate": np.where(rng.random(rows) < 0.7, 0.0, rng.random(rows)),
            "rate": np.round(rng.beta(0.3, 0.3, rows), 2),
            "member": rng.random(rows) < 0.2,
            "day": pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), "D"),
            "age": pd.array(rng.integers(18, 90, rows), dtype="Int64"),
        }
    )
    frame.loc[rng.random(rows) < 0.1, "age"] = pd.NA
    frame.loc[rng.random(rows) < 0.05, "kind"] = None
    return frame


@pytest.fixture(scope="module")
def fitted():
    return anogan.WGANGP(steps=300, width=32, target_fpr=0.05, random_state=0, device="cpu").fit(shop(), restarts=0)


def test_rows_have_values_that_their_columns_can_have(fitted):
    real, fake = shop(), fitted.sample(2000, random_state=0)
    assert (fake.dtypes == real.dtypes).all()
    assert set(fake["kind"].dropna()) == set(real["kind"].dropna())
    assert fake["rebate"].eq(0).mean() == pytest.approx(0.7, abs=0.08)
    assert fake["age"].isna().mean() == pytest.approx(0.1, abs=0.05)
    assert (fake["price"].round(2) == fake["price"]).all()
    assert (fake["rate"].round(2) == fake["rate"]).all()
    assert (fake["day"].dt.normalize() == fake["day"]).all()
    for name in ("count", "price", "total", "rebate", "rate", "day", "age"):
        assert real[name].min() <= fake[name].min() <= fake[name].max() <= real[name].max(), name
    assert fake.duplicated().mean() < 0.05


def test_a_classifier_hardly_tells_them_from_real_rows(fitted):
    real, fake = shop(seed=1), fitted.sample(ROWS, random_state=0)
    values = [fitted.preprocessor_.values(frame) for frame in (real, fake)]
    shuffled = np.column_stack([np.random.default_rng(j).permutation(x) for j, x in enumerate(values[0].T)])
    assert real_vs_synthetic(values[0], shuffled) > 0.9
    assert real_vs_synthetic(*values) < 0.75


def test_the_diagnosis_compares_them_with_real_rows(fitted):
    diagnosis = fitted.diagnosis_
    assert list(diagnosis.columns) == list(shop().columns)
    assert max(diagnosis.columns.values()) < 0.2
    assert diagnosis.measures["column_distance"] == pytest.approx(np.mean(list(diagnosis.columns.values())))
    assert diagnosis.measures["correlation_error"] < 0.1
    assert 0.4 < diagnosis.measures["real_vs_synthetic"] < 0.75
    assert diagnosis.measures["false_alarms_of_synthetic"] < 0.1
    assert diagnosis.measures["nearest_ratio"] > 0.5


def test_the_generator_s_row_decides(fitted):
    """Rows decoded from one generated row are more alike than rows decoded from many."""
    rows, drafts = fitted.fitted_state.rows, fitted.module_.sample
    whole = fitted.sample(300, random_state=0)["price"].map(np.log).std()

    class One:
        def __call__(self, count):
            return drafts(1)[0].expand(count, -1)

    from anogan.seeding import seeded

    spread = []
    for seed in range(5):
        with seeded(seed):
            spread.append(fitted.preprocessor_.restore(rows.sample(One(), 300))["price"].map(np.log).std())
    assert np.mean(spread) < whole


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_generator_of_rows(name):
    cls = anogan.detector_class(name)
    detector = cls(**cls.tiny | {"random_state": 0, "device": "cpu", "target_fpr": 0.1}).fit(shop(60), restarts=0)
    fake = detector.sample(40, random_state=1)
    assert (fake["day"].dt.normalize() == fake["day"]).all()
    assert np.isfinite(detector.anomaly_score(fake)).all()
    assert fake.equals(detector.sample(40, random_state=1))
    assert not fake.equals(detector.sample(40, random_state=2))


def test_arrays_have_exact_zeros_too():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((400, 3)) < 0.5, 0.0, rng.normal(size=(400, 3)))
    fake = anogan.WGANGP(**anogan.WGANGP.tiny | {"random_state": 0, "target_fpr": 0.1, "steps": 150}).fit(X).sample(400)
    assert_array_equal((fake == 0).mean(0).round(1) > 0.2, True)
    assert np.abs(fake).max() <= np.abs(X).max()


def test_a_condition_stays_with_its_sample():
    rng = np.random.default_rng(0)
    labels = rng.choice(["low", "high"], 400)
    X = rng.normal(size=(400, 2)) * 0.1 + np.where(labels == "low", -5.0, 5.0)[:, None]
    params = anogan.ConditionalGAN.tiny | {"steps": 300, "random_state": 0, "target_fpr": 0.1, "device": "cpu"}
    fake = anogan.ConditionalGAN(**params).fit(anogan.Conditioned(X, labels)).sample(200, random_state=0)
    right = (fake.X[:, 0] < 0) == (fake.labels == "low").to_numpy()
    assert right.mean() > 0.9
