"""`PYTHONPATH=tests python -m chaos`: end commands at random moments, resume them, and count equal results."""

import argparse
import importlib
import sys
import tempfile
import time
import warnings
from collections import Counter
from datetime import date
from pathlib import Path
from random import Random

import torch

import anogan

from .kills import Kill, subjects


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    parser.add_argument("--minutes", type=float, default=30.0, help="stop after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, help="write the page with the figures here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warm_up()
    rng, began, kills = Random(options.seed), time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        found = list(subjects(Path(folder)))
        for number in range(options.kills):
            for subject in found:
                if time.monotonic() - began > 60 * options.minutes:
                    break
                kills.append(subject.killed(rng, number))
                if kills[-1].fault:
                    print(kills[-1], flush=True)
            print(f"{len(kills)} kills, {sum(bool(kill.fault) for kill in kills)} faults", flush=True)
    text = page(kills, time.monotonic() - began, options.seed)
    print(f"\n{text}")
    if options.page is not None:
        options.page.write_text(text)
    return 1 if any(kill.fault for kill in kills) else 0


def warm_up() -> None:
    """Import what commands import, so that they start at once after a fork and are not killed in their imports."""
    for command in ("fit", "score"):
        importlib.import_module(f"anogan.cli.{command}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        anogan.GANomaly(**anogan.GANomaly.tiny).fit([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]] * 4)


def page(kills: list[Kill], seconds: float, seed: int) -> str:
    """Return the page in Markdown."""
    lines = [
        "# Kills",
        "",
        "`anogan fit --checkpoint` and `anogan score` are ended at random moments by SIGKILL or SIGTERM, once or",
        "twice, and the same command is run again. The result is equal if every part of the model file, or the table",
        "of scores, is equal bit for bit to that of a run that was left alone, and if nothing else is left beside it.",
        "",
        f"`make chaos` wrote this page on {date.today()} in {seconds / 60:.1f} minutes, seed {seed}.",
        "",
        "| command | signal | runs | ended before they had finished | equal |",
        "|---|---|---|---|---|",
    ]
    for (what, name), count in sorted(Counter((kill.what, kill.signal) for kill in kills).items()):
        group = [kill for kill in kills if (kill.what, kill.signal) == (what, name)]
        early = sum(kill.ended > 0 for kill in group)
        lines.append(f"| {what} | {name} | {count} | {early} | {sum(not kill.fault for kill in group)} |")
    lines += ["", *(f"- {kill.what}, {kill.signal}: {kill.fault}" for kill in kills if kill.fault)]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
