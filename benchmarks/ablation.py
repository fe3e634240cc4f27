"""What each part of DenoisingGAN contributes: parts of its training; and views, weights and probes of its score."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from scipy.special import logsumexp, softmax

import anogan
from anogan import metrics, protocol

from .experiment import Axis, Cell, Experiment, Record, measured, names, numbers
from .fusion import MAX_ROWS, NEAR, SHUFFLED, labelled_tables, probes, tables_option
from .ranking import TIE
from .report import table

WHOLE = "as it is"
VARIANTS: dict[str, dict[str, Any]] = {
    WHOLE: {},
    "no adversary: all noise is normal": {"adversarial_share": 0.0},
    "never trained": {"steps": 1, "learning_rate": 1e-9},
    "all noise is the adversary's choice": {"adversarial_share": 1.0},
    "no level: the critics predict the noise alone": {"level_weight": 0.0},
    "one member": {"n_members": 1},
    "no jitter": {"jitter": 0.0},
    "no outlier rule": {"outlier_iqr": None},
    "standard scaling": {"scaling": "standard"},
    "memory bank of 1024 rows": {"memory_bank_size": 1024},
}
ALL_VIEWS = "all views"
CRITICS = ("distance", "level")
SIDES = ("low tails", "high tails")
SHARPNESS = 10.0  # of the detector's weights
SHARPNESSES = (0.0, 5.0, 15.0, 20.0)
PROBED_ROWS = 2048


class Ablation(Experiment):
    """One part changed at a time. What concerns the score alone is computed from one fit."""

    name = "ablation"
    help = "DenoisingGAN on OddBench's and ADBench's tables, with one part changed at a time."
    axes: ClassVar[tuple[Axis, ...]] = (
        names("variant", lambda _: list(VARIANTS)),
        numbers("seed", "0"),
        tables_option(),
    )

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(1)
        dataset = labelled_tables(data_dir)[cell["dataset"]]
        split = dataset.load(data_dir, np.random.default_rng(cell["seed"]), {"max_rows": MAX_ROWS})
        detector = anogan.DenoisingGAN(**VARIANTS[cell["variant"]], random_state=cell["seed"])
        outcome = protocol.run(detector, split.train, split.test, cell["seed"])
        scores = {WHOLE: outcome.scores}
        found: Record = {"protocol": dataset.protocol, "n_train": len(split.train), "fit_s": outcome.fit_s}
        if cell["variant"] == WHOLE:
            views = detector.components_.set_index("view")
            found["weights"] = views["weight"].round(4).to_dict()
            found["probe_auroc"] = views["probe_auroc"].round(4).to_dict()
            scores |= fused(detector, split.test)
        for metric in ("auroc", "aupr"):
            measure = getattr(metrics, metric)
            found[metric] = {name: round(measure(split.labels, values), 5) for name, values in scores.items()}
        return found

    def outcome(self, record: Record) -> str:
        return f"AUROC {record['auroc'][WHOLE]:.4f}"

    def report(self, records: list[Record], folder: Path) -> str:
        return report(measured(records), self.made_by)


def fused(detector: Any, X: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores of rows (n, d) by each view of a fitted detector, and by other fusions of its views."""
    module = detector.module_
    views = list(detector.components_["view"])
    own_areas = detector.components_["probe_auroc"].to_numpy()
    weights = module.fusion.weights
    available = np.array([True, module.folds > 0, *module.views.available()])
    module.fusion.weights = torch.as_tensor(available).to(weights)  # a view without weight is not computed
    try:
        evidence = np.stack(list(detector.components(X).values()))
        areas = {name: _areas(detector, rows) for name, rows in _probes(module).items()}
    finally:
        module.fusion.weights = weights

    critic = np.isin(views, CRITICS)
    prior = available / np.where(critic, (available & critic).sum(), (available & ~critic).sum())  # half to each kind

    def fuse(
        chosen: np.ndarray, areas: np.ndarray = own_areas, sharpness: float = SHARPNESS, prior: np.ndarray = prior
    ) -> np.ndarray:
        own = softmax(sharpness * areas[chosen] + np.log(prior[chosen]))
        found: np.ndarray = logsumexp(evidence[chosen], axis=0, b=own[:, None])
        return found

    def without(*names: str) -> np.ndarray:
        return fuse(available & ~np.isin(views, names))

    found = {f"only {name}": evidence[i] for i, name in enumerate(views) if available[i]}
    found |= {f"without {name}": without(name) for i, name in enumerate(views) if available[i]}
    own = softmax(SHARPNESS * own_areas[available] + np.log(prior[available]))
    return found | {
        ALL_VIEWS: fuse(available),
        "without the critics' views": without(*CRITICS),
        "the critics' views alone": fuse(available & np.isin(views, CRITICS)),
        "without one-sided tails": without(*SIDES),
        "geometric instead of harmonic mean": own @ evidence[available],
        "the same prior weight for all views": fuse(available, prior=np.ones(len(views))),
        **{f"sharpness {s:g}" + " (prior weights)" * (s == 0): fuse(available, sharpness=s) for s in SHARPNESSES},
        "shuffled probes": fuse(available, np.mean([areas[name] for name in SHUFFLED], axis=0)),
        "one kind of near probes each: between": fuse(available, areas["between"]),
        "one kind of near probes each: one swapped": fuse(available, areas["one swapped"]),
        "one kind of near probes each: beyond": fuse(available, areas["beyond"]),
        "the generator's probes": fuse(available, areas["generated"]),
        "near and the generator's probes": fuse(available, np.mean([areas[n] for n in (*NEAR, "generated")], axis=0)),
    }


@torch.no_grad()
def _probes(module: Any) -> dict[str, torch.Tensor]:
    """Return synthetic anomalies made of encoded training rows, for each recipe: members x rows x columns."""
    rows = module.views.rows[:PROBED_ROWS]
    made = probes(rows.double().numpy(), rows.double().numpy(), np.random.default_rng(0))
    found = {name: torch.as_tensor(values).to(rows).expand(module.members, -1, -1) for name, values in made.items()}
    x = rows.expand(module.members, *rows.shape)
    found["generated"], _ = module.corrupt(x, module.draw_levels(x), module.direction(x))
    return found


def _areas(detector: Any, rows: torch.Tensor) -> np.ndarray:
    """Return the AUROC with which each view separates encoded rows from the training rows."""
    evidence: torch.Tensor = detector.module_.evidence(rows)
    areas: np.ndarray = (1 - torch.exp(-evidence)).mean(dim=1).double().numpy()
    return areas


def report(records: list[Record], made_by: str) -> str:
    """Return the page: what training, and what the score's parts contribute, for each protocol."""
    parts = [f"# Ablation of DenoisingGAN\n\n{made_by}\n\n{EXPLAINED}"]
    for name in dict.fromkeys(r["protocol"] for r in records):
        chosen = [r for r in records if r["protocol"] == name]
        whole = [r for r in chosen if r["variant"] == WHOLE]
        seeds = ", ".join(map(str, sorted({r["seed"] for r in chosen})))
        parts.append(f"## {name} ({len({r['dataset'] for r in whole})} tables, seed {seeds})")
        trained = {
            variant: [
                r | {"auroc": r["auroc"][WHOLE], "aupr": r["aupr"][WHOLE]} for r in chosen if r["variant"] == variant
            ]
            for variant in VARIANTS
        }
        scored = {
            rule: [r | {"auroc": r["auroc"][rule], "aupr": r["aupr"][rule]} for r in whole if rule in r["auroc"]]
            for rule in dict.fromkeys(rule for r in whole for rule in r["auroc"])
        }
        parts += ["### Training", differences(trained, WHOLE)]
        parts += ["### Score", differences(scored, ALL_VIEWS)]
        parts += ["### Views", views_table(whole)]
    return "\n\n".join(parts)


def differences(found: Mapping[str, list[Record]], reference: str) -> str:
    """Return a table of each part's difference from the reference, on the tables and seeds that both have."""

    def by_table(records: list[Record], metric: str) -> pd.Series:
        cells = pd.Series({(r["dataset"], r["seed"]): 100 * r[metric] for r in records}, dtype=float)
        return cells.groupby(level=0).mean() if len(cells) else cells

    whole = {metric: by_table(found.get(reference, []), metric) for metric in ("auroc", "aupr")}
    rows = []
    for name, records in found.items():
        own = {metric: by_table(records, metric) for metric in whole}
        gains = (own["auroc"] - whole["auroc"]).dropna()
        if not len(gains):
            continue
        row = [name, str(len(gains)), f"{own['auroc'].mean():.2f}", f"{own['aupr'].mean():.2f}"]
        if name != reference:
            half = 1.96 * gains.sem() if len(gains) > 1 else float("nan")
            better, worse = ((sign * gains >= 100 * TIE).mean() * 100 for sign in (1, -1))
            row += [f"{gains.mean():+.2f}", f"{gains.mean() - half:+.2f} to {gains.mean() + half:+.2f}"]
            row += [f"{better:.0f} / {worse:.0f}", f"{gains.min():+.1f}"]
        rows.append((name != reference, -gains.mean(), row + [""] * (8 - len(row))))
    head = ["part", "tables", "AUROC", "AUPR", "difference", "95 % interval", "better / worse %", "worst"]
    return table(head, [row for *_, row in sorted(rows, key=lambda r: r[:2])])


def views_table(records: list[Record]) -> str:
    """Return a table of the views: their weights, and how well probes predict their quality."""
    weights, probed = (pd.DataFrame([r[field] for r in records]) for field in ("weights", "probe_auroc"))
    true = pd.DataFrame([{name: r["auroc"].get(f"only {name}") for name in weights} for r in records]).astype(float)
    best = true.idxmax(axis=1)
    correlations = [
        a.corr(b, method="spearman") for (_, a), (_, b) in zip(probed.iterrows(), true.iterrows(), strict=True)
    ]
    rows = [
        [name, f"{100 * weights[name].mean():.1f}", f"{100 * (weights[name] > 0).mean():.0f}",
         f"{100 * probed[name].mean():.1f}", f"{100 * true[name].mean():.1f}", f"{100 * (best == name).mean():.0f}"]
        for name in weights
    ]  # fmt: skip
    head = [
        "view",
        "mean weight %",
        "with weight, % of tables",
        "probe AUROC",
        "its own AUROC",
        "best of all, % of tables",
    ]
    oracle = 100 * (true.max(axis=1) - pd.Series([r["auroc"][ALL_VIEWS] for r in records])).mean()
    return f"""\
{table(head, rows)}

Within a table, the rank correlation of a view's AUROC on probes and on the test rows is {np.nanmean(correlations):.2f}
on average. The best view of each table, chosen with its labels, is {oracle:+.2f} points beside all views together."""


EXPLAINED = f"""\
Everything at its defaults but for the named part; at most {MAX_ROWS} rows of a table of ADBench (`semi`). In %, means
over tables. Differences of AUROC are in points and paired: the same tables, splits and seeds; the interval is the
mean ± 1.96 standard errors over tables. Better / worse: tables that differ by {100 * TIE:g} points or more.

*Training*: a new fit for each part. *Score*: other fusions of the views of one fit; *all views* is the detector's own
score, but with the views that have less than 1 % of the weight. *Only*: the p-values of one view. Shuffled probes:
every column shuffled, 30 % of the values replaced, and noise; near probes (the default): between two rows, one value
of another row, values just beyond the range; the generator's probes: training rows with the corruption that the
trained generator chooses, at a random level."""
