"""Scores of a Spark DataFrame of any size; `pip install anogan[spark]`."""

from .scoring import score as score
from .scoring import score_images as score_images
