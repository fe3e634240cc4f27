"""Numbers and nouns agree."""

from anogan.wording import counted


def test_one_is_singular_and_other_numbers_are_plural() -> None:
    assert counted(1, "picture") == "1 picture"
    assert counted(0, "missing value") == "0 missing values"
    assert counted(12_000, "row") == "12,000 rows"
