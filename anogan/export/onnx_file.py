"""Writing a detector as an ONNX file."""

import base64
import contextlib
import importlib
import io
import json
import logging
import os
import warnings
from importlib.metadata import version
from typing import Any

import torch
from safetensors.numpy import save

from ..data.columns import CategoryColumn
from ..data.preprocessor import Preprocessor
from ..data.state import encode
from ..errors import InputError
from ..files.writing import written_whole
from .graph import Fitted, ScoringGraph, check_exportable
from .names import FORMAT, PREFIX, REFERENCE, SCORES

OPSET = 18


def write_onnx(path: str | os.PathLike[str], name: str, state: Fitted, *, with_map: bool = True) -> None:
    """Write one graph from the user's input to score, p-value, flag and map; see `Detector.to_onnx`."""
    check_exportable(name, state)
    onnx, _ = _library("onnx"), _library("onnxscript")
    graph = ScoringGraph(state, with_map=with_map).eval()
    rows = torch.export.Dim("rows")
    sizes: tuple[dict[int, Any], ...] = tuple({0: rows} for _ in graph.example)
    if graph.is_image and graph.encoder.of_folder:
        sizes[0].update({1: torch.export.Dim("height"), 2: torch.export.Dim("width")})
    with torch.no_grad(), _quiet(), _refused(name):
        graph(*graph.example)  # modules remember which parts of themselves they use
        program = torch.onnx.export(
            graph,
            graph.example,
            dynamo=True,
            dynamic_shapes=sizes,
            opset_version=OPSET,
            input_names=graph.input_names,
            output_names=graph.output_names,
            verbose=False,
        )
    assert program is not None
    # Nodes would keep the lines of code that they come from, with the paths of this machine.
    _library("onnx_ir.passes.common").ClearMetadataAndDocStringPass()(program.model)
    model = program.model_proto
    rows_of_graph = model.graph.input[0].type.tensor_type.shape.dim[0]
    if not rows_of_graph.dim_param:  # the networks look at the number of rows
        raise InputError(f"{name} cannot be exported: its graph takes batches of {rows_of_graph.dim_value} alone.")
    onnx.helper.set_model_props(model, metadata(name, state))
    model.producer_name, model.producer_version = "anogan", version("anogan")
    with written_whole(path) as file:
        file.write(model.SerializeToString())


def metadata(name: str, state: Fitted) -> dict[str, str]:
    """Return what an ONNX file tells of its model, as texts by name.

    "anogan.schema" is meant for users of other languages: what the inputs are, and which number stands for which
    category.
    """
    values, arrays = encode(state.preprocessor.to_state())
    calibration = state.calibration
    arrays |= {SCORES: calibration.scores}
    if calibration.reference is not None:
        arrays |= {REFERENCE: calibration.reference}
    return {
        f"{PREFIX}format": str(FORMAT),
        f"{PREFIX}version": version("anogan"),
        f"{PREFIX}detector": name,
        f"{PREFIX}schema": json.dumps(schema(state.preprocessor), allow_nan=False),
        f"{PREFIX}roles": json.dumps(state.roles),
        f"{PREFIX}fitted_on": json.dumps(state.fitted_on),
        f"{PREFIX}threshold": repr(calibration.threshold),
        f"{PREFIX}map_threshold": json.dumps(calibration.map_threshold),
        f"{PREFIX}map_start": json.dumps(calibration.map_start),
        f"{PREFIX}held_out": json.dumps(calibration.held_out),
        f"{PREFIX}eps": repr(state.inference.eps),
        f"{PREFIX}preprocessor": values.decode(),
        f"{PREFIX}arrays": base64.b64encode(save(arrays)).decode(),
    }


def schema(preprocessor: Preprocessor) -> dict[str, Any]:
    """Return what the inputs of a graph are: the columns of rows in their order, or the kind of pictures."""
    columns = []
    for column in [] if preprocessor.spec_.is_image else preprocessor.columns_:
        entry: dict[str, Any] = {"name": column.name, "kind": column.kind, "missing": column.missing}
        if isinstance(column, CategoryColumn):
            entry["categories"] = [str(category) for category in column.categories]
        columns.append(entry)
    return {"kind": preprocessor.kind, "columns": columns}


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"An export needs the package {name}; install it with: pip install 'anogan[onnx]'.") from None


@contextlib.contextmanager
def _refused(name: str) -> Any:
    """Say in one sentence that torch cannot turn these networks into a graph."""
    try:
        yield
    except torch.onnx.errors.OnnxExporterError as error:
        raise InputError(
            f"{name} cannot be exported yet: its networks are no graph of any number of samples."
        ) from error


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep the exporter's progress off standard output, and its remarks about operators."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
