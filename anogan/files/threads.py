"""Decoding in threads."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


def decoder_threads() -> int:
    """Return how many threads decode pictures: one per core, up to 8, since Pillow releases the interpreter lock."""
    return min(os.cpu_count() or 1, 8)


def ordered_map(work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """Yield ``work(item)`` for each item in order, computed in threads with a bounded number of pending calls."""
    threads = decoder_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="anogan-decode")
    pending: deque[Future[Any]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
