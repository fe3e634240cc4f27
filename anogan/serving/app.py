"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import InputError, NoneScoredError
from .batching import Batcher
from .bodies import received
from .metrics import Metrics
from .refusals import Refused, ServiceLimits, refused_input
from .schemas import ERRORS, Answer, body_of_score
from .scoring import Wish, answer, read
from .served import Store

LOGGER = logging.getLogger("anogan.serving")
SECONDS_BETWEEN_LOOKS = 1.0  # at the model files and at drift
MOST_REASONS = 20
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'"
BEARER = HTTPBearer(auto_error=False, description="The token that the service was started with.")
ModelName = Annotated[str | None, Query(description="Which model, where several are served.")]


def create_app(
    models: Sequence[str | os.PathLike[str]], *, token: str | None = None, limits: ServiceLimits | None = None
) -> FastAPI:
    """Return the service of some models as an ASGI application, for any server; `anogan.serve` runs it.

    Parameters
    ----------
    models : sequence of paths
        Model files, or exported ones ending in .onnx. A file that is replaced is loaded again.
    token : str, optional
        What requests must give as bearer token, except /, /health and /ready.
    limits : ServiceLimits, optional

    Raises
    ------
    InputError, FormatError, OSError
        A model cannot be loaded.
    """
    store, metrics, limits = Store(models), Metrics(), limits or ServiceLimits()
    page = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    batcher = Batcher(limits.waiting)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(_watch(store, metrics))
        yield
        watching.cancel()
        await asyncio.to_thread(batcher.close)

    def allowed(given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]) -> None:
        if token is None or (given and hmac.compare_digest(given.credentials.encode(), token.encode())):
            return
        refused = Refused(401, "token", "The bearer token is missing or wrong.")
        refused.headers["WWW-Authenticate"] = "Bearer"
        raise refused

    app = FastAPI(title="anogan", version=version("anogan"), lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Counting, metrics=metrics)
    protected: dict[str, Any] = {"dependencies": [Depends(allowed)], "responses": {401: ERRORS[401]}}

    @app.post(
        "/score",
        dependencies=[Depends(allowed)],
        responses={200: {"model": Answer}, **ERRORS},
        openapi_extra=body_of_score(list(store)),
    )
    async def score(
        request: Request,
        model: ModelName = None,
        reasons: Annotated[int, Query(ge=0, le=MOST_REASONS, description="Reasons of each flagged row.")] = 0,
        maps: Annotated[bool, Query(description="Draw the maps of pictures.")] = False,
        drop: Annotated[list[str] | None, Query(description="Columns to leave out.")] = None,
    ) -> Response:
        """Score the rows of a JSON body or a table, or pictures."""
        wish = Wish(reasons, maps, drop or ())
        served, folder = store.choose(model), Path()
        try:
            with tempfile.TemporaryDirectory(prefix="anogan-") as name:
                folder = Path(name)
                body = await _body(request, folder, limits)
                async with asyncio.timeout(limits.seconds):
                    found = await asyncio.to_thread(read, served, body, folder, limits, wish)
                    said = await answer(served, found, batcher, wish)
        except InputError as error:
            if isinstance(error, NoneScoredError):  # rows count as unscored whether sent one by one or with good ones
                metrics.unscored.labels(served.name).inc(error.count)
            raise refused_input(error, folder, served.columns) from None
        except TimeoutError:
            words = f"The request was not answered within {limits.seconds:g} seconds; send less at once."
            raise Refused(503, "timeout", words) from None
        metrics.add(served.name, said["rows"])
        return JSONResponse(said)

    @app.get("/model", **protected)
    async def model(model: ModelName = None) -> dict[str, Any]:
        """Describe a model: hash, columns, threshold, drift."""
        return store.choose(model).facts()

    @app.get("/models", **protected)
    async def models_served() -> list[dict[str, str]]:
        """List the models."""
        return [{"model": served.name, "kind": served.kind, "sha256": served.sha256} for served in store]

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> dict[str, Any]:
        """Say that all models are loaded, and which changed files could not be."""
        return {"status": "ready", "models": [served.name for served in store], "failures": store.failures}

    @app.get("/metrics", **protected)
    async def counted() -> Response:
        """Give the metrics in Prometheus' format."""
        return Response(metrics.page(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})

    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _failed)
    return app


async def _body(request: Request, folder: Path, limits: ServiceLimits) -> Any:
    try:
        async with asyncio.timeout(limits.seconds):
            return await received(request, folder, limits)
    except TimeoutError:
        raise Refused(408, "timeout", f"The body did not arrive within {limits.seconds:g} seconds.") from None


async def _watch(store: Store, metrics: Metrics) -> None:
    """Load changed model files and judge drift, again and again."""

    def look() -> None:
        for name, failure in store.refresh():
            metrics.loads.labels(name, "failed" if failure else "loaded").inc()
            if failure:
                LOGGER.warning("Model '%s' stays as it was: %s", name, failure)
            else:
                LOGGER.info("Model '%s' was loaded again.", name)
        for served in store:
            metrics.look(served)

    while True:
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        try:
            await asyncio.to_thread(look)
        except Exception:
            LOGGER.exception("The models could not be looked at.")


class Counting:
    """Counts requests and their time by the path of their route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, counted)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(path, str(status)).inc()
            self.metrics.seconds.labels(path).observe(perf_counter() - start)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse(error.body(), error.status, error.headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refused = Refused(error.status_code, "http", f"{request.method} {request.url.path}: {error.detail}.")
    return JSONResponse(refused.body(), error.status_code, error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    words = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
    return await _refused(request, Refused(422, "parameter", f"A parameter cannot be used: {words}."))


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


async def _failed(request: Request, _: Exception) -> Response:
    """Say nothing of the failure, which the server logs."""
    return await _refused(request, Refused(500, "failure", "The service failed; its log has the reason."))
