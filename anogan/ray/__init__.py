"""Scores, samples and models of groups of a Ray Dataset of any size; `pip install anogan[ray]`."""

from .engine import RayEngine as RayEngine
from .fitting import fit_per_group as fit_per_group
from .fitting import sample as sample
from .scoring import Scorer as Scorer
from .scoring import score as score
from .scoring import score_images as score_images
