"""Models in MLflow."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import anogan

pytestmark = pytest.mark.slow  # importing MLflow takes seconds
mlflow = pytest.importorskip("mlflow")


def tiny(X, cls=anogan.GANomaly):
    return cls(**cls.tiny, random_state=0, device="cpu", target_fpr=0.2, n_members=1).fit(X)


def table(rows, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": rng.lognormal(3, 1, rows),
            "count": rng.poisson(3, rows),
            "kind": rng.choice(["a", "b"], rows),
            "open": rng.uniform(size=rows) < 0.5,
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(rows) * 5, unit="h"),
        }
    )


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    import anogan.mlflow

    detector = tiny(table(80, 0))
    path = tmp_path_factory.mktemp("saved") / "model"
    anogan.mlflow.save_model(detector, str(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database needs packages that mlflow-skinny does not have
        mlflow.set_tracking_uri((tmp_path_factory.mktemp("mlflow") / "runs").as_uri())
        yield detector, str(path)


def test_a_saved_model_scores_like_the_detector(logged):
    detector, path = logged
    new = table(20, 1)
    new.loc[2, "kind"], new.loc[3, "amount"] = "new", np.inf
    expected = detector.score_table(new)
    got = mlflow.pyfunc.load_model(path).predict(new)
    for name in ("score", "p_value"):
        np.testing.assert_array_equal(got[name], expected[name])
    assert got["flag"].isna().tolist() == expected["flag"].isna().tolist()
    assert got["status"].tolist() == expected["status"].tolist()
    whole = new.assign(amount=5)  # whole numbers in a column of decimals
    np.testing.assert_array_equal(
        mlflow.pyfunc.load_model(path).predict(whole)["score"], detector.score_table(whole)["score"]
    )


def test_the_detector_itself_comes_back(logged):
    import anogan.mlflow

    detector, path = logged
    again = anogan.mlflow.load_model(path)
    np.testing.assert_array_equal(again.anomaly_score(table(9, 2)), detector.anomaly_score(table(9, 2)))


def test_a_saved_model_has_a_signature_an_example_and_no_pickle(logged, tmp_path):
    _, path = logged
    model = mlflow.models.Model.load(path)
    assert model.signature.inputs.input_names() == list(table(2, 0))
    assert model.signature.outputs.input_names() == ["score", "p_value", "flag", "unseen", "status"]
    example = model.load_input_example(path)
    assert mlflow.pyfunc.load_model(path).predict(example)["status"].tolist() == ["ok"]
    files = subprocess.run(["find", path, "-type", "f"], capture_output=True, check=True, text=True).stdout
    assert not [name for name in files.split() if name.endswith((".pkl", ".pickle"))]


def test_arrays_and_pictures(tmp_path):
    import anogan.mlflow

    X = np.random.default_rng(0).normal(size=(40, 3))
    detector = tiny(X)
    anogan.mlflow.save_model(detector, str(tmp_path / "array"))
    got = mlflow.pyfunc.load_model(str(tmp_path / "array")).predict(X[:5])
    np.testing.assert_array_equal(got["score"], detector.anomaly_score(X[:5]))
    for number, pixels in enumerate(np.random.default_rng(0).integers(80, 160, (12, 16, 16), dtype=np.uint8)):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    folder = anogan.ImageFolder(tmp_path, size=16)
    detector = tiny(folder)
    anogan.mlflow.save_model(detector, str(tmp_path / "pictures"))
    contents = pd.DataFrame({"image": [file.read_bytes() for file in folder.files[:3]] + [b"no picture"]})
    got = mlflow.pyfunc.load_model(str(tmp_path / "pictures")).predict(contents)
    np.testing.assert_allclose(got["score"][:3], detector.anomaly_score(folder[:3]), rtol=1e-6)
    assert got["status"][3].startswith("not a picture")


def test_a_model_is_logged_and_other_models_are_refused(logged, tmp_path):
    import anogan.mlflow

    detector, _ = logged
    with mlflow.start_run():
        info = anogan.mlflow.log_model(detector)
    assert anogan.mlflow.load_model(info.model_uri).name == "ganomaly"
    (tmp_path / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: other\n    data: x\n")
    with pytest.raises(anogan.InputError, match="not a model that"):
        anogan.mlflow.load_model(str(tmp_path))


@pytest.mark.cluster
def test_spark_scores_with_a_saved_model(logged, monkeypatch):
    import anogan.mlflow

    session = pytest.importorskip("pyspark.sql").SparkSession
    detector, path = logged
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    spark = session.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        new = table(20, 3)
        score = mlflow.pyfunc.spark_udf(spark, path, result_type=anogan.mlflow.RESULT, env_manager="local")
        rows = spark.createDataFrame(new).withColumn("s", score(*new.columns)).select("s.score", "s.flag").collect()
    finally:
        spark.stop()
    expected = detector.score_table(new)
    np.testing.assert_array_equal([row.score for row in rows], expected["score"])
    assert [row.flag for row in rows] == expected["flag"].tolist()


def test_a_missing_package_is_named():
    script = "import sys; sys.modules['mlflow'] = None; import anogan.mlflow"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "pip install 'anogan[mlflow]'" in run.stderr
