"""Print warnings on stderr and write model files."""

from typing import Any

import click

import anogan


def warn(message: str) -> None:
    """Print one warning line on stderr."""
    click.echo(f"Warning: {message}", err=True)


def warn_of(stream: anogan.Stream) -> None:
    """Warn about skipped pictures and about values that were not in the training data, one line each."""
    for note in stream.notes():
        warn(note)


def save(detector: Any, model_path: str) -> None:
    """Write the model file; errors name it."""
    try:
        detector.save(model_path)
    except OSError as error:
        error.filename = model_path  # the error names no file or a temporary one, which the user does not know
        raise
