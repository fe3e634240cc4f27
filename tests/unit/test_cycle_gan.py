"""CycleGAN's unlabelled set: where it comes from, what it changes, and that it is not kept."""

import itertools
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import anogan
from anogan.data.samples import TensorSamples
from anogan.data.spec import SampleSpec
from anogan.detectors import patch_cycle
from anogan.engine import stage_run
from anogan.nn.backbone import backbone_for
from anogan.nn.outputs import Critique

TINY = anogan.CycleGAN.tiny | {"device": "cpu", "random_state": 0, "n_members": 1}


@pytest.fixture(autouse=True)
def _quiet():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
        yield


def rows(n=32, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 4))


class Stop(anogan.Callback):
    def on_step_end(self, stage, step, terms):
        if step == 3:
            raise KeyboardInterrupt


def module(members=3, **changes):
    return anogan.CycleGAN(**TINY | changes).build(backbone_for("mlp", SampleSpec((2,)), members, 8))


def test_a_batch_of_the_unlabeled_set_holds_nothing_but_the_unlabeled_set():
    cycle = module(choices=1)
    cycle.unlabeled = TensorSamples(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    y = cycle.draw_unlabeled(torch.zeros(3, 50, 2))
    assert y.shape == (3, 50, 2)
    found = {tuple(row) for member in y.tolist() for row in member}
    assert found == {(1.0, 2.0), (3.0, 4.0)}


def test_of_several_candidates_those_with_the_least_normal_patch_are_taken():
    cycle = module(choices=5)
    candidates = torch.arange(80.0).reshape(1, 40, 2).expand(3, 40, 2)
    logits = torch.randn(3, 40, 6)
    cycle.candidates = lambda x: candidates
    cycle.critic_normal.forward = lambda x: Critique(logits, x)
    y = cycle.draw_unlabeled(torch.zeros(3, 8, 2))
    for member in range(3):
        expected = candidates[member][logits[member].amin(1).argsort()[:8]]
        assert torch.equal(y[member], expected)


def test_the_unlabeled_set_is_learned_from_and_forgotten():
    plain = anogan.CycleGAN(**TINY).fit(rows())
    with_unlabeled = anogan.CycleGAN(**TINY).fit(rows(), X_unlabeled=rows(9, seed=1) + 3)
    assert not np.array_equal(plain.anomaly_score(rows(5, seed=2)), with_unlabeled.anomaly_score(rows(5, seed=2)))
    assert with_unlabeled.module_.unlabeled is None


def test_an_unlabeled_set_like_no_training_data_is_refused():
    with pytest.raises(anogan.InputError, match="3 features"):
        anogan.CycleGAN(**TINY).fit(rows(), X_unlabeled=rows()[:, :3])
    with pytest.raises(anogan.InputError, match="WGANGP learns from normal samples alone"):
        anogan.WGANGP().fit(rows(), X_unlabeled=rows())


def test_training_with_an_unlabeled_set_resumes_bit_equal_and_with_another_one_not_at_all(tmp_path, monkeypatch):
    # The clock advances by an hour per reading, so that there is a checkpoint at every step.
    monkeypatch.setattr(stage_run, "time", SimpleNamespace(monotonic=itertools.count(0, 3600).__next__))
    settings, unlabeled = TINY | {"steps": 5}, rows(9, seed=1)
    whole = anogan.CycleGAN(**settings).fit(rows(), X_unlabeled=unlabeled)
    with pytest.raises(KeyboardInterrupt):
        anogan.CycleGAN(**settings).fit(rows(), X_unlabeled=unlabeled, callbacks=[Stop()], checkpoint=tmp_path)
    for other in (None, unlabeled + 1):
        with pytest.raises(anogan.InputError, match="belongs to other data"):
            anogan.CycleGAN(**settings).fit(rows(), X_unlabeled=other, checkpoint=tmp_path)
    resumed = anogan.CycleGAN(**settings).fit(rows(), X_unlabeled=unlabeled, checkpoint=tmp_path)
    np.testing.assert_array_equal(resumed.anomaly_score(rows(5)), whole.anomaly_score(rows(5)))


def test_synthetic_anomalies_of_vectors_hold_values_of_other_rows_and_whole_one_hot_groups():
    backbone = backbone_for("mlp", SampleSpec((5,), spans=((1, 4),)), 1, 8)
    x = torch.cat([torch.arange(200.0)[:, None], torch.eye(3).repeat(67, 1)[:200], torch.arange(200.0)[:, None]], 1)
    y = backbone.geometry.synthetic_anomaly(x[None])[0]
    assert (y[:, 1:4].sum(1) == 1).all()
    assert set(y[:, 0].tolist()) <= set(x[:, 0].tolist())
    changed = (y != x).float().mean(0)
    assert 0.1 < changed[0] < 0.4
    assert 0.1 < changed[4] < 0.4
    assert not torch.equal(y[:, 0], y[:, 4])


def test_synthetic_anomalies_of_pictures_differ_in_one_rectangle():
    backbone = backbone_for("dcgan", SampleSpec((2, 32, 48), bounded=True), 1, 8)
    x = torch.rand(1, 40, 2, 32, 48) * 2 - 1
    changed = backbone.geometry.synthetic_anomaly(x) != x
    areas = []
    for both in changed[0]:
        at = both.any(0)
        box = torch.outer(at.any(1), at.any(0))
        assert (at == box).float().mean() > 0.99  # but for a pixel that happens to be equal
        areas.append(box.float().mean().item())
    assert min(areas) >= 1 / 256
    assert max(areas) <= 1 / 4 + 0.05


def test_the_change_is_where_the_anomaly_is():
    """Rows whose second column repeats the first; in the unlabelled set some have lost that."""
    rng = np.random.default_rng(0)
    cause = rng.normal(size=(400, 1))
    normal = np.hstack([cause, cause + 0.05 * rng.normal(size=(400, 1)), rng.normal(size=(400, 1))])
    broken = normal[:40].copy()
    broken[:, 1] += 4
    settings = TINY | {"steps": 500, "width": 32, "batch_size": 32}
    detector = anogan.CycleGAN(**settings).fit(normal[40:], X_unlabeled=np.vstack([normal[:200], broken[:20]]))
    change = detector.explain(broken[20:]).mean(0)
    assert change[1] > 2 * max(change[0], change[2])
    good, bad = detector.anomaly_score(normal[:40]), detector.anomaly_score(broken[20:])
    assert anogan.metrics.auroc(np.repeat([0, 1], [40, 20]), np.concatenate([good, bad])) > 0.9


def textures(n, seed, defective=False):
    """Soft noise (n, 1, 128, 128), and middles (row, column) of the bright crosses in defective ones."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(size=(n, 1, 32, 32)))
    pictures = torch.nn.functional.interpolate(coarse, size=(128, 128), mode="bilinear").numpy() * 0.1 + 0.5
    middles = rng.integers(32, 96, size=(n, 2))
    if defective:
        for picture, (y, x) in zip(pictures[:, 0], middles, strict=True):
            picture[y - 1 : y + 2, x - 12 : x + 13] = picture[y - 12 : y + 13, x - 1 : x + 2] = 1
    return (255 * pictures.clip(0, 1)).astype(np.uint8), middles


@pytest.fixture(scope="module")
def found_in_unlabeled():
    unlabeled = np.concatenate([textures(30, 1)[0], textures(6, 2, defective=True)[0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anogan.CycleGAN(device="cpu", random_state=0, steps=75).fit(textures(40, 0)[0], X_unlabeled=unlabeled)


def test_in_pictures_the_map_s_maximum_lies_on_the_defect(found_in_unlabeled):
    broken, middles = textures(12, 3, defective=True)
    maps = found_in_unlabeled.explain(broken)[:, 0]
    places = np.stack([np.unravel_index(values.argmax(), values.shape) for values in maps])
    assert (np.abs(places - middles).max(1) <= 12).mean() > 0.6
    scores = found_in_unlabeled.anomaly_score(np.concatenate([textures(12, 4)[0], broken]))
    assert anogan.metrics.auroc(np.repeat([0, 1], 12), scores) > 0.95


def test_the_unlabeled_set_s_patches_are_not_kept(found_in_unlabeled):
    assert found_in_unlabeled.module_.unlabeled is None
    assert len(found_in_unlabeled.module_._unlabeled) == 0


def test_only_pixels_are_reconstructed(found_in_unlabeled):
    pictures, _ = textures(12, 0)
    with pytest.raises(anogan.InputError, match="cannot reconstruct"):
        found_in_unlabeled.reconstruct(pictures)
    made = anogan.CycleGAN(**TINY | {"features": "pixels"}).fit(pictures).reconstruct(pictures)
    assert made.shape == pictures.shape


def test_translated_pictures_stay_within_their_range_and_no_change_leaves_them_as_they_are():
    cycle = anogan.CycleGAN(**TINY | {"features": "pixels"}).build(
        backbone_for("dcgan", SampleSpec((1, 8, 8), bounded=True), 1, 4)
    )
    x = torch.rand(1, 5, 1, 8, 8) * 6 - 3  # also values that training pictures do not have
    x[:, 0, ..., :4], x[:, 0, ..., 4:] = -1, 1
    for network in (cycle.to_normal, cycle.anomalous_network):
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=3)
        changed = network(x)
        assert changed.isfinite().all()
        assert changed.abs().max() < 1.02
        for weight in network.parameters():
            torch.nn.init.zeros_(weight)
        torch.testing.assert_close(network(x), x.clamp(-1, 1), rtol=0, atol=1e-5)


def test_of_both_kinds_the_least_usual_patches_are_trained_on(monkeypatch):
    monkeypatch.setattr(patch_cycle, "FEWEST_PATCHES", 8)
    cycle = anogan.CycleGAN(**TINY).build(backbone_for("dcgan", SampleSpec((1, 128, 128), bounded=True), 1, 8))
    normal, _ = textures(32, 0)
    broken, _ = textures(32, 1, defective=True)
    as_samples = lambda pictures: TensorSamples(torch.from_numpy(pictures).float() / 127.5 - 1)  # noqa: E731
    cycle.unlabeled = as_samples(broken)
    x = cycle.before_training(as_samples(normal)).tensor[None]
    far = 32 * 256 // patch_cycle.FARTHEST
    assert cycle._far.shape == (far, 152)
    assert x[0].flatten(0, 1).norm(dim=-1).max() <= cycle._far.norm(dim=-1).min()
    assert cycle.with_far(x).shape == (1, 2 * x[0, ..., 0].numel(), 152)
    y = cycle.draw_unlabeled(x.flatten(1, 2))[0]
    white, _ = cycle.patches(cycle.unlabeled.tensor)
    longest = white.flatten(0, 1).norm(dim=-1).topk(far).values
    assert y.norm(dim=-1).min() >= longest[-1] * 0.999


def bars(n, axis, seed):
    """Pictures (n, 1, 8, 8) of a bright bar along rows (axis 2) or columns (axis 3), two pixels wide."""
    rng = np.random.default_rng(seed)
    pictures = rng.normal(scale=0.02, size=(n, 1, 8, 8)) + 0.1
    for picture, at in zip(pictures[:, 0], rng.integers(0, 7, size=n), strict=True):
        (picture if axis == 2 else picture.T)[at : at + 2] += 0.8
    return pictures.clip(0, 1)


def lie_along_rows(pictures):
    """Whether rows differ more than columns do: ``(n,)``."""
    return pictures.mean(3).std(2)[:, 0] > pictures.mean(2).std(2)[:, 0]


def test_pictures_of_another_kind_become_normal_ones_in_pixels():
    """A critic of whole pictures turns upright bars into level ones; with critics of patches they stay as they are."""
    settings = TINY | {"features": "pixels", "steps": 300, "batch_size": 32, "target_fpr": 0.1}
    settings |= {"learning_rate": 4e-3, "ema_decay": 0.9, "width": 16}
    unlabeled = np.concatenate([bars(100, 3, seed=1), bars(100, 2, seed=2)])
    detector = anogan.CycleGAN(**settings).fit(bars(200, 2, seed=0), X_unlabeled=unlabeled)
    assert lie_along_rows(detector.reconstruct(bars(50, 3, seed=3))).mean() > 0.6
    assert lie_along_rows(detector.reconstruct(bars(50, 2, seed=4))).all()
