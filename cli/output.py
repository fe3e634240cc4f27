"""Warnings on stderr, and model files."""

from typing import Any

import click

import anogan


def warn(message: str) -> None:
    """Print one warning line on stderr."""
    click.echo(f"Warning: {message}", err=True)


def warn_of(stream: anogan.Stream) -> None:
    """Warn of pictures that were skipped and of values that were not in the training data; one line each."""
    for note in stream.notes():
        warn(note)


def save(detector: Any, model_path: str) -> None:
    """Write the model file; an error names it."""
    try:
        detector.save(model_path)
    except OSError as error:
        error.filename = model_path  # a full disk names no file, and the user does not know the temporary file
        raise
