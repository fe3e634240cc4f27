"""Scores, samples and models of groups of a Spark DataFrame of any size; `pip install anogan[spark]`."""

from .engine import SparkEngine as SparkEngine
from .fitting import fit_per_group as fit_per_group
from .fitting import sample as sample
from .scoring import score as score
from .scoring import score_images as score_images
