"""Exported graphs score like the detectors they come from."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from sklearn.datasets import load_breast_cancer, load_digits

import anogan
from anogan.export.graph import ScoringGraph
from anogan.testing import Case

from .conftest import DETECTORS

pytest.importorskip("onnxruntime")

SEARCHING = {"anogan"}
"""Detectors that score by a search, which no graph can do."""
ROWS, PICTURES = 200, 20


def real_data(modality):
    """Training samples and new ones of a real data set: an array, a mixed table with gaps, or pictures."""
    if modality == "grey":
        pictures = load_digits().images[:, None] / 16
        return pictures[:200], pictures[200 : 200 + PICTURES]
    table = load_breast_cancer(as_frame=True).data.iloc[:, :8]
    if modality == "vector":
        X = table.to_numpy()
        return X[:300], X[300 : 300 + ROWS]
    size = np.where(table["mean radius"] > 14, "large", "small").astype(object)
    table = table.assign(size=size, smooth=table["mean smoothness"] < 0.1)
    table.loc[::7, "mean texture"] = np.nan
    return table[:300], table[300 : 300 + ROWS]


def assert_the_calibration_is_kept(model, detector):
    """The units of members are part of the graph; all else of the calibration is in the file, bit for bit."""
    got, expected = model.calibration_, detector.calibration_
    names = [field.name for field in fields(expected) if field.name not in ("location", "scale")]
    assert_equal(*({name: getattr(calibration, name) for name in names} for calibration in (got, expected)))


CASES = [
    pytest.param(name, modality, id=f"{name}-{modality}")
    for name in DETECTORS
    if name not in SEARCHING
    for modality in ("vector", "table", "grey")
]


@pytest.mark.slow  # an export takes seconds, of FeatureGAN half a minute; tests/unit/export checks one of a mixed table
@pytest.mark.parametrize(("name", "modality"), CASES)
def test_an_exported_graph_scores_like_its_detector(name, modality, tmp_path):
    normal, new = real_data(modality)
    detector = Case(DETECTORS[name], modality).fit(normal, precision="float32", n_members=2, target_fpr=0.1)
    detector.to_onnx(tmp_path / "model.onnx")
    model = anogan.OnnxModel(tmp_path / "model.onnx", threads=1)
    expected = detector.anomaly_score(new)
    tolerance = 1e-4 * np.ptp(detector.calibration_.scores)
    assert_the_calibration_is_kept(model, detector)
    assert_allclose(model.anomaly_score(new), expected, rtol=1e-4, atol=tolerance)
    clear = abs(expected - detector.calibration_.threshold) > tolerance
    assert_array_equal(model.predict(new)[clear], detector.predict(new)[clear])
    assert_allclose(model.anomaly_score(new[:1]), expected[:1], rtol=1e-4, atol=tolerance)  # another batch size
    if modality == "grey" and (detector.module_.can("anomaly_map") or detector.module_.can("reconstruct")):
        maps = detector.predict_maps(new)[1].sum(1)
        assert_allclose(model.maps(new), maps, rtol=1e-3, atol=1e-4 * maps.max())


def test_the_graph_of_feature_gan_is_traced_for_any_number_of_pictures_and_scores_like_it():
    """The operators that are then translated; what ONNX Runtime makes of them is a slow test."""
    normal, new = real_data("grey")
    detector = Case(DETECTORS["feature_gan"], "grey").fit(normal, precision="float32", n_members=2, target_fpr=0.1)
    graph = ScoringGraph(detector.fitted_state, with_map=True).eval()
    with torch.no_grad():
        graph(*graph.example)
        shapes = ({0: torch.export.Dim("rows")},)
        traced = torch.export.export(graph, graph.example, dynamic_shapes=shapes, strict=False).module()
        pictures = torch.from_numpy(detector.preprocessor_.graph_inputs(new)["pictures"])
        score, p_value, _, maps = traced(pictures)
        alone = traced(pictures[:1])[0]
    expected, expected_maps = detector.anomaly_score(new), detector.predict_maps(new)[1].sum(1)
    tolerance = 1e-4 * np.ptp(detector.calibration_.scores)
    assert_allclose(score, expected, rtol=1e-4, atol=tolerance)
    assert_allclose(alone, expected[:1], rtol=1e-4, atol=tolerance)
    assert_allclose(p_value, detector.p_value(new), atol=1.5 / (1 + len(detector.calibration_.scores)))
    assert_allclose(maps, expected_maps, rtol=1e-3, atol=1e-4 * expected_maps.max())


@pytest.mark.parametrize("name", sorted(SEARCHING))
def test_a_detector_that_searches_says_why_it_cannot_be_exported(name, tmp_path):
    detector = Case(DETECTORS[name], "vector").fitted
    with pytest.raises(anogan.InputError, match="searches the latent space"):
        detector.to_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
