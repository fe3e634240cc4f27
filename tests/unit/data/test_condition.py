"""The condition is given with each sample and carried as one more entry; it is neither scored nor guessed."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image

import anogan
from anogan.data.choose import preprocessor_for
from anogan.data.condition import Conditioned, ConditionPreprocessor, split_condition

KINDS = np.array(["card", "cash", "cheque"])
CHEAP = {"device": "cpu", "precision": "float64", "random_state": 0, "n_members": 1}


def table(rows=60, seed=0):
    """The amount is about 1, 2 or 3, which is normal for one kind each."""
    rng = np.random.default_rng(seed)
    kind = np.arange(rows) % 3
    return pd.DataFrame(
        {"hour": rng.uniform(0, 24, rows), "kind": KINDS[kind], "amount": kind + 1 + 0.05 * rng.normal(size=rows)}
    )


def pictures(rows=24, seed=0):
    return np.random.default_rng(seed).uniform(size=(rows, 1, 8, 8))


def detector(**changes):
    return anogan.ConditionalGAN(**anogan.ConditionalGAN.tiny | CHEAP | changes)


@pytest.fixture(autouse=True)
def _quiet():
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
        yield


@pytest.fixture(scope="module")
def fitted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
        return detector(condition="kind").fit(table())


def test_a_table_s_samples_end_with_the_number_of_their_class():
    X = table(6)
    preprocessor = preprocessor_for(X, condition="kind").fit(X)
    assert preprocessor.spec_.shape == (2,)
    assert preprocessor.spec_.classes == 3
    x = preprocessor.transform(X, torch.float64).batch(np.arange(6))
    assert x[:, -1].tolist() == [0, 1, 2, 0, 1, 2]
    pd.testing.assert_frame_equal(preprocessor.inverse(x.numpy()), X)


def test_pictures_carry_their_class_as_a_constant_channel():
    X = Conditioned(pictures(4), ["left", "right", "left", "left"])
    preprocessor = preprocessor_for(X).fit(X)
    samples = preprocessor.transform(X, torch.float32)
    batches = list(samples.subset(np.array([3, 1])).batches(iter([np.array([0]), np.array([1])])))
    assert [b.shape for b in batches] == [(1, 2, 8, 8)] * 2
    assert (batches[0][0, 1] == 0).all()
    assert (batches[1][0, 1] == 1).all()
    back = preprocessor.inverse(samples.batch(np.arange(4)).double().numpy())
    assert back.labels.tolist() == ["left", "right", "left", "left"]
    np.testing.assert_allclose(back.X, X.X, atol=1e-6)


def test_an_exported_graph_takes_the_number_of_a_picture_s_class_which_must_be_known():
    X = Conditioned(pictures(), KINDS[np.arange(24) % 3])
    preprocessor = preprocessor_for(X).fit(X)
    first, second = preprocessor.graph_batches(X, 16)
    assert_array_equal(first["pictures"], X.X[:16])
    assert_array_equal(second["condition"], np.arange(16, 24) % 3)
    with pytest.raises(anogan.InputError, match=r"does not know 'coin'.*\(20 rows\)"):
        next(preprocessor.graph_batches(Conditioned(X.X[:20], ["coin"] * 20), 16))


def test_samples_of_other_classes_have_another_fingerprint():
    prints = set()
    for labels in ("aabb", "abab"):
        X = Conditioned(pictures(4), list(labels))
        prints.add(preprocessor_for(X).fit(X).transform(X, torch.float32).fingerprint())
    assert len(prints) == 2


@pytest.mark.parametrize("values", [[3, 7, 7, 3], [True, False, True, False], pd.Categorical(list("abba"))])
def test_numbers_and_categories_are_classes_and_come_back_as_they_were(values):
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "c": values})
    preprocessor = preprocessor_for(X, condition="c").fit(X)
    x = preprocessor.transform(X, torch.float64).batch(np.arange(4)).numpy()
    pd.testing.assert_frame_equal(preprocessor.inverse(x), X)


def test_the_same_row_is_normal_in_one_context_and_not_in_another():
    normal = detector(condition="kind", steps=500, batch_size=64, width=32, n_members=2, patience=0).fit(table(600))
    new = table(60, seed=1)
    moved = new.assign(kind=np.roll(KINDS, 1)[np.arange(60) % 3])
    assert (normal.predict(new) == 1).mean() > 0.9
    assert (normal.predict(moved) == -1).mean() > 0.9
    assert (normal.explain(moved)["amount"] > normal.explain(moved)["hour"]).mean() > 0.8


def test_an_unknown_condition_is_refused_with_the_closest_ones(fitted):
    new = table(4).assign(kind=["card", "cashh", "cash", "cashh"])
    with pytest.raises(anogan.InputError, match=r"does not know 'cashh'.*'kind' \(2 row.*Did you mean 'cash'"):
        fitted.anomaly_score(new)
    with pytest.raises(anogan.InputError, match="It knows card, cash, cheque"):
        fitted.predict(new.assign(kind="xyz"))


def test_a_missing_condition_is_refused(fitted):
    with pytest.raises(anogan.InputError, match=r"no column 'kind'.*'hour'"):
        fitted.anomaly_score(table().drop(columns="kind"))
    with pytest.raises(anogan.InputError, match=r"'kind' is missing in 1 row"):
        fitted.anomaly_score(table(3).assign(kind=["card", None, "cash"]))
    with pytest.raises(anogan.InputError, match=r"'kind' is missing in 20 row"):
        detector(condition="kind").fit(table().replace({"kind": {"cash": None}}))
    with pytest.raises(anogan.InputError, match=r"no column 'kin'.*Closest: 'kind'"):
        detector(condition="kin").fit(table())
    with pytest.raises(anogan.InputError, match=r"Conditioned\(X, labels\)"):
        detector(condition="kind").fit(np.zeros((20, 3)))


def test_a_model_with_labels_needs_labels_and_one_without_refuses_them():
    X = pictures()
    labels = np.arange(len(X)) % 2
    with_labels = detector().fit(Conditioned(X, labels))
    assert len(with_labels.anomaly_score(Conditioned(X[:3], labels[:3]))) == 3
    with pytest.raises(anogan.InputError, match=r"Conditioned\(X, labels\)"):
        with_labels.anomaly_score(X)
    with pytest.raises(anogan.InputError, match="fitted without one"):
        detector().fit(X).anomaly_score(Conditioned(X, labels))
    with pytest.raises(anogan.InputError, match="WGANGP takes no condition"):
        anogan.WGANGP().fit(Conditioned(X, labels))
    with pytest.raises(anogan.InputError, match="CycleGAN takes no condition"):
        anogan.CycleGAN().fit(X, X_unlabeled=Conditioned(X, labels))


def test_labels_must_match_the_samples():
    with pytest.raises(anogan.InputError, match="4 samples, but there are 3 labels"):
        Conditioned(pictures(4), [1, 2, 3])
    with pytest.raises(anogan.InputError, match="name its column"):
        Conditioned(table(), KINDS)
    with pytest.raises(anogan.InputError, match="labels of its own"):
        split_condition(Conditioned(pictures(2), [1, 2]), "kind")


def test_folders_name_the_classes_of_their_pictures(tmp_path):
    for variant, level in (("blue", 60), ("red", 200)):
        (tmp_path / variant).mkdir()
        for i in range(6):
            Image.fromarray(np.full((8, 8), level + i, np.uint8)).save(tmp_path / variant / f"{i}.png")
    folder = anogan.ImageFolder(tmp_path, size=8)
    fitted = detector(condition="folder").fit(folder)
    assert fitted.preprocessor_.condition_.categories == ["blue", "red"]
    assert fitted.explain(folder).shape == (12, 1, 8, 8)
    (tmp_path / "red").rename(tmp_path / "reds")
    with pytest.raises(anogan.InputError, match=r"'reds'.*Did you mean 'red'"):
        fitted.anomaly_score(anogan.ImageFolder(tmp_path, size=8))


def test_the_model_file_keeps_the_condition(fitted, tmp_path):
    fitted.save(tmp_path / "m.anogan")
    twin = anogan.load(tmp_path / "m.anogan")
    new = table(9, seed=2)
    assert_array_equal(twin.anomaly_score(new), fitted.anomaly_score(new))
    with pytest.raises(anogan.InputError, match="does not know 'gold'"):
        twin.anomaly_score(new.assign(kind="gold"))


def test_reasons_and_samples_have_the_table_s_columns(fitted):
    new = table(9, seed=2).set_index(pd.Index(range(100, 109)))
    reasons = fitted.explain(new)
    assert list(reasons.columns) == ["hour", "kind", "amount"]
    assert list(reasons.index) == list(new.index)
    assert (reasons["kind"] == 0).all()
    drawn = fitted.sample(300, random_state=0)
    assert drawn.dtypes.equals(table().dtypes)
    assert set(drawn["kind"]) == set(KINDS)
    assert np.isfinite(fitted.anomaly_score(drawn)).all()


def test_classes_are_counted_on_training_rows_and_none_is_impossible():
    X = table(60).assign(kind=["rare"] + ["common"] * 59)
    frequency = detector(condition="kind").fit(X).module_.frequency
    assert 0 < frequency[1] < 0.1
    torch.testing.assert_close(frequency.sum(), torch.ones((), dtype=frequency.dtype))


def test_a_condition_alone_is_no_table():
    with pytest.raises(anogan.InputError, match="0 feature"):
        detector(condition="kind").fit(table()[["kind"]])


def test_the_preprocessor_is_of_the_inner_one_s_kind():
    X = table()
    preprocessor = preprocessor_for(X, condition="kind").fit(X)
    assert isinstance(preprocessor, ConditionPreprocessor)
    assert preprocessor.kind == "table"
    assert preprocessor.column_types() == {"hour": "double", "kind": "string", "amount": "double"}
    assert not preprocessor.account(X).unseen.any()
