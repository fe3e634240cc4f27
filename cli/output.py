"""Print warnings on stderr, hold the outputs of a command, and write model files."""

from collections.abc import Sequence
from typing import Any

import click

import anogan
from anogan import writing


def warn(message: str) -> None:
    """Print one warning line on stderr."""
    click.echo(f"Warning: {message}", err=True)


def warn_of(stream: anogan.Stream) -> None:
    """Warn about skipped pictures and about values that were not in the training data, one line each."""
    for note in stream.notes():
        warn(note)


def reserve(target: str, inputs: Sequence[str] = (), *, folder: bool = False, table: bool = False) -> None:
    """Raise if an output cannot be written; otherwise keep other runs from writing it until the command ends."""
    if table:
        writing.check_table_target(target, inputs)
    else:
        writing.check_target(target, inputs, folder=folder)
    if not writing.is_device(target):
        click.get_current_context().with_resource(writing.locked(target, folder=folder))


def save(detector: Any, model_path: str) -> None:
    """Write the model file; errors name it."""
    try:
        detector.save(model_path)
    except OSError as error:
        error.filename = model_path  # the error names no file or a temporary one, which the user does not know
        raise
