"""Scores of a Ray Dataset of any size; `pip install anogan[ray]`."""

from .scoring import Scorer as Scorer
from .scoring import score as score
from .scoring import score_images as score_images
