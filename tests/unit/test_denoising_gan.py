"""Training of DenoisingGAN, and the outputs of its critic."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import anogan
from anogan.data.samples import TensorSamples
from anogan.data.spec import SampleSpec
from anogan.detectors import denoising
from anogan.detectors.denoising import LEVELS
from anogan.nn.backbone import backbone_for

DIM, ROWS = 4, 64


def make_module(members=2, **changes):
    torch.manual_seed(0)
    backbone = backbone_for("mlp", SampleSpec((DIM,)), members, 16)
    return anogan.DenoisingGAN(**changes).build(backbone).double()


def batch(members=2):
    return torch.randn(members, ROWS, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def related(rows, seed):
    """Six columns of two causes; each column follows from the others but for a little noise."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(2, 6))
    return rng.normal(size=(rows, 2)) @ mixing + 0.05 * rng.normal(size=(rows, 6))


@pytest.fixture(scope="module")
def fitted():
    torch.set_num_threads(1)
    return anogan.DenoisingGAN(random_state=0, device="cpu", steps=400, width=64).fit(related(600, 1))


def test_the_levels_start_at_zero_and_rise_from_the_bandwidth_to_the_spread():
    module = make_module()
    grid = torch.cartesian_prod(*[torch.arange(5.0)] * 2) * 0.1  # neighbours are 0.1 apart
    module.before_training(TensorSamples(grid))
    s = 0.1 / 2**0.5
    assert_close(module.bandwidth, torch.tensor([s], dtype=torch.float64), rtol=1e-5, atol=0.0)
    assert module.levels[0] == 0
    assert_close(module.levels[1], torch.tensor(1.5 * s, dtype=torch.float64), rtol=1e-5, atol=0.0)
    assert_close(module.levels[-1], torch.tensor(2.0, dtype=torch.float64))
    ratios = module.levels[2:] / module.levels[1:-1]
    assert_close(ratios, ratios[:1].expand(LEVELS - 2))


def test_the_generator_s_noise_is_as_long_as_normal_noise():
    x = batch()
    assert_close(make_module().direction(x).square().mean(-1), torch.ones(x.shape[:2], dtype=torch.float64))


def test_what_was_added_is_measured_in_its_standard_deviation():
    module, x = make_module(jitter=0.7), batch()
    level = torch.full(x.shape[:2], 3)
    corrupted, added = module.corrupt(x, level, torch.randn_like(x[:, : ROWS // 2]))
    unit = (corrupted - x)[0, 0, 0] / added[0, 0, 0]
    assert_close(corrupted - x, unit * added)
    expected = (0.7 * module.bandwidth).square() + module.levels[3].square()
    assert_close(unit.square(), expected.squeeze())


def test_noise_and_chosen_directions_have_the_level_s_size():
    module, x = make_module(jitter=0.7), torch.zeros(1, 20_000, DIM, dtype=torch.float64)
    module.set_bandwidth(0.5)
    half, level = x[:, :10_000], torch.full(x.shape[:2], 2)
    corrupted, _ = module.corrupt(x, level, torch.ones_like(half))
    chosen, noise = corrupted[0, :10_000], corrupted[0, 10_000:]
    assert_close(chosen.mean(0), module.levels[2].expand(DIM), rtol=0.02, atol=0.0)
    assert_close(chosen.std(0), torch.full((DIM,), 0.7 * 0.5, dtype=torch.float64), rtol=0.05, atol=0.0)
    expected = ((0.7 * 0.5) ** 2 + module.levels[2] ** 2).sqrt()
    assert_close(noise.std(0), expected.expand(DIM), rtol=0.05, atol=0.0)


def test_without_jitter_and_noise_nothing_is_added():
    module, x = make_module(jitter=0.0), batch()
    corrupted, added = module.corrupt(x, torch.zeros(x.shape[:2], dtype=torch.int64), torch.randn_like(x[:, :5]))
    assert torch.equal(corrupted, x)
    assert not added.any()


def test_the_generator_makes_the_critic_err():
    module, x = make_module(adversarial_share=1.0), batch()
    optimizer = torch.optim.Adam(module.corruptor.parameters(), lr=1e-2)

    def error():
        torch.manual_seed(3)
        return sum(term.sum() for term in module.loss(x).values())

    before = error().item()
    for _ in range(50):
        optimizer.zero_grad()
        error().backward()  # whose gradient is reversed on the way to the generator
        optimizer.step()
    assert error().item() > 1.05 * before


def test_one_pass_gives_the_gradients_of_both_players():
    module, x = make_module(), batch()
    players = [[*network.parameters()] for network in (module.critic, module.corruptor)]

    def gradients(error):
        return [torch.autograd.grad(error, weights, retain_graph=True) for weights in players]

    torch.manual_seed(3)
    critics, generators = gradients(sum(term.sum() for term in module.loss(x).values()))
    torch.manual_seed(3)  # the same error again, without a reversed gradient
    chosen, level = module.direction(x[:, : ROWS // 2]), module.draw_levels(x)
    restored = module.critic((corrupted := module.corrupt(x, level, chosen))[0])
    errors = (restored.noise - corrupted[1]).square().flatten(1).mean(-1)
    entropy = torch.nn.functional.cross_entropy(restored.level.flatten(0, 1), level.flatten()) * len(x)
    expected_critics, expected_generators = gradients(errors.sum() + module.level_weight * entropy)
    assert_close(critics, expected_critics)
    assert_close(generators, tuple(-gradient for gradient in expected_generators))
    assert any(gradient.any() for gradient in generators)


@pytest.mark.parametrize(("share", "rows"), [(0.0, 0), (0.5, ROWS // 2), (1.0, ROWS)])
def test_the_share_of_the_generator_s_choices(monkeypatch, share, rows):
    module, seen = make_module(adversarial_share=share), []
    corrupt = module.corrupt
    monkeypatch.setattr(module, "corrupt", lambda x, level, chosen: seen.append(chosen) or corrupt(x, level, chosen))
    module.loss(batch())
    assert seen[0].shape == (2, rows, DIM)


def test_reconstruction_takes_corruption_away(fitted):
    clean, rng = related(300, 2), np.random.default_rng(3)
    corrupted = clean + 0.8 * rng.normal(size=clean.shape)
    restored = fitted.reconstruct(corrupted)
    assert np.square(restored - clean).mean() < 0.7 * np.square(corrupted - clean).mean()


def test_the_column_that_was_changed_is_named(fitted):
    changed, rng = related(300, 2), np.random.default_rng(3)
    columns = rng.integers(changed.shape[1], size=len(changed))
    changed[np.arange(len(changed)), columns] += 2.0 * rng.choice([-1, 1], size=len(changed))
    assert (fitted.explain(changed).argmax(1) == columns).mean() > 0.8


def test_components_are_the_views_evidence(fitted):
    clean = related(200, 2)
    corrupted = clean + np.random.default_rng(3).normal(size=clean.shape)
    of_clean, of_corrupted = fitted.components(clean), fitted.components(corrupted)
    table = fitted.components_
    assert list(table["view"]) == list(of_clean)
    assert table["weight"].sum() == pytest.approx(1)
    for name, weight in zip(table["view"], table["weight"], strict=True):
        assert of_clean[name].shape == (len(clean),)
        if weight and "tails" not in name:
            assert np.median(of_corrupted[name]) > np.median(of_clean[name]), name
    mean_p = np.exp(-np.stack(list(of_corrupted.values()))).T ** -1 @ table["weight"]
    np.testing.assert_allclose(fitted.anomaly_score(corrupted), np.log(mean_p), rtol=1e-4)


def test_summary_and_page_name_the_views(fitted):
    views = anogan.summary.model_summary(fitted)["views"]
    assert views == fitted.components_.to_dict("records")
    page = anogan.Report.from_estimator(fitted, related(50, 2), top=2).to_html()
    for view in views:
        assert view["looks_at"] in page.replace("&#39;", "'"), view


def test_images_have_the_critics_view_alone():
    X = np.random.default_rng(0).uniform(size=(12, 1, 8, 8))
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0, device="cpu").fit(X)
    assert detector.components_["weight"].tolist() == [1.0]
    np.testing.assert_array_equal(detector.components(X)["distance"], detector.anomaly_score(X))
    assert "views" not in anogan.summary.model_summary(detector)


def test_views_that_see_the_dependency_get_the_weight(fitted):
    weight = fitted.components_.set_index("view")["weight"]
    assert weight["whitened ranks"] > 2 * weight["tails"]


def test_a_member_has_not_seen_its_fold(monkeypatch):
    """Rows of a batch are those of the member, and the level of a training row is that of the member it is new to."""
    seen = {}
    loss = denoising.DenoisingModule.loss

    def recorded(self, x):
        for member, rows in enumerate(x if torch.is_grad_enabled() else ()):
            seen.setdefault(member, set()).update(rows[:, 0].tolist())
        return loss(self, x)

    monkeypatch.setattr(denoising.DenoisingModule, "loss", recorded)
    quick = {"n_members": 2, "steps": 20, "width": 4, "batch_size": 16, "patience": 0}
    detector = anogan.DenoisingGAN(random_state=0, device="cpu", **quick).fit(related(50, 1))
    assert len(seen[0]) == len(seen[1]) == 20
    assert len(seen[0] | seen[1]) == 40
    module = detector.module_
    assert module.folds == 2
    x = torch.randn(2, 3, 6)
    fold = torch.tensor([0, 1, 1])
    levels = module.sigma(module.critic(x).level) / module.bandwidth
    assert_close(module.view_scores(x, fold)[1], torch.stack([levels[0, 0], levels[1, 1], levels[1, 2]]))
    assert_close(module.view_scores(x)[1], levels.mean(0))


@pytest.mark.parametrize("rows", [2, 3, 5, 10, 20, 21])
def test_few_rows_are_enough(rows):
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0, device="cpu").fit(related(rows, 1))
    assert np.isfinite(detector.anomaly_score(related(30, 2))).all()


@pytest.mark.parametrize(
    "X",
    [
        np.ones((60, 3)),
        np.repeat(related(6, 1), 10, 0),
        np.random.default_rng(0).integers(0, 2, (200, 5)),
        np.random.default_rng(0).normal(size=(200, 1)),
        np.random.default_rng(0).normal(size=(20, 2100)),
    ],
    ids=["constant", "duplicated", "binary", "one column", "wide"],
)
def test_odd_tables_give_finite_scores_that_rise_with_the_distance(X, tmp_path):
    X = X.astype(np.float64)
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0, device="cpu").fit(X)
    far = X[:1] + np.array([[0.0], [1e2], [1e4], [1e9]])
    scores = detector.anomaly_score(far)
    assert np.isfinite(scores).all()
    assert (np.diff(scores[1:]) > 0).all() or (X == 1).all()  # how far a constant changes does not count
    assert scores[0] < scores[1:].min()
    detector.save(tmp_path / "m.anogan")
    assert (anogan.load(tmp_path / "m.anogan", device="cpu").anomaly_score(far) == scores).all()


def test_fresh_normal_rows_keep_the_promise():
    rates = []
    for seed in range(3):
        detector = anogan.DenoisingGAN(
            random_state=seed, device="cpu", steps=30, width=16, target_fpr=0.1, calibration_fraction=0.5
        ).fit(related(300, seed))
        rates.append((detector.predict(related(2000, 100 + seed)) == -1).mean())
    assert np.mean(rates) < 0.1 + 3 * (0.1 * 0.9 / 150 / 3) ** 0.5
    assert np.mean(rates) > 0.02


def test_anomalies_in_training_do_not_make_similar_ones_normal():
    X = related(600, 1)
    X[::40] = 8 + 0.01 * X[::40]  # 15 rows that lie together
    new = np.concatenate([related(200, 2), 8 + 0.01 * related(50, 3)])
    labels = np.arange(250) >= 200
    quick = {"random_state": 0, "device": "cpu", "steps": 100, "width": 32}
    auroc = [
        anogan.metrics.auroc(labels, anogan.DenoisingGAN(outlier_iqr=f, **quick).fit(X).anomaly_score(new))
        for f in (1.0, None)
    ]
    assert auroc[0] > 0.98 > auroc[1]
