"""Running the service."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .refusals import ServiceLimits

if TYPE_CHECKING:
    from fastapi import FastAPI

SETTINGS = "ANOGAN_SERVING"  # environment variable by which workers learn what to serve
GRACE = 30  # seconds in which requests end after SIGTERM
IDLE = 30  # seconds until a connection without a request is closed


def serve(
    models: Sequence[str | os.PathLike[str]],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    token_file: str | os.PathLike[str] | None = None,
    limits: ServiceLimits | None = None,
    quiet: bool = False,
) -> None:
    """Serve models over HTTP until SIGINT or SIGTERM, after which running requests end.

    Parameters
    ----------
    models : sequence of paths
        Model files, or exported ones ending in .onnx. A file that is replaced is loaded again.
    host, port
        Where to listen; port 0 takes a free one.
    workers : int
        Processes, each of which loads the models.
    token_file : path, optional
        A file with the bearer token that requests must give.
    limits : ServiceLimits, optional
    quiet : bool
        Log warnings alone.

    Raises
    ------
    InputError, FormatError, OSError
        A model or the token cannot be read, or a package is missing.
    """
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}.")
    try:
        import uvicorn

        from .app import create_app
        from .served import Store
    except ImportError as error:
        raise InputError(
            f"A service needs the package {error.name}; install it with: pip install 'anogan[serve]'."
        ) from None
    token = None if token_file is None else read_token(Path(token_file))
    settings: dict[str, Any] = {
        "host": host,
        "port": port,
        "log_level": "warning" if quiet else "info",
        "access_log": False,
        "timeout_graceful_shutdown": GRACE,
        "timeout_keep_alive": IDLE,
        "server_header": False,
    }
    limits = limits or ServiceLimits()
    if workers == 1:
        uvicorn.run(create_app(models, token=token, limits=limits), **settings)
        return
    Store(models)  # what is wrong with a model is said before workers start
    with tempfile.TemporaryDirectory(prefix="anogan-metrics-") as folder:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        os.environ[SETTINGS] = json.dumps(
            {
                "models": [os.path.abspath(path) for path in models],
                "token_file": None if token_file is None else os.path.abspath(token_file),
                "limits": asdict(limits),
            }
        )
        uvicorn.run(f"{__name__}:app_of_worker", factory=True, workers=workers, **settings)


def app_of_worker() -> FastAPI:
    """Return the service that `serve` described in the environment."""
    from .app import create_app

    given = json.loads(os.environ[SETTINGS])
    token = None if given["token_file"] is None else read_token(Path(given["token_file"]))
    return create_app(given["models"], token=token, limits=ServiceLimits(**given["limits"]))


def read_token(path: Path) -> str:
    """Return the bearer token in a file.

    Raises
    ------
    InputError
        It is empty, or has characters that a header cannot hold.
    OSError
        The file cannot be read.
    """
    token = path.read_text(encoding="utf-8").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"{path} must hold one token of printable ASCII characters without spaces.")
    return token
