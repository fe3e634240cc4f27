"""Every detector on every modality by discovery: a new detector is covered without a change of the tests."""

import copy
import zlib

import pytest
import torch

# Before its first import, so that failed assertions show their values.
pytest.register_assert_rewrite("anogan.testing")

import anogan  # noqa: E402
from anogan.nn.efficientnet import EfficientNetLite  # noqa: E402
from anogan.testing import MODALITIES, Case  # noqa: E402
from anogan.testing.case import DATA, NETWORKS, STYLE  # noqa: E402

DETECTORS = anogan.list_detectors()
WITHOUT_STYLE = {
    *("cycle_gan", "denoising_gan", "feature_gan", "mo_gaal", "pix2pix_inpainting", "skip_ganomaly", "so_gaal"),
}
"""Detectors of which the style backbone changes nothing (see test_parameters.py), so that "style" is "colour"."""


def modalities_of(name):
    """The kinds of data on which a detector has networks of its own."""
    return [modality for modality in MODALITIES if modality != STYLE or name not in WITHOUT_STYLE]


CASES = [Case(cls, modality) for name, cls in DETECTORS.items() for modality in modalities_of(name)]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cached_features():
    """What computes the pretrained network's maps of each picture once, and in float32, where it is ten times as fast.

    It is frozen, and what it computes is the same function of each picture whatever the precision of the rest. Results
    in float64 itself are those of tests/golden and tests/unit.
    """
    forward, networks = EfficientNetLite.forward, {}

    def weights(network):
        """A checksum of all weights and statistics, computed again after a change in place."""
        if getattr(network, "_first", None) is not next(network.buffers()):  # new, or converted
            network._tensors = list(network.buffers())
            network._first = network._tensors[0]
        tensors = network._tensors
        versions = [(t.data_ptr(), t.dtype, t._version) for t in tensors]
        if getattr(network, "_versions", None) != versions:
            network._checksum = zlib.crc32(b"".join(t.contiguous().numpy().tobytes() for t in tensors))
            network._versions = versions
        return network._checksum

    def in_float32(network, x):
        if x.requires_grad or torch.compiler.is_exporting():
            return forward(network, x)
        key = weights(network)
        if key not in networks:
            networks[key] = copy.deepcopy(network).float(), {}
        network, cached = networks[key]
        pictures = [(picture.shape, picture.numpy().tobytes()) for picture in x.float()]
        missing = [i for i, picture in enumerate(pictures) if picture not in cached]
        if missing:
            for i, *maps in zip(missing, *forward(network, x[missing].float()), strict=True):
                cached[pictures[i]] = [values[None] for values in maps]
        maps = zip(*(cached[picture] for picture in pictures), strict=True)
        return [torch.cat(of_depth).to(x.dtype) for of_depth in maps]

    return in_float32


@pytest.fixture(autouse=True)
def exact_features(cached_features, monkeypatch):
    """Compute features by `cached_features` in the tests of this folder; the value is what computes them otherwise."""
    forward = EfficientNetLite.forward
    monkeypatch.setattr(EfficientNetLite, "forward", cached_features)
    return forward


def ids(cases):
    return [str(case) for case in cases]


@pytest.fixture(params=list(DETECTORS))
def name(request):
    """The name of every detector."""
    return request.param


@pytest.fixture(params=(cases := [case for case in CASES if case.modality in DATA]), ids=ids(cases))
def case(request):
    """Every detector on every kind of data."""
    return request.param


@pytest.fixture
def vector_case(name):
    """Every detector, where the kind of data makes no difference."""
    return Case(DETECTORS[name], "vector")


@pytest.fixture(params=(cases := [case for case in CASES if case.modality in NETWORKS]), ids=ids(cases))
def network_case(request):
    """Every detector on every kind of network."""
    return request.param
