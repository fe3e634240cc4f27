"""Detectors to compare with: classical, deep and PyOD's own GANs, and any other one by its import path."""

import importlib
import inspect
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pyod.models.base import BaseDetector
from sklearn.decomposition import PCA

from ..detectors.registry import detector_names, find_class
from ..errors import InputError
from ..pyod import from_pyod

QUADRATIC_ROWS = 20_000


@dataclass(frozen=True)
class Baseline:
    """A detector at its own defaults.

    Parameters
    ----------
    path : str
        Where its class is imported from.
    max_train : int or None
        It is fitted on at most so many random training rows: its cost grows with their square.
    kind : {"classical", "deep", "pyod-gan"}
        The networks take from seconds to minutes where the classical ones take less than one.
    """

    path: str
    max_train: int | None = None
    kind: str = "classical"


BASELINES: dict[str, Baseline] = {
    "knn": Baseline("pyod.models.knn.KNN", QUADRATIC_ROWS),
    "lof": Baseline("pyod.models.lof.LOF", QUADRATIC_ROWS),
    "iforest": Baseline("pyod.models.iforest.IForest"),
    "ocsvm": Baseline("pyod.models.ocsvm.OCSVM", QUADRATIC_ROWS),
    "pca": Baseline("pyod.models.pca.PCA"),
    "pca_reconstruction": Baseline(f"{__name__}.PCAReconstruction"),
    "mcd": Baseline("pyod.models.mcd.MCD"),
    "hbos": Baseline("pyod.models.hbos.HBOS"),
    "ecod": Baseline("pyod.models.ecod.ECOD"),  # its scores and COPOD's also depend on the other test rows, by design
    "copod": Baseline("pyod.models.copod.COPOD"),
    "loda": Baseline("pyod.models.loda.LODA"),
    "inne": Baseline("pyod.models.inne.INNE"),
    "gmm": Baseline("pyod.models.gmm.GMM"),
    "kde": Baseline("pyod.models.kde.KDE", QUADRATIC_ROWS),
    "auto_encoder": Baseline("pyod.models.auto_encoder.AutoEncoder", kind="deep"),
    "vae": Baseline("pyod.models.vae.VAE", kind="deep"),
    "deep_svdd": Baseline("pyod.models.deep_svdd.DeepSVDD", kind="deep"),
    "lunar": Baseline("pyod.models.lunar.LUNAR", QUADRATIC_ROWS, kind="deep"),
    "dif": Baseline("pyod.models.dif.DIF", kind="deep"),
    "pyod_anogan": Baseline("pyod.models.anogan.AnoGAN", kind="pyod-gan"),
    "pyod_alad": Baseline("pyod.models.alad.ALAD", kind="pyod-gan"),
    "pyod_so_gaal": Baseline("pyod.models.so_gaal.SO_GAAL", kind="pyod-gan"),
    "pyod_mo_gaal": Baseline("pyod.models.mo_gaal.MO_GAAL", kind="pyod-gan"),
}


def is_ours(name: str) -> bool:
    """Whether `name` is a GAN detector of this package; those scale for themselves."""
    return name in detector_names()


def chosen(text: str) -> list[str]:
    """Names of detectors from a comma-separated list of names, groups and import paths, each once.

    Groups are ``gans`` (the detectors of this package), ``fast`` (those and the classical baselines) and ``all``.

    Raises
    ------
    InputError
        If there is no such detector, or none is named.
    """
    gans = detector_names()
    classical = [name for name, entry in BASELINES.items() if entry.kind == "classical"]
    groups = {"gans": gans, "fast": gans + classical, "all": gans + list(BASELINES)}
    parts = [part.strip() for part in text.split(",") if part.strip()]
    names = list(dict.fromkeys(name for part in parts for name in groups.get(part, [part])))
    if not names:
        raise InputError("No detector is named.")
    for name in names:
        if not is_ours(name):
            baseline(name)
    return names


def baseline(name: str) -> Baseline:
    """The baseline of this name, or the class at this import path.

    Raises
    ------
    InputError
        If it is neither.
    """
    if name in BASELINES:
        return BASELINES[name]
    if "." not in name:
        raise InputError(
            f"There is no detector '{name}'. There are: {', '.join([*detector_names(), *BASELINES])}; or give an "
            "import path such as sklearn.svm.OneClassSVM."
        )
    _class_at(name)
    return Baseline(name)


def build(name: str, params: dict[str, Any], *, n_features: int, seed: int) -> Any:
    """An unfitted detector with ``fit(X)`` and ``anomaly_score(X)``, higher = more anomalous.

    Parameters
    ----------
    name : str
        Of a detector of this package, of a baseline, or an import path: a PyOD detector, or a scikit-learn
        estimator with ``score_samples`` or ``decision_function``, higher = more normal.
    params : dict
        Of its constructor, where they differ from the defaults.
    n_features : int
        Columns, for classes that must be told.
    seed : int
        Its ``random_state``, if it has one.

    Raises
    ------
    InputError
        If there is no such class or it scores nothing.
    """
    if is_ours(name):
        return find_class(name)(**params, random_state=seed)
    cls = _class_at(baseline(name).path)
    accepted = inspect.signature(cls).parameters
    given = {"n_features": n_features, "random_state": seed, "novelty": True}  # novelty: lets scikit-learn's LOF score
    model = cls(**{key: value for key, value in given.items() if key in accepted} | params)
    if isinstance(model, BaseDetector):
        return from_pyod(model)
    if hasattr(model, "anomaly_score"):
        return model
    if not (hasattr(model, "score_samples") or hasattr(model, "decision_function")):
        raise InputError(f"{name} has none of anomaly_score, score_samples and decision_function.")
    return _FromSklearn(model)


def settings(name: str, params: dict[str, Any]) -> dict[str, Any]:
    """Every parameter that shapes the scores, defaults included."""
    model = build(name, params, n_features=1, seed=0)
    found = getattr(model, "model", model).get_params()
    return {k: v for k, v in found.items() if k not in ("random_state", "device", "n_features")}


def training_rows(name: str, n: int) -> np.ndarray:
    """Which of `n` training rows the detector is fitted on: row numbers, ascending."""
    most = None if is_ours(name) else baseline(name).max_train
    if most is None or n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).permutation(n)[:most])


class PCAReconstruction:
    """Squared distance to the hyperplane that keeps a share of the training rows' variance.

    Parameters
    ----------
    variance : float in (0, 1)
    """

    def __init__(self, variance: float = 0.95) -> None:
        self.variance = variance

    def get_params(self) -> dict[str, float]:
        """As scikit-learn's estimators."""
        return {"variance": self.variance}

    def fit(self, X: np.ndarray) -> Self:
        """Learn from (n, d) rows."""
        self.pca_ = PCA(self.variance, svd_solver="full").fit(X)
        return self

    def anomaly_score(self, X: np.ndarray) -> np.ndarray:
        """float64 (n,)."""
        total: np.ndarray = self.explain(X).sum(axis=1)
        return total

    def explain(self, X: np.ndarray) -> np.ndarray:
        """Squared residual of each column: (n, d)."""
        residual: np.ndarray = (X - self.pca_.inverse_transform(self.pca_.transform(X))) ** 2
        return residual


class _FromSklearn:
    """A scikit-learn estimator whose scores are higher for what is more normal."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, X: np.ndarray) -> Self:
        self.model.fit(X)
        return self

    def anomaly_score(self, X: np.ndarray) -> np.ndarray:
        score = getattr(self.model, "score_samples", None) or self.model.decision_function
        return -np.asarray(score(X), dtype=np.float64)


def _class_at(path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # whatever a module does on import, it is the path that does not serve
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        hint = f" pip install {missing}" if missing and not module.startswith(missing) else ""
        raise InputError(f"{path} cannot be imported: {error}.{hint}") from None
    if not inspect.isclass(found):
        raise InputError(f"{module} has no class '{name}'.")
    return found
