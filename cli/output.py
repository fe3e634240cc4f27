"""Print warnings on stderr, hold the outputs of a command, and write model files."""

import json
import re
from collections.abc import Sequence
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


def reserve(target: str, inputs: Sequence[str] = (), *, folder: bool = False, table: bool = False) -> None:
    """Raise if an output cannot be written; otherwise keep other runs from writing it until the command ends."""
    if table:
        anogan.writing.check_table_target(target, inputs)
    else:
        anogan.writing.check_target(target, inputs, folder=folder)
    if not anogan.writing.is_device(target):
        click.get_current_context().with_resource(anogan.writing.locked(target, folder=folder))


def to_json(facts: Any) -> str:
    """Return facts as JSON; bytes of file names that are not text, which readers refuse, become ``\\xNN``."""
    text = json.dumps(facts, default=str, ensure_ascii=False)
    text = re.sub("[\udc80-\udcff]+", lambda found: anogan.writing.as_text(found[0]).replace("\\", "\\\\"), text)
    return json.dumps(json.loads(text))


def save(detector: Any, model_path: str) -> None:
    """Write the model file; errors name it."""
    try:
        detector.save(model_path)
    except OSError as error:
        error.filename = model_path  # the error names no file or a temporary one, which the user does not know
        raise
