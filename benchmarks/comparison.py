"""Detectors beside each other: one cell for each detector, data set and seed."""

import hashlib
import json
from abc import abstractmethod
from ast import literal_eval
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import click
import numpy as np
import torch

import anogan
from anogan import baselines, protocol

from .datasets import Dataset
from .experiment import Axis, Cell, Experiment, Record
from .process import peak_mb
from .quality import pixel_quality, quality
from .report import IDENTITY, comparison_report

changes_option = click.Option(
    ["--set", "changes"], multiple=True, metavar="PARAMETER=VALUE", help="Parameter of the detectors that have it."
)


def limit_options() -> tuple[click.Option, ...]:
    """Return the options that limit the number of rows."""
    kinds = {"train": "Training", "test": "Test"}
    return tuple(
        click.Option([f"--max-{part}"], type=click.IntRange(2), help=f"{kind} rows, at most.")
        for part, kind in kinds.items()
    )


def detectors(default: str = "all", *, ours: bool = False) -> Axis:
    """An axis of detectors, by name, group or import path.

    Parameters
    ----------
    ours : bool
        Whether only those of this package can be chosen.
    """

    def parse(text: str | None, _: Path) -> list[str]:
        try:
            chosen = baselines.chosen(text or default)
        except anogan.InputError as error:
            raise click.UsageError(str(error)) from None
        if ours and not all(map(baselines.is_ours, chosen)):
            raise click.UsageError("This experiment measures the GAN detectors only.")
        return chosen

    groups = "`gans` (ours)" if ours else "`gans` (ours), `fast` (gans and classical baselines), `all`, import paths"
    return Axis("detector", parse, f"Comma-separated: names (see `list`), {groups}.  [default: {default}]")


class Comparison(Experiment):
    """Detectors on the data sets of one kind.

    Attributes
    ----------
    limits : tuple of str
        Options that limit the number of rows, and fields of a cell's ``limits``.
    protocols : dict
        Name of each protocol, and its description on the page.
    testable : bool
        Whether data sets are independent of each other, so that differences can be tested over them.
    """

    limits: ClassVar[tuple[str, ...]]
    protocols: ClassVar[dict[str, str]]
    testable: ClassVar[bool] = False

    @property
    def identity(self) -> tuple[str, ...]:
        return IDENTITY

    @property
    def default_scaling(self) -> str:
        """Scaling of the baselines' rows: plain tables are standardised."""
        return "standard"

    @abstractmethod
    def datasets(self, data_dir: Path, protocol: str = "semi") -> dict[str, Dataset]:
        """Return the data sets at hand, by name; those of the tabular experiment under any protocol."""

    def cells(self, data_dir: Path, chosen: Mapping[str, Any]) -> list[Cell]:
        limits = {name: chosen[name] for name in self.limits if chosen[name] is not None}
        settings = variants(chosen["detector"], chosen["changes"])
        cells = []
        for protocol_name in chosen.get("protocol", ("",)):
            found = self.datasets(data_dir, protocol_name)
            for seed, dataset, (name, params) in product(chosen["seed"], chosen["dataset"], settings):
                cells.append(self.cell(found[dataset], name, seed, params, limits))
        return cells

    def cell(self, dataset: Dataset, detector: str, seed: int, params: dict[str, Any], limits: dict[str, int]) -> Cell:
        """Return a cell; its ``config`` is a digest of all parameters, defaults included."""
        cell = {"protocol": dataset.protocol, "dataset": dataset.name, "detector": detector, "seed": seed}
        cell |= {"params": params, "limits": limits}
        scaling = None if baselines.is_ours(detector) else self.scaling(params)
        return cell | {"config": config(detector, params, scaling)}

    def scaling(self, params: dict[str, Any]) -> str:
        """Return the scaling of a baseline's rows."""
        return str(params.get("scaling", self.default_scaling))

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(1)
        dataset = self.datasets(data_dir, cell["protocol"])[cell["dataset"]]
        split = dataset.load(data_dir, np.random.default_rng(cell["seed"]), cell["limits"])
        train, test, labels = split.train, split.test, split.labels
        record: Record = {}
        ours = baselines.is_ours(cell["detector"])
        if ours:
            detector = baselines.build(cell["detector"], cell["params"], n_features=0, seed=cell["seed"])
            train, test = (_at_size(X, detector.image_size) for X in (train, test))
        else:
            record["scaling"] = self.scaling(cell["params"])
            train, test = protocol.encoded(train, test, record["scaling"])
            train = train[baselines.training_rows(cell["detector"], len(train))]
            params = _of_class(cell["params"])
            detector = baselines.build(cell["detector"], params, n_features=train.shape[1], seed=cell["seed"])
        outcome = protocol.run(detector, train, test, cell["seed"])
        record |= {"n_train": len(train), "n_test": len(test), "anomalous": round(float(labels.mean()), 4)}
        record |= quality(labels, outcome.scores, cell["protocol"])
        if ours:
            flagged = outcome.scores > detector.calibration_.threshold
            record["false_alarms"] = round(float(flagged[~labels].mean()), 5)
            record |= {"members": detector.n_members_, "healthy": detector.diagnosis_.healthy}
        if dataset.masks is not None and hasattr(detector, "explain"):
            maps = np.asarray(detector.explain(test), dtype=np.float64)
            maps = maps.reshape(len(maps), *(test if ours else split.test).shape).sum(axis=1)
            record |= pixel_quality(dataset.masks(data_dir, split), maps)
        record |= {"fit_s": outcome.fit_s, "score_s": outcome.score_s, "peak_mb": peak_mb()}
        return record | {"data": _digest([data_dir / file for file in dataset.files])}

    def outcome(self, record: Record) -> str:
        return f"AUROC {record['auroc']:.4f}{' CONSTANT' * record['constant']}"

    def report(self, records: list[Record], folder: Path) -> str:
        scope = self.name if self.testable else None
        head = f"# {self.name}\n\n{self.made_by}"
        return f"{head}\n\n{comparison_report(records, self.protocols, folder, scope)}"

    def failures(self, records: list[Record]) -> str:
        return ""  # each section lists its own


def config(detector: str, params: dict[str, Any], scaling: str | None) -> str:
    """Return a digest of everything that shapes a detector's scores, defaults included.

    Parameters
    ----------
    scaling : str or None
        Of the rows of a baseline; None for the detectors of this package.
    """
    parameters = baselines.settings(detector, _of_class(params))
    if scaling is not None:
        entry = baselines.baseline(detector)
        parameters |= {"path": entry.path, "max_train": entry.max_train, "scaling": scaling}
    text = json.dumps(parameters, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def variants(names: list[str], changes: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
    """Return each detector with its parameters that `changes` (PARAMETER=VALUE) set to other than the default."""
    pairs = [(name, text) for name, sign, text in (change.partition("=") for change in changes) if sign]
    found: list[tuple[str, dict[str, Any]]] = []
    known: set[str] = set()
    for name in names:
        if baselines.is_ours(name):
            cls = anogan.detector_class(name)
            declared = cls.parameters()
            defaults = {p: parameter.default for p, parameter in declared.items()}
            params = {p: _value(text, declared[p].constraint) for p, text in pairs if p in declared}
            cls(**params).check_parameters()
        else:
            defaults = baselines.settings(name, {}) | {"scaling": None}
            params = {p: _literal(text) for p, text in pairs if p in defaults}
        known |= set(defaults)
        found.append((name, {p: v for p, v in params.items() if v != defaults[p]}))
    for change in changes:
        name, sign, _ = change.partition("=")
        if not sign or name not in known:
            raise click.UsageError(f"--set {change}: expected PARAMETER=VALUE, a parameter of a chosen detector.")
    return found


def _of_class(params: dict[str, Any]) -> dict[str, Any]:
    """Leave out ``scaling``, which is done for a baseline before it gets the rows."""
    return {name: value for name, value in params.items() if name != "scaling"}


def _at_size(X: Any, side: int) -> Any:
    """Return images of a folder at the size that a detector uses; other data as they are."""
    return X.resized((X.channels, side, side)) if isinstance(X, anogan.ImageFolder) else X


def _literal(text: str) -> Any:
    """Parse a baseline's parameter: a Python literal, else text."""
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _value(text: str, constraint: Any) -> Any:
    if (constraint.choices and text in constraint.choices) or constraint.kind is str:
        return text
    if text.lower() == "none" and constraint.optional:
        return None
    try:
        return {"true": True, "false": False}[text.lower()] if constraint.kind is bool else constraint.kind(text)
    except (KeyError, ValueError):
        raise click.UsageError(f"{text!r} is not a {constraint.kind.__name__}.") from None


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
