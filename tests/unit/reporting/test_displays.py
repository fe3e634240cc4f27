"""Displays: as scikit-learn's, drawn on given axes or on new ones."""

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import anogan
from anogan import AnomalyMapDisplay, InputError, ScoreDisplay, TrainingCurvesDisplay

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(60, 3))


@pytest.fixture(scope="module")
def detector(X):
    return anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(X)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).random((20, 1, 8, 8))


@pytest.fixture(scope="module")
def picture_detector(pictures):
    return anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(pictures)


def test_scores_are_drawn_with_the_threshold(detector, X):
    ax = Figure().subplots()
    display = ScoreDisplay.from_estimator(detector, X, ax=ax)
    assert (display.ax_, display.figure_) == (ax, ax.figure)
    np.testing.assert_array_equal(display.scores, detector.anomaly_score(X))
    assert set(ax.lines[0].get_xdata()) == {detector.calibration_.threshold}
    assert ax.get_title() == "ganomaly"
    labelled = ScoreDisplay.from_estimator(detector, X, np.arange(60) % 2, ax=Figure().subplots())
    assert [text.get_text() for text in labelled.ax_.get_legend().get_texts()] == ["normal", "anomalous", "threshold"]


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 5.0])
@pytest.mark.parametrize(
    "scores", [np.linspace(-9.0, -2.0, 50), np.append(np.linspace(-9.0, -2.0, 50), 1e6), np.zeros(9)]
)
def test_no_bar_of_scores_below_the_threshold_reaches_beyond_it(scores, threshold):
    ax = ScoreDisplay(scores, threshold=threshold).plot(Figure().subplots()).ax_
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
    width = ax.patches[0].get_width()
    assert max(ends) > threshold
    beyond = sum(bar.get_height() * width for bar in ax.patches if bar.get_x() >= threshold)
    assert beyond <= (scores > threshold - width).mean() + 1e-9


def test_a_display_can_be_drawn_again(detector, X):
    display = ScoreDisplay.from_estimator(detector, X)
    first = display.ax_
    ax = Figure().subplots()
    assert display.plot(ax).ax_ is ax
    assert display.plot().ax_ not in (first, ax)
    matplotlib.pyplot.close("all")


def test_training_curves_are_the_history(detector):
    display = TrainingCurvesDisplay.from_estimator(detector, ax=Figure().subplots())
    drawn = {line.get_label(): line for line in display.lines_}
    for stage, terms in detector.history_.items():
        for term, values in terms.items():
            if term != "step" and len(values) == len(terms["step"]):
                line = drawn[f"{stage}: {term}".replace("_", " ")]
                np.testing.assert_array_equal(line.get_ydata(), values)
    stage = next(iter(detector.history_))
    assert len(TrainingCurvesDisplay.from_estimator(detector, stage=stage, ax=Figure().subplots()).lines_) > 0
    with pytest.raises(InputError, match="no stage 'moon'"):
        TrainingCurvesDisplay.from_estimator(detector, stage="moon")


def test_a_map_is_drawn_over_its_picture(picture_detector, pictures, detector, X):
    display = AnomalyMapDisplay.from_estimator(picture_detector, pictures, index=3, ax=Figure().subplots())
    expected = picture_detector.explain(pictures[3:4]).sum(1)[0]
    np.testing.assert_allclose(display.anomaly_map, expected, rtol=1e-5)
    assert display.ax_.images[0].get_array().shape == (8, 8, 3)
    assert display.threshold == picture_detector.calibration_.map_threshold
    score = picture_detector.anomaly_score(pictures[3:4])[0]
    assert display.ax_.get_title() == f"score {score:.4g}"
    with pytest.raises(InputError, match="no picture 20"):
        AnomalyMapDisplay.from_estimator(picture_detector, pictures, index=20)
    with pytest.raises(InputError, match="fitted on pictures"):
        AnomalyMapDisplay.from_estimator(detector, X)


def test_good_is_normal_in_a_folder_in_mvtec_layout(pictures, tmp_path):
    as_bytes = (pictures * 255).astype(np.uint8)
    for number, folder in enumerate(("train/good", "test/good", "test/good", "test/hole")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(as_bytes[number, 0]).save(tmp_path / folder / f"{number}.png")
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(as_bytes)
    display = ScoreDisplay.from_estimator(detector, tmp_path, ax=Figure().subplots())
    assert display.anomalous.tolist() == [False, False, True]
