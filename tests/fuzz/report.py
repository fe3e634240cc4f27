"""The page with the figures of a run, and regression tests for what it found."""

import platform
from datetime import date
from pathlib import Path

from .cases import MEGABYTES, SECONDS
from .run import Fault, Tally

_SHOWN = 400  # bytes of an input that a test shows; longer ones stay in their file


def page(tally: Tally, salt: int, jobs: int) -> str:
    """Return the page in Markdown."""
    rows = [
        f"| {kind} | {sum(found.values()):,} | {found.get('refused', 0):,} | {found.get('read', 0):,} | "
        f"{found.get('fault', 0):,} |"
        for kind, found in sorted(tally.outcomes.items())
    ]
    total = {r: sum(found.get(r, 0) for found in tally.outcomes.values()) for r in ("refused", "read", "fault")}
    slowest, largest = tally.slowest, tally.largest
    lines = [
        "# Mutated files",
        "",
        "Valid files of every kind that anogan reads are changed at random, by bytes and by their structure, and are",
        "read as the command line reads them: model files are loaded and score, data are read, prepared and scored. A",
        "case is a fault if it ends in anything but success or one of anogan's own errors, if a sealed model file that",
        f"was changed scores differently, if scores are not finite, or if it takes more than {SECONDS:.0f} s of CPU",
        f"time or {MEGABYTES:.0f} MB of memory.",
        "",
        f"`make fuzz` wrote this page on {date.today()}: {tally.cases:,} cases in {tally.seconds / 60:.1f} minutes by",
        f"{jobs} processes, seed {salt}, Python {platform.python_version()}.",
        "",
        "| file | cases | refused | read | faults |",
        "|---|---|---|---|---|",
        *rows,
        f"| **all** | {tally.cases:,} | {total['refused']:,} | {total['read']:,} | {total['fault']:,} |",
        "",
    ]
    if slowest and largest:
        lines += [
            f"The slowest case took {slowest.seconds:.2f} s ({slowest.kind}), the largest {largest.megabytes:.0f} MB "
            f"({largest.kind}).",
            "",
        ]
    for fault in sorted(tally.faults.values(), key=lambda fault: -fault.count):
        message = " ".join(fault.outcome.message.split())[:200]
        lines.append(f"- {fault.count:,} times: {fault.outcome.where}: {message} ({len(fault.data):,} bytes)")
    return "\n".join(lines).rstrip() + "\n"


def regression_test(fault: Fault, path: Path) -> str:
    """Return a test that fails until the fault is mended."""
    name = "".join(c if c.isalnum() else "_" for c in fault.outcome.where.lower())[:60].strip("_")
    content = repr(fault.data) if len(fault.data) <= _SHOWN else f"Path({str(path)!r}).read_bytes()"
    what = "anogan.load(path)" if fault.seed.suffix == "anogan" else "list(anogan.Stream(detector, path))"
    return "\n".join(
        [
            f"def test_{name}(tmp_path, detector):",
            f'    path = tmp_path / "case.{fault.seed.suffix}"',
            f"    path.write_bytes({content})",
            "    with pytest.raises((anogan.InputError, anogan.FormatError)):",
            f"        {what}",
        ]
    )
