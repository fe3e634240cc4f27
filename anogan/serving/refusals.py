"""What a service refuses, and the limits by which it does."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_COLUMN = re.compile(r"[Cc]olumns?(?: that the model was not fitted on:)? '([^']*)'|Column\(/([^)]*)\)")
_SHELL_ADVICE = re.compile(r" \(on the command line with [^)]*\)")


@dataclass(frozen=True)
class ServiceLimits:
    """ServiceLimits of one request.

    Attributes
    ----------
    rows : int
        Rows of a table, or pictures.
    bytes : int
        Bytes of the body.
    pixels : int
        Pixels of a picture.
    seconds : float
        Until the body of a request has arrived, and then until it is answered.
    waiting : int
        Requests that wait to be scored; further ones are refused.
    """

    rows: int = 100_000
    bytes: int = 2**26
    pixels: int = 50_000_000
    seconds: float = 60.0
    waiting: int = 256


class Refused(Exception):
    """A request that is answered with an error.

    Parameters
    ----------
    status : int
        HTTP status.
    code : str
        The kind of error in one word, for programs.
    message : str
        What was got and what is needed.
    column : str or None
        The column that the error is about.
    """

    def __init__(self, status: int, code: str, message: str, column: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.column = status, code, message, column
        self.headers: dict[str, str] = {}

    def body(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"error": {"code": self.code, "message": self.message, "column": self.column}}


def refused_input(error: Exception, folder: Path | None, columns: Iterable[Any]) -> Refused:
    """Return an `InputError` as the answer to a request.

    Parameters
    ----------
    error : Exception
    folder : Path or None
        Where the body was put, which the client need not know.
    columns : iterable
        Names of the model's columns, the one of which that the message quotes is named.
    """
    message = _SHELL_ADVICE.sub("", str(error))
    if folder is not None:
        message = re.sub(rf"{re.escape(str(folder))}/[^\s:]+", "the body", message)
    message = message[:1].upper() + message[1:]
    quoted = re.findall(r"'([^']*)'", message)
    known = {str(name) for name in columns}
    column = next((name for name in quoted if name in known), None)
    if column is None and (named := _COLUMN.search(message)):
        column = named[1] or named[2]
    return Refused(422, "input", message, column)
