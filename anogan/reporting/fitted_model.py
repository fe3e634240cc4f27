"""The model on the page: how it was made, its diagnosis, and the curves of its training."""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .charts import curve
from .summary import file_summary, model_summary

_MEASURES = {
    "critic_accuracy": "How often the critic ranks a real sample above a generated one: 0.5 is balanced, near 1 the "
    "critic has won.",
    "coverage": "Share of held-out normal samples with a generated one close by: best is that of training samples, "
    "and less than half of it is mode collapse or low fidelity.",
    "real_coverage": "Share of held-out normal samples with a training sample close by.",
    "generator_coverage": "Coverage of rows as the generator makes them, before values are drawn.",
    "generator_precision": "Precision of rows as the generator makes them, before values are drawn.",
    "precision": "Share of generated samples close to a held-out normal one: best is that of training samples, and "
    "less than half of it is low fidelity.",
    "real_precision": "Share of training samples that are close to a held-out normal one.",
    "diversity": "How far generated samples lie apart, relative to real ones: near 0 they are all the same.",
    "distinctness": "How far a generated picture lies from the nearest other one, relative to real ones: near 0 few "
    "pictures are repeated.",
    "sharpness": "How much neighbouring pixels of generated pictures differ, relative to real ones: low for blurs.",
    "feature_coverage": "Coverage, in the features of a network trained on photographs.",
    "real_feature_coverage": "Coverage of training pictures, in these features.",
    "feature_precision": "Precision, in the features of a network trained on photographs.",
    "real_feature_precision": "Precision of training pictures, in these features.",
    "frechet_distance": "Distance between real and generated pictures in those features: 0 for equal distributions.",
    "real_frechet_distance": "Distance between held-out and training pictures in those features.",
    "reconstruction_diversity": "How far reconstructions lie apart, relative to the samples: near 0 all are the same.",
    "explained_variance": "Share of the variance of held-out samples that their reconstructions explain, at most 1.",
    "real_explained_variance": "Share of it that the nearest training samples explain.",
    "probe_accuracy": "How often a synthetic anomaly scores above a held-out picture: 0.5 by chance.",
    "mean_probe_accuracy": "How often a synthetic anomaly lies farther from the mean picture: a good score is above.",
    "real_probe_accuracy": "How often it lies farther from the nearest training picture.",
    "column_distance": "Mean distance between the synthetic and the real distribution of a column, in [0, 1].",
    "correlation_error": "Mean difference between synthetic and real rank correlations of two columns: 0 is best.",
    "real_vs_synthetic": "AUROC with which gradient boosting tells synthetic rows from real ones: 0.5 is best.",
    "false_alarms_of_synthetic": "False alarms of nearest neighbours trained on synthetic rows, at a target of 1 %.",
    "nearest_ratio": "How far synthetic rows are from training rows, relative to new real rows: low for copies.",
}


def model_facts(detector: Any, model_path: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Return how the model was made and trained; with the path of its file, also the file's name and digest."""
    diagnosis = detector.diagnosis_
    stages = []
    for stage, terms in detector.history_.items():
        steps = terms.get("step", [])
        curves = [curve(steps, v, _words(name)) for name, v in terms.items() if name != "step" and len(v) == len(steps)]
        stages.append({"title": _words(stage), "steps": steps[-1] if steps else 0, "curves": [c for c in curves if c]})
    return {
        "model": model_summary(detector) | _file(model_path),
        "seed": detector.seed_,
        "health": "bad" if not diagnosis.healthy else "good" if diagnosis.verdict == "healthy" else "unknown",
        "verdict": diagnosis.verdict,
        "diagnosis": [
            {"name": _words(name), "value": value, "meaning": _MEASURES.get(name, "")}
            for name, value in diagnosis.measures.items()
        ],
        "stages": stages,
        "version": version("anogan"),
    }


def _file(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    if path is None:
        return {"file": None}
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return file_summary(path) | {"file": Path(path).name, "digest": digest}


def _words(name: str) -> str:
    return name.replace("/", ": ").replace("_", " ")
