"""Progress on stderr: a bar on a terminal, otherwise a line every 15 seconds, and nothing in the first second."""

import sys
import time
from types import TracebackType

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

import anogan

_PATIENCE = 1.0  # seconds before a bar appears
_LINE_EVERY = 15.0  # seconds between lines where there is no terminal
_REDRAW_EVERY = 0.1


class Reporter(anogan.Callback):
    """Shows the progress of `Detector.fit` as a callback, and of other work through its methods.

    Parameters
    ----------
    quiet : bool
        If True, show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._bar: Progress | None = None
        self._what = self._attempt = ""
        self._total: int | None = None
        self._done = self._first = 0
        self._began = self._shown = time.monotonic()

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def show(self, what: str, done: int, total: int | None) -> None:
        """Show how much of a stage is done, and begin the stage if it is new; for ``progress=`` arguments."""
        if what != self._what:
            self.begin(what, total, done)
        self.reach(done)

    def begin(self, what: str, total: int | None = None, done: int = 0) -> None:
        """Begin a stage of `total` units (None if unknown), of which `done` are done already."""
        self.end()
        self._what, self._total, self._done, self._first = what, total, done, done
        self._began = self._shown = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """Add `count` units to the work that is done."""
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        """Set how many units of the stage are done."""
        self._done = done
        now = time.monotonic()
        if self.quiet or now - self._began < _PATIENCE or now - self._shown < _REDRAW_EVERY:
            return
        if sys.stderr.isatty():
            self._shown = now
            self._draw()
        elif now - self._shown >= _LINE_EVERY:
            self._shown = now
            of = f" of {self._total:,}" if self._total else ""
            rate = (done - self._first) / (now - self._began)
            left = f", {(self._total - done) / rate:.0f} s left" if self._total and rate else ""
            click.echo(f"{self._what}: {done:,}{of} after {now - self._began:.0f} s, {_speed(rate)}{left}", err=True)

    def end(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self) -> None:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.add_task(self._what, total=self._total, completed=self._first, rate="")
            self._bar.start()
        rate = (self._done - self._first) / (time.monotonic() - self._began)
        self._bar.update(self._bar.task_ids[0], completed=self._done, rate=_speed(rate))

    def on_attempt_begin(self, number: int, seed: int, learning_rate: float) -> None:
        self._attempt = f" (attempt {number})" if number > 1 else ""

    def on_stage_begin(self, stage: str, total_steps: int) -> None:
        self.begin(f"fitting: {stage}{self._attempt}", total_steps or None)

    def on_step_end(self, stage: str, step: int, terms: dict[str, float] | None) -> None:
        self.reach(step)

    def on_stage_end(self, stage: str, steps: int) -> None:
        self.end()


def _speed(rate: float) -> str:
    """Return a number of units in a second in words; slow ones in a minute."""
    return f"{rate:,.0f}/s" if rate >= 1 else f"{60 * rate:,.1f}/min"
