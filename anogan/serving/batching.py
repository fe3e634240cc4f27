"""Samples of several requests, scored together by one thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..sources.images import ImageFolder
from .refusals import Refused
from .served import Served

MOST_ROWS, MOST_PICTURES = 8192, 16  # that are scored at once


@dataclass
class _Waiting:
    served: Served
    X: Any
    with_maps: bool
    future: Future[tuple[np.ndarray, np.ndarray | None]] = field(default_factory=Future)


class Batcher:
    """Scores samples in the order of their arrival, and those that wait for the same model together.

    Nothing waits for others to come: a batch is what has arrived while the one before was scored. The score of a row
    does not depend on the rows that are scored with it.

    Parameters
    ----------
    waiting : int
        Requests that may wait.
    """

    def __init__(self, waiting: int) -> None:
        self.most = waiting
        self._queue: deque[_Waiting | Callable[[], None]] = deque()
        self._arrived = threading.Condition()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="anogan-score", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._queue)

    def score(self, served: Served, X: Any, *, with_maps: bool = False) -> Future[tuple[np.ndarray, np.ndarray | None]]:
        """Return the scores ``(n,)`` and, if asked for, the maps ``(n, C, H, W)`` of samples in the model's types.

        Raises
        ------
        Refused
            Too many requests wait.
        """
        item = _Waiting(served, X, with_maps)
        self._put(item)
        return item.future

    def call(self, function: Callable[[], Any]) -> Future[Any]:
        """Call a function in the thread that scores."""
        future: Future[Any] = Future()
        self._put(lambda: _fulfil(future, function))
        return future

    def close(self) -> None:
        """Score what waits, then end the thread."""
        with self._arrived:
            self._ends = True
            self._arrived.notify()
        self._thread.join()

    def _put(self, item: _Waiting | Callable[[], None]) -> None:
        with self._arrived:
            if self._ends or len(self._queue) >= self.most:
                refused = Refused(503, "busy", f"{len(self._queue)} requests wait already; try again later.")
                refused.headers["Retry-After"] = "1"
                raise refused
            self._queue.append(item)
            self._arrived.notify()

    def _run(self) -> None:
        while True:
            with self._arrived:
                while not self._queue and not self._ends:
                    self._arrived.wait()
                if not self._queue:
                    return
                items = self._taken()
            if isinstance(items, list):
                _score(items)
            else:
                items()

    def _taken(self) -> list[_Waiting] | Callable[[], None]:
        """Take the first item and those directly after it that can be scored with it."""
        first = self._queue.popleft()
        if not isinstance(first, _Waiting):
            return first
        taken, count = [first], len(first.X)
        most = MOST_PICTURES if isinstance(first.X, ImageFolder) else MOST_ROWS
        while self._queue:
            item = self._queue[0]
            if not isinstance(item, _Waiting) or (item.served, item.with_maps) != (first.served, first.with_maps):
                break
            if count + len(item.X) > most:
                break
            count += len(item.X)
            taken.append(item)
            self._queue.popleft()
        return taken


def _score(items: Sequence[_Waiting]) -> None:
    """Score items together, or one by one if that fails, so that one request does not affect the others."""
    items = [item for item in items if item.future.set_running_or_notify_cancel()]
    if not items:
        return
    try:
        scores, maps = _scored(items[0], _joined([item.X for item in items]))
    except Exception as error:
        if len(items) == 1:
            items[0].future.set_exception(error)
            return
        for item in items:
            _fulfil(item.future, lambda item=item: _scored(item, item.X))  # type: ignore[misc]
        return
    first = 0
    for item in items:
        part = slice(first, first + len(item.X))
        item.future.set_result((scores[part], None if maps is None else maps[part]))
        first = part.stop


def _scored(item: _Waiting, X: Any) -> tuple[np.ndarray, np.ndarray | None]:
    detector = item.served.detector
    if item.with_maps:
        scores, maps = detector.maps_of_part(X)
        return np.asarray(scores), maps
    return np.asarray(detector.score_part(X)), None


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], pd.DataFrame):
        return pd.concat(parts, ignore_index=True)
    if isinstance(parts[0], ImageFolder):
        files = [file for part in parts for file in part.files]
        return ImageFolder(files).resized((parts[0].channels, *parts[0].size))
    return np.concatenate(parts)


def _fulfil(future: Future[Any], function: Callable[[], Any]) -> None:
    try:
        future.set_result(function())
    except Exception as error:
        future.set_exception(error)
