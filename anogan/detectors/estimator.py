"""scikit-learn's base classes, with the types that it does not ship.

A class with an untyped base accepts any argument as far as a type checker knows, so that a misspelt parameter would
pass.
"""

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np

    class BaseEstimator:
        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **params: Any) -> Self: ...
        def __getstate__(self) -> dict[str, Any]: ...
        def __setstate__(self, state: dict[str, Any]) -> None: ...

    class OutlierMixin:
        def fit_predict(self, X: Any, y: None = None, **kwargs: Any) -> np.ndarray: ...
else:
    from sklearn.base import BaseEstimator, OutlierMixin

__all__ = ["BaseEstimator", "OutlierMixin"]
