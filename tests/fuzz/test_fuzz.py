"""A short run of the mutated files that `make fuzz` reads by the hundred thousand."""

import json

import numpy as np
import pytest

import anogan

from .cases import attempt, mutated
from .corpus import Seed, build
from .report import page, regression_test
from .run import kept, run, smaller
from .structures import any_bytes, parts_of, sealed, zipped


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return build(tmp_path_factory.mktemp("corpus"), ["ganomaly"])


def test_mutated_files_are_read_or_refused(corpus, tmp_path):
    tally = run(corpus, cases=300, salt=1, jobs=1, seconds=60)
    tests = [regression_test(fault, kept(fault, tmp_path)) for fault in tally.faults.values()]
    assert not tests, "\n\n".join([page(tally, salt=1, jobs=1), *tests])
    assert tally.cases == 300


def test_the_files_that_are_mutated_can_be_read(corpus, tmp_path):
    for seed in corpus.seeds:
        if seed.data:
            outcome = attempt(corpus, seed, seed.data, tmp_path)
            assert outcome.result == "read", outcome


def test_a_case_is_the_same_each_time(corpus):
    assert [mutated(corpus, case, 0) for case in range(20)] == [mutated(corpus, case, 0) for case in range(20)]
    assert mutated(corpus, 0, 1)[1] != mutated(corpus, 0, 2)[1]


# ------------------------------------------------------------------ what counts as a fault


def judged(corpus, tmp_path, kind, change):
    seed = next(seed for seed in corpus.seeds if seed.kind == kind)
    return attempt(corpus, seed, change(seed.data), tmp_path)


def test_an_error_of_another_kind_is_a_fault(corpus, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("x")

    monkeypatch.setattr(anogan, "load", broken)
    outcome = judged(corpus, tmp_path, "model, sealed", lambda data: data)
    assert (outcome.result, outcome.is_fault) == ("ZeroDivisionError", True)


def test_a_silent_change_is_a_fault(corpus, tmp_path):
    def other(data):
        parts = parts_of(data)
        manifest = json.loads(parts["manifest.json"])
        detector = anogan.detector_class("ganomaly")(**manifest["parameters"] | {"random_state": 5, "device": "cpu"})
        detector.fit(corpus.X["table"]).save(tmp_path / "other")
        return (tmp_path / "other").read_bytes()

    outcome = judged(corpus, tmp_path, "model, sealed", other)
    assert outcome.result.startswith("a silent change")


def test_too_much_memory_is_a_fault_and_a_crash_too(corpus, monkeypatch):
    monkeypatch.setattr(anogan, "open_source", lambda *_, **__: np.ones(45_000_000).sum() and 1 / 0)
    monkeypatch.setattr(anogan, "load", lambda *_, **__: __import__("os")._exit(9))
    some = [seed for seed in corpus.seeds if seed.kind in ("CSV", "model, sealed")]
    tally = run(type(corpus)(some, corpus.models, corpus.X), cases=8, salt=3, jobs=1)
    assert tally.cases == 8
    assert {fault.outcome.result for fault in tally.faults.values()} == {"ZeroDivisionError", "crash, exit code 9"}
    assert tally.largest.megabytes > 300


def test_an_input_is_made_smaller(corpus, tmp_path, monkeypatch):
    def only_with_x(path, **_):
        if b"x" in path.read_bytes():
            raise ZeroDivisionError
        raise anogan.InputError("no")

    monkeypatch.setattr(anogan, "open_source", only_with_x)
    seed = Seed("CSV", "csv", b"a,b\n1,2\nx,3\n", any_bytes, "table")
    corpus = type(corpus)([seed], corpus.models, corpus.X)
    fault = next(iter(run(corpus, cases=5, salt=0, jobs=1).faults.values()))
    fault.data = smaller(corpus, fault)
    assert fault.data == b"x"
    assert kept(fault, tmp_path).read_bytes() == b"x"


def test_a_forged_model_file_has_the_right_check_sums(corpus, tmp_path):
    seed = next(seed for seed in corpus.seeds if seed.kind == "model, sealed again")
    (tmp_path / "m").write_bytes(zipped(list(sealed(parts_of(seed.data)).items())))
    anogan.load(tmp_path / "m")
