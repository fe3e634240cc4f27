"""Baselines: classical and deep detectors, PyOD's own GANs, and any other detector by its import path."""

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
    """A detector with its default parameters.

    Parameters
    ----------
    path : str
        Import path of its class.
    max_train : int or None
        Largest number of random training rows on which it is fitted, because its cost grows with their square.
    kind : {"classical", "deep", "pyod-gan"}
        The networks take from seconds to minutes to fit, the classical detectors less than a second.
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
    "fusion": Baseline("anogan.evaluation.fusion.Fusion", QUADRATIC_ROWS),
    "auto_encoder": Baseline("pyod.models.auto_encoder.AutoEncoder", kind="deep"),
    "vae": Baseline("pyod.models.vae.VAE", kind="deep"),
    "deep_svdd": Baseline("pyod.models.deep_svdd.DeepSVDD", kind="deep"),
    "lunar": Baseline("pyod.models.lunar.LUNAR", QUADRATIC_ROWS, kind="deep"),
    "dif": Baseline("pyod.models.dif.DIF", kind="deep"),
    "ddae": Baseline("anogan.evaluation.ddae.DDAE", kind="deep"),
    "kdsm": Baseline("anogan.evaluation.kdsm.KDSM", kind="deep"),
    "pyod_anogan": Baseline("pyod.models.anogan.AnoGAN", kind="pyod-gan"),
    "pyod_alad": Baseline("pyod.models.alad.ALAD", kind="pyod-gan"),
    "pyod_so_gaal": Baseline("pyod.models.so_gaal.SO_GAAL", kind="pyod-gan"),
    "pyod_mo_gaal": Baseline("pyod.models.mo_gaal.MO_GAAL", kind="pyod-gan"),
}


def is_ours(name: str) -> bool:
    """Return whether `name` is a GAN detector of this package; these preprocess their input themselves."""
    return name in detector_names()


def chosen(text: str) -> list[str]:
    """Return the names of detectors in a comma-separated list of names, groups and import paths, each once.

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
    """Return the baseline of this name, or one for the class at this import path.

    Raises
    ------
    InputError
        If there is neither.
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
    """Return an unfitted detector with ``fit(X)`` and ``anomaly_score(X)``, higher = more anomalous.

    Parameters
    ----------
    name : str
        Name of a detector of this package or of a baseline, or the import path of a PyOD detector or a scikit-learn
        estimator with ``score_samples`` or ``decision_function``, higher = more normal.
    params : dict
        Constructor arguments that differ from the defaults.
    n_features : int
        Number of columns, for classes whose constructor needs it.
    seed : int
        Its ``random_state``, if it has one.

    Raises
    ------
    InputError
        If there is no such class or it has no method for scores.
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
    """Return every parameter that affects the scores, including those with default values."""
    model = build(name, params, n_features=1, seed=0)
    found = getattr(model, "model", model).get_params()
    return {k: v for k, v in found.items() if k not in ("random_state", "device", "n_features")}


def training_rows(name: str, n: int) -> np.ndarray:
    """Return the ascending numbers of those of `n` training rows on which the detector is fitted."""
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
        """Return the parameters, as scikit-learn's estimators do."""
        return {"variance": self.variance}

    def fit(self, X: np.ndarray) -> Self:
        """Fit on rows (n, d)."""
        self.pca_ = PCA(self.variance, svd_solver="full").fit(X)
        return self

    def anomaly_score(self, X: np.ndarray) -> np.ndarray:
        """Return the squared distance of each row, float64 (n,)."""
        total: np.ndarray = self.explain(X).sum(axis=1)
        return total

    def explain(self, X: np.ndarray) -> np.ndarray:
        """Return the squared residual of each column: (n, d)."""
        residual: np.ndarray = (X - self.pca_.inverse_transform(self.pca_.transform(X))) ** 2
        return residual


class _FromSklearn:
    """A scikit-learn estimator whose scores are higher for more normal rows."""

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
    except Exception as error:  # importing a module can raise anything
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        hint = f" pip install {missing}" if missing and not module.startswith(missing) else ""
        raise InputError(f"{path} cannot be imported: {error}.{hint}") from None
    if not inspect.isclass(found):
        raise InputError(f"{module} has no class '{name}'.")
    return found
