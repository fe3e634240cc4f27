"""`anogan serve`: score over HTTP."""

import click

import anogan

from . import options


@click.command(
    epilog=options.examples(
        "anogan serve model.anogan --port 8000", "anogan serve rows.anogan images.onnx --token-file token --workers 2"
    )
)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--token-file", metavar="FILE", help="File with the bearer token that requests must give.")
@click.option("--max-rows", default=100_000, show_default=True, type=click.IntRange(1), help="Rows of a request.")
@click.option("--max-bytes", default=2**26, show_default=True, type=click.IntRange(1), help="Bytes of a request.")
@click.option(
    "--max-pixels", default=50_000_000, show_default=True, type=click.IntRange(1), help="Pixels of a picture."
)
@click.option(
    "--timeout", default=60.0, show_default=True, type=click.FloatRange(0, min_open=True), help="Seconds for a request."
)
@options.quiet_option
def command(
    models: tuple[str, ...],
    host: str,
    port: int,
    workers: int,
    token_file: str | None,
    max_rows: int,
    max_bytes: int,
    max_pixels: int,
    timeout: float,
    quiet: bool,
) -> None:
    """Serve MODELs over HTTP: POST /score takes JSON rows, CSV, Parquet or images.

    GET / is a page to drop a file on, /openapi.json describes the rest: /model, /models, /health, /ready and /metrics
    for Prometheus. A model file that is replaced is loaded again without losing a request. Ctrl-C or SIGTERM ends the
    service when running requests have been answered.
    """
    limits = anogan.ServiceLimits(max_rows, max_bytes, max_pixels, timeout)
    anogan.serve(models, host=host, port=port, workers=workers, token_file=token_file, limits=limits, quiet=quiet)
