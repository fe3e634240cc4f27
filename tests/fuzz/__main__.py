"""`PYTHONPATH=tests python -m fuzz`: read mutated files and report every fault with its smallest input."""

import argparse
import sys
import tempfile
from pathlib import Path

import torch

import anogan

from .cases import attempt, mutated
from .corpus import build
from .report import page, regression_test
from .run import Tally, kept, quiet_process, run, smaller


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=30.0, help="stop after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--detectors", nargs="*", default=None, help="whose model files are mutated; all by default")
    parser.add_argument("--kept", type=Path, default=Path(".fuzz"), help="folder for the inputs that are faults")
    parser.add_argument("--page", type=Path, help="write the page with the figures here")
    parser.add_argument("--case", type=int, help="try one case only, and show its error")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        corpus = build(
            Path(folder), sorted(anogan.list_detectors()) if options.detectors is None else options.detectors
        )
    print(f"{len(corpus.seeds)} seeds", flush=True)
    if options.case is not None:
        seed, data = mutated(corpus, options.case, options.seed)
        with quiet_process() as folder:
            print(attempt(corpus, seed, data, folder, options.case))
        return 0
    tally = run(
        corpus,
        cases=options.cases,
        salt=options.seed,
        jobs=options.jobs,
        seconds=60 * options.minutes,
        show=_show,
    )
    for fault in tally.faults.values():
        if fault.outcome.result not in ("hangs", "too slow", "too large"):
            fault.data = smaller(corpus, fault)
        path = kept(fault, options.kept)
        print(f"\n# {fault.count} times; kept in {path}\n{regression_test(fault, path)}")
    text = page(tally, options.seed, options.jobs)
    print(f"\n{text}")
    if options.page is not None:
        options.page.write_text(text)
    return 1 if tally.faults else 0


def _show(tally: Tally) -> None:
    faults = sum(fault.count for fault in tally.faults.values())
    rate = tally.cases / tally.seconds
    print(f"{tally.cases:,} cases, {rate:.0f}/s, {len(tally.faults)} causes of {faults:,} faults", flush=True)


if __name__ == "__main__":
    sys.exit(main())
