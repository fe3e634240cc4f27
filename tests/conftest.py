"""Settings every test runs under; they are in place before torch or matplotlib is first imported."""

import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import settings

# One thread per process: pytest-xdist already fills the cores, and no result may hang on a thread count.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["MPLBACKEND"] = "Agg"

# The same examples on every run and machine; a slow machine is no failure.
settings.register_profile("anogan", derandomize=True, deadline=None)
settings.load_profile("anogan")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage in what is imported and collected, since it lives until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
