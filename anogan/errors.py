"""The errors and warnings of anogan; each error is also the builtin that it specialises."""


class AnoganError(Exception):
    """Root of all errors raised on purpose by anogan."""


class InputError(AnoganError, ValueError):
    """The caller's data or parameters cannot be used; the message says what was got, needed and what to do."""


class FormatError(AnoganError, ValueError):
    """A file (model or checkpoint) is not one of anogan's, is of another format version, or was altered."""


class TrainingDivergedError(AnoganError, RuntimeError):
    """Training produced a non-finite loss; the message names the phase and the step."""


class TrainingHealthWarning(UserWarning):
    """Training ended with a diagnosis that is not healthy or needed more than one attempt, or all scores are equal."""


class CalibrationWarning(UserWarning):
    """There are too few rows to keep the target false-alarm rate."""
