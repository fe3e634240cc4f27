"""Training that is interrupted resumes from its checkpoint and ends as if it had never stopped."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from numpy.testing import assert_array_equal

from ..detectors.base import Detector
from ..engine import stage_run
from ..engine.callbacks import Callback
from ..engine.checkpoint import FILE_NAME
from ..errors import InputError
from .case import ONE_OF_EACH, TRAINED, VECTOR, Case, on, raises

STEPS = 5


class _Interrupt(Callback):
    """Interrupts the fit in the `after`-th step, counted over all stages; None never does."""

    def __init__(self, after: int | None = None) -> None:
        self.after = after
        self.steps: list[tuple[str, int]] = []

    def on_step_end(self, stage: str, step: int, terms: Any) -> None:
        self.steps.append((stage, step))
        if len(self.steps) == self.after:
            raise KeyboardInterrupt


def _fit(case: Case, directory: Path | None = None, interrupt: _Interrupt | None = None, **changes: Any) -> Detector:
    callbacks = [interrupt] if interrupt else []
    return case.fit(fit_params={"callbacks": callbacks, "checkpoint": directory}, **{"steps": STEPS} | changes)


@contextmanager
def _checkpoint_directory() -> Iterator[Path]:
    """Give an empty directory, into which a checkpoint is written at every validation check."""
    # The clock advances by an hour each time it is read, so that the minimum time between two checkpoints has passed.
    clock = SimpleNamespace(monotonic=itertools.count(0, 3600).__next__)
    with TemporaryDirectory() as directory, patch.object(stage_run, "time", clock):
        yield Path(directory)


def _begin(case: Case, directory: Path, **changes: Any) -> None:
    """Leave a checkpoint of a training that is interrupted in its third step."""
    with raises(KeyboardInterrupt, ""):
        _fit(case, directory, _Interrupt(3), **changes)


@on(*TRAINED)
def check_interrupted_training_ends_bit_equal(case: Case) -> None:
    """Training that is interrupted several times, in each stage, ends bit-equal."""
    check_interrupted_training(case)


def check_interrupted_training(case: Case, **changes: Any) -> None:
    """Training with changed parameters that is interrupted several times ends bit-equal."""
    watch = _Interrupt()
    whole = _fit(case, None, watch, **changes)
    total = len(watch.steps)
    saved = 0
    with _checkpoint_directory() as directory:
        for last in range(2, total + 1, 2 if total <= STEPS else 4):
            part = _Interrupt(last - saved)
            with raises(KeyboardInterrupt, ""):
                _fit(case, directory, part, **changes)
            assert part.steps == watch.steps[saved:last], last
            saved = last - 1  # the step of the interruption itself is not saved
        rest = _Interrupt()
        resumed = _fit(case, directory, rest, **changes)
    assert rest.steps == watch.steps[saved:]
    assert resumed.history_ == whole.history_
    assert_array_equal(resumed.anomaly_score(case.new), whole.anomaly_score(case.new))
    assert resumed.calibration_.threshold == whole.calibration_.threshold


@on(VECTOR)
def check_checkpoints_change_nothing(case: Case) -> None:
    """A fit with checkpoints gives the scores of one without, and leaves one file for each trainer."""
    with _checkpoint_directory() as directory:
        scores = _fit(case, directory).anomaly_score(case.new)
        assert {file.name for file in directory.rglob("*") if file.is_file()} == {FILE_NAME}
    assert_array_equal(scores, case.shared(steps=STEPS).anomaly_score(case.new))


@on(VECTOR)
def check_finished_training_is_not_repeated(case: Case) -> None:
    """A fit whose checkpoint is complete takes no step."""
    with _checkpoint_directory() as directory:
        first, watch = _fit(case, directory), _Interrupt()
        second = _fit(case, directory, watch)
    assert watch.steps == []
    assert_array_equal(second.anomaly_score(case.new), first.anomaly_score(case.new))


@on(VECTOR)
def check_unseeded_training_resumes_with_its_seed(case: Case) -> None:
    """Training without a seed resumes with the seed of its checkpoint."""
    with _checkpoint_directory() as directory:
        _begin(case, directory, random_state=None)
        resumed = _fit(case, directory, random_state=None)
    whole = _fit(case, random_state=resumed.seed_)
    assert_array_equal(resumed.anomaly_score(case.new), whole.anomaly_score(case.new))


@on(*ONE_OF_EACH)
def check_checkpoint_of_other_data_is_refused(case: Case) -> None:
    """A checkpoint of other data or parameters is refused."""
    with _checkpoint_directory() as directory:
        _begin(case, directory)
        for other in (case.X[:-1], case.new):
            with raises(InputError, "belongs to other data or parameters"):
                case.fit(other, steps=STEPS, fit_params={"checkpoint": directory})


@on(VECTOR)
def check_checkpoint_of_other_parameters_is_refused(case: Case) -> None:
    """A checkpoint of other parameters is refused, also if its training is finished."""
    with _checkpoint_directory() as directory:
        _fit(case, directory)
        for changes in ({"learning_rate": 0.5}, {"random_state": 1}, {"width": 5}):
            with raises(InputError, "belongs to other data or parameters"):
                _fit(case, directory, **changes)
