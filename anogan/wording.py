"""Words of messages."""


def counted(number: int, noun: str) -> str:
    """Return the number and the noun, in the plural unless there is one: ``1 picture``, ``1,200 pictures``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
