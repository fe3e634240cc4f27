"""Ray as the engine of `score_file` and of samples of large tables."""

from __future__ import annotations

import atexit
import functools
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..batch.engine import Engine, in_order, run
from ..errors import AnoganError, InputError


class RayEngine(Engine):
    """Ray, as it is set up: the cluster of ``RAY_ADDRESS``, or one that this process is connected to.

    Without either, Ray runs on this machine. Ray repeats a task when its worker dies. All nodes need anogan, and
    must be able to read the data.
    """

    def __init__(self) -> None:
        try:
            import ray  # noqa: F401
        except ImportError:
            raise InputError('Ray needs more packages: pip install "anogan[ray]".') from None

    def start(self) -> None:
        import ray

        self._own = not ray.is_initialized()
        if self._own:
            try:
                ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            except Exception as error:  # of several libraries
                raise AnoganError(f"Ray could not be started: {' '.join(str(error).split())[:200]}") from None

    def end(self) -> None:
        import ray

        if self._own:
            ray.shutdown()

    def results(self, tasks: Iterable[str], model: Path | None) -> Iterator[bytes]:
        import ray
        from ray.exceptions import RayError

        content = ray.put(None if model is None else (model.read_bytes(), model.suffix))
        remote = ray.remote(num_cpus=1)(_run)
        slots = int(ray.cluster_resources().get("CPU", 1))
        try:
            yield from in_order(lambda task: remote.remote(task, content).future(), tasks, slots + 1)
        except RayError as error:
            raise AnoganError(f"Ray could not run a task: {str(error).strip().splitlines()[-1]}") from error


def _run(task: str, model: tuple[bytes, str] | None) -> bytes:
    return run(task, None if model is None else _file_of(*model))


@functools.lru_cache(1)
def _file_of(model: bytes, suffix: str) -> str:
    """Return the path of a file with a model, which this worker keeps."""
    folder = tempfile.mkdtemp(prefix="anogan-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / f"model{suffix}"
    path.write_bytes(model)
    return str(path)
