"""A model card in Markdown, from what a model file knows."""

from __future__ import annotations

import inspect
import os
import re
from importlib.metadata import version
from typing import Any

from ..detectors.lookup import load
from .summary import file_summary, kept_words, model_summary

_SPECIAL = re.compile(r"([\\`*_\[\]<>|])")
_LISTED = 100  # columns


def model_card(path: str | os.PathLike[str]) -> str:
    """Return a model card as Markdown: what the model is, its data, its figures, what it promises, its limits.

    Everything is taken from the model file; figures on labelled data are those of `anogan.evaluate`.

    Parameters
    ----------
    path : path
        A model file.

    Raises
    ------
    FormatError
        It is not a model file.
    """
    detector = load(path, device="cpu")
    facts: dict[str, Any] = file_summary(path) | model_summary(detector)
    name = os.path.basename(os.fspath(path))
    parts = [
        f"# {_plain(name)}",
        f"A `{facts['detector']}` of anogan {version('anogan')}: {_plain(facts['summary'])} A sample with a higher "
        "score is more unusual; the model has seen normal samples alone.",
        "## Data",
        _data(facts),
        *([_columns(facts["table"])] if facts.get("table") else []),
        "## Figures",
        _bullets(_figures(facts)),
        "## What it promises",
        _bullets(_promises(facts)),
        "## Limits",
        _bullets(_limits(detector, facts)),
        "## What the file holds",
        f"The file has {facts['bytes']:,} bytes and runs no code when it is read. It holds "
        f"{_plain(kept_words(facts['kept'])) or 'no training data'}, so protect it like the data.",
        "## How it was made",
        _bullets([f"`{name}`: {_plain(value)}" for name, value in facts["parameters"].items() if value is not None]),
        f"Written {facts['written']} with "
        + ", ".join(f"{package} {number}" for package, number in facts["fitted_on"].get("versions", {}).items())
        + ".",
    ]
    return "\n\n".join(parts) + "\n"


def _data(facts: dict[str, Any]) -> str:
    fitted = facts["fitted_on"]
    kinds = ", ".join(f"{kind} ({count})" for kind, count in facts["columns"].items())
    words = f"Rows with columns of these kinds: {kinds}."
    if facts["kind"] == "image":
        words = "Images of {width} x {height} pixels with {channels} channels.".format(**facts["columns"])
    if not fitted:
        return f"{words} How many it was fitted on is not recorded."
    roles = ((fitted.get("watched"), "watched training"), (fitted.get("calibration"), "set the threshold"))
    rest = "".join(f", {count:,} {role}" for count, role in roles if count)
    again = f" It was recalibrated with {fitted['recalibrated']:,} others." if "recalibrated" in fitted else ""
    trained = f"{fitted['training']:,} trained the networks{rest}"
    return f"{words} Fitted on {fitted['samples']:,} normal samples: {trained}.{again}"


def _columns(table: list[dict[str, Any]]) -> str:
    lines = ["| column | kind | values | missing in training |", "|---|---|---|---|"]
    for column in table[:_LISTED]:
        values = f"{column['categories']:,} categories" if "categories" in column else ""
        missing = "yes" if column["missing_seen"] else "no"
        lines.append(f"| {_plain(column['name'])} | {column['kind']} | {values} | {missing} |")
    if len(table) > _LISTED:
        lines.append(f"| and {len(table) - _LISTED:,} more | | | |")
    return "\n".join(lines)


def _figures(facts: dict[str, Any]) -> list[str]:
    measures = facts["diagnosis"]["measures"]
    return [
        f"Threshold: {facts['threshold']:.6g}.",
        f"Calibration samples: {facts['calibration_rows']:,}; the smallest p-value is {facts['smallest_p_value']:.3g}.",
        f"Training: {_plain(facts['diagnosis']['verdict'])}.",
        *(f"{_plain(name.replace('_', ' '))}: {value:.3f}" for name, value in measures.items()),
    ]


def _promises(facts: dict[str, Any]) -> list[str]:
    if not facts["held_out"]:
        return ["None: the threshold comes from training samples, which score lower than new ones."]
    how = "split-conformal; with several networks approximately"
    if facts["left_out"]:
        how = f"approximately: {facts['left_out']:,} of them were trained on, and scored as if they had been left out"
    if facts["in_blocks"]:
        how = "approximately: samples that follow each other are alike, so blocks of them were held out"
    return [
        f"A new normal sample is flagged with probability {facts['false_alarms']:.3g}, as long as it comes from the "
        f"same distribution as the calibration samples ({how}).",
        "For such a sample a p-value of at most t occurs with probability t at most.",
        "Nothing is promised about how many anomalies are found. Measure it with labelled data: `anogan evaluate`.",
    ]


def _limits(detector: Any, facts: dict[str, Any]) -> list[str]:
    limits = []
    if not facts["diagnosis"]["healthy"]:
        advice = facts["diagnosis"]["advice"]
        limits.append(f"Training did not go well: {_plain(facts['diagnosis']['verdict'])}. {_plain(advice)}".strip())
    if facts["calibration_rows"] < 1 / max(facts["parameters"].get("target_fpr") or 1, 1e-9) - 1:
        limits.append("There are too few calibration samples for the false-alarm rate that was asked for.")
    found = re.search(r"\*Limits\.\* (.*?)(?:\n\s*\n|\Z)", inspect.getdoc(type(detector)) or "", re.DOTALL)
    if found:
        limits.append(" ".join(found[1].split()))
    limits.append("When data change, the promises end; `anogan inspect MODEL --against NEW` says whether they fit.")
    if facts["kind"] == "table":
        limits.append("A value that training did not have counts as evidence, whatever it means.")
    return limits


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _plain(text: Any) -> str:
    """Return text whose characters Markdown does not interpret, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))
