"""Shape and value range of a preprocessed sample."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SampleSpec:
    """Shape and value range of one preprocessed sample.

    Parameters
    ----------
    shape : tuple of int
        ``(d,)`` for a vector, ``(C, H, W)`` for an image.
    bounded : bool
        Whether every value lies in [-1, 1]; a decoder then ends in tanh.
    spans : tuple of (start, stop)
        Half-open ranges of a vector that are one-hot groups; a decoder ends in a softmax there.
    columns : tuple of (start, stop)
        Half-open ranges of a vector that encode one column of a table each; empty if every value is a column.
    classes : int
        If not 0, the number of classes of the condition. Samples then have the number of their class as one more
        entry along axis 0, after ``shape``; for images this is a constant channel.
    """

    shape: tuple[int, ...]
    bounded: bool = False
    spans: tuple[tuple[int, int], ...] = ()
    columns: tuple[tuple[int, int], ...] = ()
    classes: int = 0

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    @property
    def unit(self) -> str:
        """What messages call a sample."""
        return "picture" if self.is_image else "row"

    def paired(self) -> "SampleSpec":
        """The spec of two samples concatenated along their first dimension, as a joint critic takes them."""
        return SampleSpec((2 * self.shape[0], *self.shape[1:]), self.bounded)
