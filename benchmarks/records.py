"""The files of records: one JSON line for each measured cell, and one for each software and machine they ran on."""

import hashlib
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import anogan

from .experiment import Cell, Experiment, Record

RUNS = "runs.jsonl"
"""Each line has the versions, commit and machine that the field ``run`` of a record refers to."""


def path_of(experiment: Experiment, folder: Path) -> Path:
    """Return the file of an experiment's records."""
    return folder / f"{experiment.name}.jsonl"


def read_records(path: Path) -> list[Record]:
    """Return the records of a file, without a line that a killed run left incomplete."""
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def append_record(path: Path, record: Record) -> None:
    """Add one line in one write, on a line of its own if the last one is incomplete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.read_bytes() if path.is_file() else b"\n"
    line = "\n" * (not written.endswith(b"\n")) + json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
    with path.open("ab", buffering=0) as file:
        file.write(line.encode())


def key(record: Record, identity: tuple[str, ...]) -> str:
    """Return a text that is equal for two records of the same cell."""
    return json.dumps([record[name] for name in identity], sort_keys=True)


def unfinished(experiment: Experiment, cells: list[Cell], path: Path, *, retry_failed: bool) -> list[Cell]:
    """Return the cells without a record; a failed cell has one and counts as measured unless it is retried."""
    last = {key(record, experiment.identity): record for record in read_records(path)}
    done = {k for k, record in last.items() if not (retry_failed and "error" in record)}
    return [cell for cell in cells if key(cell, experiment.identity) not in done]


def current(records: list[Record], identity: tuple[str, ...]) -> tuple[list[Record], int]:
    """Return the last record of each cell, and the number of those left out because a default has changed since."""

    def setting(record: Record) -> str:
        return json.dumps([record.get("detector"), record.get("params")], sort_keys=True)

    last: dict[str, Record] = {}
    for record in records:
        last.pop(key(record, identity), None)  # so that the order is that of the last ones
        last[key(record, identity)] = record
    newest = {setting(record): record.get("config") for record in last.values()}
    kept = [record for record in last.values() if newest[setting(record)] == record.get("config")]
    return kept, len(last) - len(kept)


def page(experiment: Experiment, folder: Path) -> str:
    """Return an experiment's page: its report, and the software and machine behind it."""
    records, stale = current(read_records(path_of(experiment, folder)), experiment.identity)
    parts = [experiment.report(records, folder).rstrip("\n"), experiment.failures(records)]
    if stale:
        parts.append(f"{stale} records made with other default parameters are left out.")
    parts.append(_made_with(records, folder))
    return "\n\n".join(part for part in parts if part) + "\n"


def register_run(folder: Path, jobs: int) -> str:
    """Write down the present software and machine unless they are known; return their identifier.

    Parameters
    ----------
    folder : Path
        Of the records.
    jobs : int
        Cells that are measured at a time.
    """
    facts = provenance(jobs)
    run = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
    if all(known["run"] != run for known in read_records(folder / RUNS)):
        append_record(folder / RUNS, {"run": run} | facts)
    return run


def provenance(jobs: int) -> Record:
    """Return the versions, the commit (with + if the files differ from it) and the machine."""
    packages = ("torch", "numpy", "scikit-learn", "pyod")
    return {
        "versions": {"anogan": anogan.__version__} | {name: version(name) for name in packages},
        "commit": commit(),
        "machine": {"cpu": _cpu_name(), "cores": os.cpu_count(), "jobs": jobs},
    }


def commit() -> str:
    """Return the short hash of the present commit, with + if the files differ from it; empty outside a repository."""

    def git(*arguments: str) -> str:
        try:
            done = subprocess.run(["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True)
        except OSError:
            return ""
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "../anogan", "../cli", ".", ":!results")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.machine()


def _made_with(records: list[Record], folder: Path) -> str:
    runs = {run["run"]: run for run in read_records(folder / RUNS)}
    used = [runs[run] for run in dict.fromkeys(record.get("run") for record in records) if run in runs]

    def distinct(name: str) -> str:
        return "; ".join(dict.fromkeys(_flat(run[name]) for run in used))

    if not used:
        return ""
    return f"Versions: {distinct('versions')}. Commit: {distinct('commit')}. Machine: {distinct('machine')}."


def _flat(value: object) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
