"""The errors and warnings of anogan; each error is also the builtin that it specialises."""


class AnoganError(Exception):
    """Root of all errors raised on purpose by anogan."""


class InputError(AnoganError, ValueError):
    """The caller's data or parameters cannot be used; the message says what was got, needed and what to do.

    Parameters
    ----------
    text : str
        The message, whose advice is for Python.
    shell : str
        The same with advice for the command line, if that differs.
    """

    def __init__(self, text: str = "", shell: str = "") -> None:
        super().__init__(text)
        self.shell = shell or text


class NoneScoredError(InputError):
    """None of the rows or pictures that were given can be scored.

    Parameters
    ----------
    text : str
        The message.
    count : int
        How many rows or pictures there are.
    """

    def __init__(self, text: str, count: int) -> None:
        super().__init__(text)
        self.count = count


class FormatError(AnoganError, ValueError):
    """A file (model or checkpoint) is not one of anogan's, is of another format version, or was altered."""


class TrainingDivergedError(AnoganError, RuntimeError):
    """Training produced a non-finite loss; the message names the phase and the step."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or a signal ended a run, of which something is kept.

    Parameters
    ----------
    text : str
        What is kept and how to go on, for Python.
    shell : str
        The same for the command line.
    """

    def __init__(self, text: str, shell: str) -> None:
        super().__init__(text)
        self.shell = shell


class AnoganWarning(UserWarning):
    """Root of all warnings of anogan.

    Parameters
    ----------
    text : str
        The message, whose advice is for Python.
    shell : str
        The same with advice for the command line, if that differs.
    """

    def __init__(self, text: str, shell: str = "") -> None:
        super().__init__(text)
        self.shell = shell or text


class TrainingHealthWarning(AnoganWarning):
    """Training ended with a diagnosis that is not healthy or needed more than one attempt, or all scores are equal."""


class ColumnWarning(AnoganWarning):
    """A column, or a folder of pictures, is read in a way that its user should know, or is unlike that of training."""


class RangeWarning(ColumnWarning):
    """More values of a column lie beyond the range of training than by chance, or pictures are unlike those of it."""


class CalibrationWarning(AnoganWarning):
    """The target false-alarm rate may not be kept, or unusual rows set the threshold and hide anomalies."""
