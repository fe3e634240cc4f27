"""The `anogan` command: lazily imported subcommands, exit codes, one line per error.

Exit codes: 0 success, 1 the run failed, 2 bad usage or input, 130 interrupted, 143 terminated. With ``--json`` an error
is one JSON object with ``error`` and ``exit_code`` on standard output, which a command otherwise leaves empty if it
fails. With ``ANOGAN_DEBUG=1`` errors are raised with their traceback, for bug reports.
"""

import contextlib
import ctypes
import difflib
import errno
import importlib
import json
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

import anogan

# The short help texts are here so that `anogan --help` imports no subcommand and no torch.
COMMANDS = {
    "demo": "Fit, score, compare and explain on real data, and write a page.",
    "fit": "Fit a detector on normal data and save it.",
    "columns": "Show how each column of a table will be read.",
    "score": "Score new data: anomaly score, p-value and flag per row or picture.",
    "evaluate": "Measure a fitted model on labelled data.",
    "compare": "Compare GANs and classical detectors on your own labelled data.",
    "report": "Write an HTML page with the results of a model on data.",
    "explain": "Show what made the most anomalous rows or pictures anomalous.",
    "sample": "Write synthetic normal rows or pictures.",
    "recalibrate": "Compute the threshold and p-values of a model from other normal data.",
    "export": "Write a model as an ONNX file, which other programs score with.",
    "card": "Write a model card in Markdown.",
    "serve": "Score over HTTP: a service with a page, limits and metrics.",
    "inspect": "Show what a model file holds, and whether it still fits new data.",
    "list": "List the detectors.",
}
_LONGEST = 600  # characters of a message; some libraries list every tensor
_BAD_INPUT_ERRNOS = {
    errno.ENOENT,
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EROFS,
    errno.ELOOP,
    errno.ENAMETOOLONG,
}


_OUT_OF_MEMORY = re.compile(
    "can't allocate memory|cannot allocate memory|out of memory|bad_alloc|failed to map segment"
    "|can't start new thread|failed to launch worker thread",
    re.IGNORECASE,
)
"""What torch, the loader of shared libraries and others say in errors of no type of their own."""
_SIGNALS = {"SIGTERM": "Terminated", "SIGHUP": "Hung up"}


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end; commands treat it like Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class LazyGroup(click.Group):
    """Imports a subcommand when it is run and turns every exception into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f".{cmd_name}", __package__).command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands, without importing them."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"Commands: {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command '{args[0]}'. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.simplefilter("ignore", anogan.RangeWarning)  # the notes of a stream say it once
            warnings.showwarning = _show_warning
            threading.excepthook = _ignore_thread
            try:
                code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            except Exception as error:
                if os.environ.get("ANOGAN_DEBUG"):
                    raise
                message, code = describe(error)
                words = sys.argv[1:] if args is None else list(args)
                if "--json" in words:
                    message = json.dumps({"error": message.removeprefix("Error: "), "exit_code": code})
                # Part of a table may already be on standard output.
                with contextlib.suppress(OSError):  # the terminal is gone
                    click.echo(message, err="--json" not in words or "-" in words)
        if standalone_mode:
            sys.exit(code if isinstance(code, int) else 0)
        return code


def describe(error: Exception) -> tuple[str, int]:
    """Return the line to print and the exit code for an exception that ended a command."""
    if isinstance(error, click.Abort):
        stopped = _stopped(error)
        word, code = ("Interrupted", 130) if stopped is None else (_SIGNALS[str(stopped)], 128 + stopped.number)
        return f"{word}. {error}".rstrip(), code
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message(), 2
    if isinstance(error, click.ClickException):
        ctx = getattr(error, "ctx", None)
        hint = f" (see '{ctx.command_path} --help')" if ctx else ""
        return f"Error: {_one_line(error.format_message())}{hint}", 2
    if isinstance(error, (anogan.InputError, anogan.FormatError)):
        return f"Error: {_one_line(getattr(error, 'shell', str(error)))}", 2
    if isinstance(error, anogan.AnoganError):
        return f"Error: {_one_line(str(error))}", 1
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return "Error: not enough memory. Use fewer rows, smaller pictures or a smaller batch.", 1
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"Error: {where}{error.strerror}.", 2 if error.errno in _BAD_INPUT_ERRNOS else 1
    debug = "This is a bug; set ANOGAN_DEBUG=1 to see the traceback."
    return f"Error: unexpected {type(error).__name__}: {_one_line(str(error))}. {debug}", 1


def _stopped(error: BaseException | None) -> Stopped | None:
    """Return the signal behind an error, if it came from one."""
    while error is not None and not isinstance(error, Stopped):
        error = error.__cause__ or error.__context__
    return error


def _one_line(message: str) -> str:
    line = " ".join(message.split())
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)  # a file name may hold anything
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    text = message.shell if isinstance(message, anogan.AnoganWarning) else str(message)
    click.echo(f"Warning: {_one_line(text)}", err=True)


def _ignore_thread(failed: threading.ExceptHookArgs) -> None:
    """Show no traceback of a thread: its error ends the command too, when its result is needed."""
    if os.environ.get("ANOGAN_DEBUG"):
        threading.__excepthook__(failed)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(anogan.__version__, prog_name="anogan")
def cli() -> None:
    """GAN-based anomaly detection for users who have only normal data.

    Fit on a table (CSV, TSV, Parquet), an array (.npy, .npz) or a folder of pictures, then score new data.
    """


def keep_large_allocations() -> None:
    """Ask glibc's malloc to reuse freed memory instead of handing it back to the system.

    Every batch allocates and frees tensors just above malloc's mmap threshold. By default each of these is
    mapped, zeroed by page faults and unmapped again, which takes a third of the CPU time of training. 32 MiB is
    the highest threshold that malloc accepts. All threads share one heap: freed memory in that of a thread which
    decodes pictures would be of no use to the others.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library, such as musl
        return
    m_trim_threshold, m_mmap_threshold, m_arena_max = -1, -3, -8
    mallopt(m_mmap_threshold, 32 * 2**20)
    mallopt(m_trim_threshold, 128 * 2**20)
    mallopt(m_arena_max, 1)


def wait_without_spinning() -> None:
    """Let OpenMP's threads sleep while they wait for each other, without changing their number.

    By default they spin. As soon as another process uses one of the cores, small networks spend their time waiting
    for a thread that is not running: ten times as long, measured on two cores of which one is busy. This must be set
    before torch is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def stop_as_by_ctrl_c() -> None:
    """Let the signals that end a process end a command as Ctrl-C does: it says what is kept and how to go on."""

    def stop(number: int, _: Any) -> None:
        raise Stopped(number)

    for name in _SIGNALS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores SIGHUP
            signal.signal(number, stop)


def main() -> None:
    """Entry point of the `anogan` script."""
    stop_as_by_ctrl_c()
    keep_large_allocations()
    wait_without_spinning()
    cli()
