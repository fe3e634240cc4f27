"""The curves in TensorBoard's and MLflow's own files, read back by their own readers."""

import importlib.util
import sys
import warnings

import numpy as np
import pytest

import anogan

needs_tensorboard = pytest.mark.skipif(
    not importlib.util.find_spec("tensorboard"),
    reason="tensorboard is not installed: pip install 'anogan[tensorboard]'",
)
needs_mlflow = pytest.mark.skipif(
    not importlib.util.find_spec("mlflow"), reason="mlflow is not installed: pip install 'anogan[mlflow]'"
)


def fit(*callbacks, **changes):
    X = np.random.default_rng(0).normal(size=(400, 3))
    settings = anogan.WGANGP.tiny | {"device": "cpu", "random_state": 0, "n_members": 1, "steps": 7} | changes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
        return anogan.WGANGP(**settings).fit(X, callbacks=callbacks)


def curves(detector):
    """``{tag: [(step, value), ...]}``, in single precision as TensorBoard keeps them."""
    return {
        f"{stage}/{name}": list(zip(curve["step"], np.float32(values).tolist(), strict=True))
        for stage, curve in detector.history_.items()
        for name, values in curve.items()
        if name != "step"
    }


@needs_tensorboard
def test_tensorboard_reads_every_curve_and_the_verdict(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    detector = fit(anogan.TensorBoardLogger(tmp_path / "logs"))
    read = EventAccumulator(str(tmp_path / "logs"))
    read.Reload()
    found = {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
    assert {"gan/critic/gradient_norm", "gan/held_out/critic_accuracy"} <= set(found)
    expected = curves(detector)
    assert set(found) == set(expected)
    for tag, points in found.items():  # a phase that is not trained at each step has its last value in `history_`
        assert set(points) <= set(expected[tag]), tag
        assert points[0][1] == expected[tag][0][1]
    (text,) = read.Tensors("diagnosis/text_summary")
    assert text.tensor_proto.string_val[0].decode() == detector.diagnosis_.verdict


@needs_tensorboard
def test_further_attempts_are_runs_of_their_own(tmp_path):
    logger = anogan.TensorBoardLogger(tmp_path)
    for number in (1, 2):
        logger.on_attempt_begin(number, 0, 1e-3)
        logger.on_step_end("gan", 1, {"loss": 1.0})
    logger.on_fit_end(None)
    assert [len(list(folder.glob("events.*"))) for folder in (tmp_path, tmp_path / "attempt-2")] == [1, 1]


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # which newer versions want to hear
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    yield mlflow
    mlflow.set_tracking_uri(before)


def metric(mlflow, run, name):
    return [(m.step, np.float32(m.value)) for m in mlflow.MlflowClient().get_metric_history(run.info.run_id, name)]


@needs_mlflow
def test_mlflow_gets_parameters_curves_and_verdict_in_a_run_of_its_own(mlflow):
    detector = fit(anogan.MLflowLogger())
    assert mlflow.active_run() is None
    (run,) = mlflow.search_runs(output_format="list")
    assert run.info.status == "FINISHED"
    assert run.data.params["steps"] == "7"
    assert run.data.params["random_state"] == "0"
    assert run.data.tags["diagnosis"] == detector.diagnosis_.verdict
    assert detector.diagnosis_.measures
    assert {k: run.data.metrics[k] for k in detector.diagnosis_.measures} == detector.diagnosis_.measures
    for tag in ("gan/held_out/monitor", "gan/critic/gradient_norm"):
        assert metric(mlflow, run, tag) == curves(detector)[tag]


@needs_mlflow
def test_mlflow_writes_to_the_active_run_and_leaves_it_open(mlflow):
    with mlflow.start_run() as mine:
        fit(anogan.MLflowLogger())
        assert mlflow.active_run().info.run_id == mine.info.run_id
    assert len(mlflow.search_runs(output_format="list")) == 1


@needs_mlflow
def test_a_logger_that_was_used_before_leaves_the_active_run_open(mlflow):
    logger = anogan.MLflowLogger()
    fit(logger)
    with mlflow.start_run() as mine:
        logger.on_fit_end(None)  # of a fit that failed before it began
        assert mlflow.active_run().info.run_id == mine.info.run_id


@needs_mlflow
def test_a_failed_fit_is_a_failed_run(mlflow):
    class Stop(anogan.Callback):
        def on_step_end(self, stage, step, terms):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(anogan.MLflowLogger(), Stop())
    (run,) = mlflow.search_runs(output_format="list")
    assert run.info.status == "FAILED"


@pytest.mark.parametrize(
    ("name", "module"), [("TensorBoardLogger", "torch.utils.tensorboard"), ("MLflowLogger", "mlflow")]
)
def test_a_missing_package_is_named_at_once(name, module, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, module, None)
    arguments = [tmp_path] if name == "TensorBoardLogger" else []
    with pytest.raises(anogan.InputError, match=r"pip install 'anogan\[(tensorboard|mlflow)\]'"):
        getattr(anogan, name)(*arguments)
