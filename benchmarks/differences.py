"""Methods beside nearest neighbours on the same tables: differences, ranks, and on which kinds of tables they occur."""

from collections.abc import Callable, Iterable
from statistics import fmean

import pandas as pd

from .experiment import Record
from .ranking import TIE
from .report import grouped, table

REFERENCE = "knn (n_neighbors=3)"
FUSION = "fusion"
OURS = "denoising_gan"
EXTREMES = 6  # tables named at each end
KINDS: dict[str, tuple[Callable[[Record], float], tuple[float, ...]]] = {
    f"AUROC of {REFERENCE}, %": (lambda r: 100 * r["auroc"], (55, 70, 85, 95)),
    "training rows": (lambda r: r["n_train"], (300, 1000, 3000)),
    "anomalous test rows": (lambda r: round(r["anomalous"] * r["n_test"]), (20, 100, 500)),
}
"""Properties of a table, from the record of `REFERENCE`, and the limits between kinds."""


def differences(records: list[Record], protocols: Iterable[str]) -> str:
    """Return the section on differences from `REFERENCE`, for each protocol that has records of it."""
    parts = []
    for protocol in protocols:
        chosen = [r for r in records if r["protocol"] == protocol]
        groups = grouped(chosen)
        if REFERENCE in groups and len(groups) > 1:
            parts += [f"### {protocol}", _beside(groups)]
            if OURS in groups:
                parts += [_kinds(groups), _extremes(groups)]
    if not parts:
        return ""
    explained = f"""\
Differences of AUROC from {REFERENCE} in points, ± their standard error over tables; won and lost: tables on which the
difference is at least {100 * TIE:g}. Mean ranks are among the methods of this list that have every table. *Above
{FUSION}*: difference from the fusion of nine classical detectors."""
    return "\n\n".join(["## Differences from nearest neighbours", explained, *parts])


def _means(groups: dict[str, dict[str, list[Record]]], metric: str) -> pd.DataFrame:
    """Return means over seeds in %: tables x methods."""
    return pd.DataFrame(
        {name: {t: 100 * fmean(r[metric] for r in seeds) for t, seeds in of.items()} for name, of in groups.items()}
    )


def _beside(groups: dict[str, dict[str, list[Record]]]) -> str:
    auroc, aupr = _means(groups, "auroc"), _means(groups, "aupr")
    known = auroc[REFERENCE].dropna().index
    ranks, aupr_ranks = (
        of.loc[known].dropna(axis="columns").rank(axis="columns", ascending=False).mean() for of in (auroc, aupr)
    )
    rows = []
    for name in auroc:
        gains = (auroc[name] - auroc[REFERENCE]).dropna()
        over = (auroc[name] - auroc[FUSION]).dropna() if FUSION in auroc else pd.Series(dtype=float)
        own = gains.index
        won, lost = (f"{100 * (sign * gains >= 100 * TIE).mean():.0f}" for sign in (1, -1))
        compared = name != REFERENCE
        rows.append(
            (
                -gains.mean(),
                [
                    name,
                    str(len(gains)),
                    f"{auroc[name][own].mean():.2f}",
                    _with_error(gains) if compared else "",
                    won if compared else "",
                    lost if compared else "",
                    f"{gains.min():+.1f}" if compared else "",
                    _with_error(over) if len(over) and name != FUSION else "",
                    f"{ranks[name]:.2f}" if name in ranks else "",
                    f"{aupr[name][own].mean():.2f}",
                    f"{aupr_ranks[name]:.2f}" if name in aupr_ranks else "",
                ],
            )
        )
    head = ["method", "tables", "AUROC", "points", "won %", "lost %", "worst", f"above {FUSION}"]
    head += ["mean rank", "AUPR", "mean rank (AUPR)"]
    return table(head, [row for _, row in sorted(rows, key=lambda row: row[0])])


def _with_error(gains: pd.Series) -> str:
    return f"{gains.mean():+.2f}" + (f" ± {gains.sem():.2f}" if len(gains) > 1 else "")


def _kinds(groups: dict[str, dict[str, list[Record]]]) -> str:
    """Return a table of the gains of `OURS` by kind of table."""
    auroc = _means(groups, "auroc")
    gains = (auroc[OURS] - auroc[REFERENCE]).dropna()
    rows = []
    for title, (of, limits) in KINDS.items():
        known = pd.Series({name: fmean(map(of, groups[REFERENCE][name])) for name in gains.index})
        for low, high in zip((None, *limits), (*limits, None), strict=True):
            inside = gains[(known >= (low or -1)) & (known < (high or float("inf")))]
            if not len(inside):
                continue
            between = f"below {high}" if low is None else f"{low} or more" if high is None else f"{low} to {high}"
            won, lost = (f"{100 * (sign * inside >= 100 * TIE).mean():.0f}" for sign in (1, -1))
            over = (auroc[OURS] - auroc[FUSION]).reindex(inside.index).dropna() if FUSION in auroc else ()
            row = [f"{title}: {between}", str(len(inside)), _with_error(inside), f"{inside.median():+.2f}", won, lost]
            rows.append([*row, _with_error(over) if len(over) else ""])
    head = [f"kind of table ({OURS})", "tables", "points", "median", "won %", "lost %", f"above {FUSION}"]
    return table(head, rows)


def _extremes(groups: dict[str, dict[str, list[Record]]]) -> str:
    auroc = _means(groups, "auroc")
    gains = (auroc[OURS] - auroc[REFERENCE]).dropna().sort_values()

    def listed(part: pd.Series) -> str:
        return ", ".join(f"{name} {gain:+.1f} ({auroc[REFERENCE][name]:.1f})" for name, gain in part.items())

    losses, wins = gains[gains < 0].head(EXTREMES), gains[gains > 0].tail(EXTREMES)[::-1]
    return f"`{OURS}` loses most on {listed(losses)}, and gains most on {listed(wins)} (in brackets: {REFERENCE})."
