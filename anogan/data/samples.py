"""Preprocessed samples, in memory or decoded on demand, as training and scoring read them."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch

from ..files.threads import decoder_threads

_FINGERPRINTED = 64  # pictures decoded for a fingerprint
CACHE_BYTES = 64 * 2**20
"""Decoded pictures kept between epochs by one `FolderSamples`, whatever the folder's length."""


class Samples(Protocol):
    """Indexable samples on the CPU, each of the same shape.

    Attributes
    ----------
    unseen : (n, d) bool or None
        Which of a table's columns hold a value that did not occur in fit; None for other data.
    """

    @property
    def unseen(self) -> np.ndarray | None: ...

    def __len__(self) -> int: ...

    def subset(self, indices: np.ndarray) -> Samples:
        """Only the samples at `indices`, in that order."""

    def batch(self, indices: np.ndarray) -> torch.Tensor:
        """The samples at `indices`: (B, *shape)."""

    def batches(self, index_batches: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """One (B, *shape) tensor for each array of indices, in order."""

    def fingerprint(self) -> str:
        """A text that differs for other samples, as far as that is cheap to compute."""


class TensorSamples:
    """Samples in memory.

    Parameters
    ----------
    tensor : (n, *shape)
        Floating-point tensor on the CPU.
    unseen : (n, d) bool or None
        See `Samples`.
    """

    def __init__(self, tensor: torch.Tensor, unseen: np.ndarray | None = None) -> None:
        self.tensor = tensor
        self.unseen = unseen

    def __len__(self) -> int:
        return len(self.tensor)

    def subset(self, indices: np.ndarray) -> TensorSamples:
        """Only the samples at `indices`, in that order (a copy)."""
        return TensorSamples(self.batch(indices), None if self.unseen is None else self.unseen[indices])

    def batch(self, indices: np.ndarray) -> torch.Tensor:
        """The samples at `indices`: (B, *shape)."""
        return self.tensor[torch.as_tensor(np.asarray(indices), dtype=torch.int64)]

    def batches(self, index_batches: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """One (B, *shape) tensor for each array of indices, in order."""
        for indices in index_batches:
            yield self.batch(indices)

    def fingerprint(self) -> str:
        """SHA-256 of all values."""
        return hashlib.sha256(self.tensor.contiguous().numpy().data).hexdigest()


class PictureCache:
    """Cache of pictures that are decoded more than once, up to a fixed number of bytes.

    A single pass, as scoring makes, keeps nothing. Nothing is evicted: epochs visit pictures in random order,
    where a fixed set serves as many hits as a least-recently-used one and cannot thrash.

    Parameters
    ----------
    n : int
        Number of pictures.
    limit : int
        Bytes.
    """

    def __init__(self, n: int, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._used = 0
        self._seen = bytearray(n)
        self._pictures: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def get(self, index: int) -> np.ndarray | None:
        return self._pictures.get(index)

    def offer(self, index: int, picture: np.ndarray) -> None:
        with self._lock:
            again, self._seen[index] = self._seen[index], 1
            if again and index not in self._pictures and self._used + picture.nbytes <= self._limit:
                self._pictures[index] = picture
                self._used += picture.nbytes


class FolderSamples:
    """Pictures that are decoded when they are asked for, one batch ahead of the consumer.

    At most two batches (the one handed out next and the one after it) are held, besides a cache of a fixed
    size, so memory does not grow with the number of pictures.

    Parameters
    ----------
    decode : function of int -> (C, H, W) array
        Reads one picture at the model's size in its compact type; called from several threads.
    convert : function of array -> array
        Brings a decoded picture to model space.
    indices : (n,) int
        The numbers of these samples' pictures.
    shape : (C, H, W)
    dtype : torch floating-point type
    identity : function of () -> str
        Identifies the pictures without decoding them.
    cache : PictureCache, optional
        That of the samples that these are a subset of.
    release : function of () -> None, optional
        Called after the last of some batches, to free what ``decode`` keeps for the next picture.
    """

    unseen = None

    def __init__(
        self,
        decode: Callable[[int], np.ndarray],
        convert: Callable[[np.ndarray], np.ndarray],
        indices: np.ndarray,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        identity: Callable[[], str],
        cache: PictureCache | None = None,
        release: Callable[[], None] | None = None,
    ) -> None:
        self._decode = decode
        self._convert = convert
        self._indices = np.asarray(indices, dtype=np.int64)
        self._shape = tuple(shape)
        self._dtype = dtype
        self._identity = identity
        self._cache = PictureCache(int(self._indices.max(initial=-1)) + 1) if cache is None else cache
        self._release = release

    def __len__(self) -> int:
        return len(self._indices)

    def subset(self, indices: np.ndarray) -> FolderSamples:
        """Only the pictures at `indices`, in that order; nothing is decoded, the cache is shared."""
        chosen = self._indices[np.asarray(indices)]
        return FolderSamples(
            self._decode,
            self._convert,
            chosen,
            self._shape,
            self._dtype,
            self._identity,
            self._cache,
            self._release,
        )

    def batch(self, indices: np.ndarray) -> torch.Tensor:
        """The pictures at `indices`: (B, C, H, W)."""
        return next(self.batches([indices]))

    def batches(self, index_batches: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """One (B, C, H, W) tensor for each array of indices, in order, decoded one batch ahead."""
        pool = ThreadPoolExecutor(decoder_threads(), thread_name_prefix="anogan-decode")
        pending: deque[tuple[torch.Tensor, list[Future[None]]]] = deque()
        source = iter(index_batches)
        try:
            while True:
                while len(pending) < 2 and (indices := next(source, None)) is not None:
                    pending.append(self._start(pool, np.asarray(indices)))
                if not pending:
                    return
                batch, futures = pending.popleft()
                for future in futures:
                    future.result()  # raises what the decoder raised, in the order of the pictures
                yield batch
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            if self._release is not None:
                self._release()

    def fingerprint(self) -> str:
        """SHA-256 of the names of the files and of the first few pictures."""
        digest = hashlib.sha256(f"{self._identity()} {self._indices.tolist()}".encode())
        digest.update(self.batch(np.arange(min(len(self), _FINGERPRINTED))).numpy().data)
        return digest.hexdigest()

    def _start(self, pool: ThreadPoolExecutor, indices: np.ndarray) -> tuple[torch.Tensor, list[Future[None]]]:
        batch = torch.empty((len(indices), *self._shape), dtype=self._dtype)
        pictures = self._indices[indices]
        futures = [pool.submit(self._fill, batch[row], int(picture)) for row, picture in enumerate(pictures)]
        return batch, futures

    def _fill(self, target: torch.Tensor, index: int) -> None:
        picture = self._cache.get(index)
        if picture is None:
            picture = self._decode(index)
            self._cache.offer(index, picture)
        target.copy_(torch.from_numpy(self._convert(picture)))
