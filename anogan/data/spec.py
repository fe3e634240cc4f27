"""What a preprocessed sample looks like to a network."""

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
    classes : int
        If not 0, samples are given with their condition: one of so many classes, whose number is one more entry
        along axis 0 (of an image a constant channel) after ``shape``.
    """

    shape: tuple[int, ...]
    bounded: bool = False
    spans: tuple[tuple[int, int], ...] = ()
    classes: int = 0

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    def paired(self) -> "SampleSpec":
        """The spec of two samples concatenated along their first dimension, as a joint critic sees them."""
        return SampleSpec((2 * self.shape[0], *self.shape[1:]), self.bounded)
