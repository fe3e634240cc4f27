"""Models in MLflow: logged, registered and scored as Python functions, without pickles.

A logged model holds the model file itself, which runs no code when it is read. ``pip install "anogan[mlflow]"``.
"""

from __future__ import annotations

import io
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from .batch.worker import Work
from .data.example import example_row
from .detectors.base import Detector
from .errors import InputError

try:
    import mlflow.pyfunc
    from mlflow.artifacts import download_artifacts
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec
    from mlflow.types.schema import AnyType
except ImportError as error:
    raise InputError(
        f"anogan.mlflow needs the package {error.name}; install it with: pip install 'anogan[mlflow]'."
    ) from None

FILE = "model.anogan"
FLAVOR = "anogan"
IMAGE = "image"
"""The column with the contents of picture files."""
RESULT = "score double, p_value double, flag boolean, unseen string, status string"
"""What a logged model returns for rows, as ``result_type`` of `mlflow.pyfunc.spark_udf`."""
_TYPES: dict[str, Any] = {"double": AnyType(), "bool": "boolean", "string": "string"}
"""Type of a column in a file -> in a signature, where "double" would refuse whole numbers."""


def save_model(detector: Detector, path: str, **options: Any) -> None:
    """Write a fitted detector as an MLflow model into a new folder.

    Parameters
    ----------
    detector : Detector
        Fitted.
    path : str
        The folder.
    **options
        Further arguments of `mlflow.pyfunc.save_model`, such as ``metadata``. Signature, input example and requirements
        are the detector's unless they are given.
    """
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(path, **_described(detector, folder) | options)


def log_model(detector: Detector, name: str = "model", **options: Any) -> Any:
    """Log a fitted detector in MLflow's active run.

    Parameters
    ----------
    detector : Detector
        Fitted.
    name : str
        Of the model in the run.
    **options
        Further arguments of `mlflow.pyfunc.log_model`, such as ``registered_model_name``.

    Returns
    -------
    mlflow.models.model.ModelInfo
    """
    with tempfile.TemporaryDirectory() as folder:
        return mlflow.pyfunc.log_model(name=name, **_described(detector, folder) | options)


def load_model(model_uri: str) -> Detector:
    """Return the detector that was logged or saved; `mlflow.pyfunc.load_model` gives its scores as a function.

    Raises
    ------
    InputError
        The model is of another kind.
    """
    folder = Path(download_artifacts(artifact_uri=model_uri))
    flavors = Model.load(str(folder)).flavors
    data = flavors.get("python_function", {}).get("data")
    if FLAVOR not in flavors.get("python_function", {}).get("loader_module", "") or data is None:
        raise InputError(f"{model_uri} is not a model that anogan.mlflow logged.")
    return Detector.load(folder / data, device="cpu")


class PythonFunction:
    """The function of a logged model: scores of rows of a table or an array, or of pictures.

    Parameters
    ----------
    detector : Detector
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return a score, a p-value, a flag and a status for each row.

        Parameters
        ----------
        model_input : DataFrame or array
            Rows like those of the fit. For a model of pictures a table with the contents of their files in the column
            "image".
        params : dict, optional
            Not used; there are none.
        """
        del params
        if self.detector.preprocessor_.kind != "image":
            if self.detector.preprocessor_.kind == "vector":
                model_input = np.asarray(model_input, dtype=np.float64)
            scored = self.detector.score_table(model_input)
            return scored.assign(flag=scored["flag"].astype(object).where(scored["flag"].notna(), None))
        import pyarrow as pa

        work = Work(("score", "p_value", "flag", "status"), keep=(), column=IMAGE)
        table = pa.table({IMAGE: pa.array(list(model_input[IMAGE]), pa.binary())})
        return work.checked(self.detector, table.schema).scored(self.detector, table).to_pandas()


def _load_pyfunc(path: str) -> PythonFunction:
    """Load a logged model; `mlflow.pyfunc.load_model` calls it."""
    return PythonFunction(Detector.load(path, device="cpu"))


def _described(detector: Detector, folder: str) -> dict[str, Any]:
    file = Path(folder) / FILE
    detector.save(file)
    return {
        "loader_module": __name__,
        "data_path": str(file),
        "signature": _signature(detector),
        "input_example": _example(detector),
        "pip_requirements": [f"anogan=={version('anogan')}"],
        "metadata": {"detector": detector.name, "threshold": detector.calibration_.threshold},
    }


def _example(detector: Detector) -> Any:
    if detector.preprocessor_.kind != "image":
        return example_row(detector.preprocessor_)
    buffer = io.BytesIO()
    _, height, width = detector.preprocessor_.spec_.shape
    Image.new("L", (width, height), 128).save(buffer, "PNG")
    return pd.DataFrame({IMAGE: [buffer.getvalue()]})


def _signature(detector: Detector) -> ModelSignature:
    preprocessor = detector.preprocessor_
    if preprocessor.kind == "image":
        inputs = Schema([ColSpec("binary", IMAGE)])
    elif preprocessor.kind == "vector":
        inputs = Schema([TensorSpec(np.dtype(np.float64), (-1, len(preprocessor.columns_)))])
    else:
        types = preprocessor.column_types()
        kinds = {str(name): _TYPES.get(kind, "datetime") for name, kind in types.items()}
        inputs = Schema([ColSpec(kind, name, required=False) for name, kind in kinds.items()])
    marks = [] if preprocessor.kind == "image" else [ColSpec("string", "unseen")]
    own = [ColSpec("double", "score"), ColSpec("double", "p_value"), ColSpec("boolean", "flag")]
    return ModelSignature(inputs, Schema([*own, *marks, ColSpec("string", "status")]))
