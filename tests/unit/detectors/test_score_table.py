"""`Detector.score_table`: what `anogan score` writes, in memory."""

import numpy as np
import pandas as pd
import pytest

import anogan
from anogan import InputError


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"x": rng.normal(size=60), "y": rng.normal(size=60), "shop": ["n", "s", "w"] * 20})


@pytest.fixture(scope="module")
def detector(X):
    return anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, precision="float64", random_state=0).fit(X)


def test_rows_keep_their_index_and_agree_with_the_other_methods(detector, X):
    new = X[:8].set_axis(list("abcdefgh")).assign(shop=["moon", *X["shop"][1:8]])
    table = detector.score_table(new)
    assert table.index.tolist() == list("abcdefgh")
    assert table.columns.tolist() == ["score", "p_value", "flag", "unseen", "status"]
    assert np.array_equal(table["score"], detector.anomaly_score(new))
    assert np.array_equal(table["p_value"], detector.p_value(new))
    assert np.array_equal(table["flag"].astype(bool), detector.predict(new) == -1)
    assert table["unseen"].isna().tolist() == [False] + [True] * 7
    assert table["unseen"].iloc[0] == "shop"


def test_a_polars_table_is_scored_like_one_of_pandas(detector, X):
    import polars

    new = X[:4].assign(shop=["moon", "n", None, "s"])
    other = detector.score_table(polars.from_pandas(new))
    assert np.array_equal(other["score"], detector.score_table(new)["score"])
    assert other["unseen"].isna().tolist() == [False, True, False, True]


def test_a_gap_is_evidence_or_skipped_by_choice(detector, X):
    new = X[:3].assign(x=[np.nan, 1.0, 2.0])
    scored, skipped = detector.score_table(new), detector.score_table(new, on_gap="skip")
    assert scored["status"].tolist() == ["ok"] * 3
    assert scored["unseen"].iloc[0] == "x"
    known = [detector.anomaly_score(new.assign(x=value))[0] for value in detector.preprocessor_.columns_[0].known]
    assert scored["score"].iloc[0] >= max(known)
    assert skipped["status"].tolist() == ["missing value in 'x'", "ok", "ok"]
    assert skipped["score"].isna().tolist() == [True, False, False]
    assert np.allclose(skipped["score"].iloc[1:], scored["score"].iloc[1:], rtol=1e-12)


def test_a_table_without_a_usable_row_has_no_scores(detector, X):
    table = detector.score_table(X[:2].assign(x=np.inf))
    assert table["score"].isna().all()
    assert table["status"].tolist() == ["infinite value in 'x'"] * 2


def test_what_concerns_the_whole_table_is_an_error(detector, X):
    with pytest.raises(InputError, match="feature names"):
        detector.score_table(X.drop(columns="x"))
    with pytest.raises(InputError, match="on_gap must be 'score' or 'skip', got 'stop'"):
        detector.score_table(X, on_gap="stop")


def test_evaluate_and_report_leave_rows_without_a_score_out_and_count_them(detector, X):
    new, y = X[:40].assign(x=[np.inf, *X["x"][1:40]]), np.arange(40) % 4 == 0
    stream = anogan.Stream.of(detector, new, y)
    assert anogan.evaluate(detector, stream)["rows"] == 39
    assert stream.unscored.rows == 1
    assert stream.notes() == ["1 row cannot be scored: infinite value in 'x' (row 0)."]
    top = anogan.TopK.of(anogan.Stream(detector, new), highest=40)
    assert sorted(chunk.first for chunk, _ in top.highest) == list(range(1, 40))
    for chunk, score in top.highest:
        assert score == pytest.approx(detector.anomaly_score(new.iloc[[chunk.first]])[0], rel=1e-9)
    facts = anogan.Report.from_estimator(detector, new, y).facts
    assert facts["count"] == 39
    assert "1 row cannot be scored: infinite value in 'x' (row 0)." in facts["notes"]


def test_a_row_with_a_gap_is_not_taken_for_the_row_of_the_fit_that_has_the_median_there():
    X = pd.DataFrame({"x": [0.5, 1.5, 1.5, 2.5] * 15, "shop": ["n", "s"] * 30})
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(X)
    assert detector.was_fitted_on(X[:2]).all()
    assert not detector.was_fitted_on(X[:2].assign(x=np.nan)).any()
