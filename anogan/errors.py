"""The errors a user of anogan can meet; each is also the builtin it specialises."""


class AnoganError(Exception):
    """Root of all errors raised on purpose by anogan."""


class InputError(AnoganError, ValueError):
    """The caller's data or parameters cannot be used; the message says what was got, needed and what to do."""


class FormatError(AnoganError, ValueError):
    """A file (model or checkpoint) is not one of ours, is of another format version, or was altered."""


class TrainingDivergedError(AnoganError, RuntimeError):
    """Training produced a non-finite loss; the message names the phase and the step."""
