"""Strict JSON and types: what is taken, and what is refused in words."""

from typing import Annotated, NotRequired, TypedDict

import pytest

from anogan import FormatError
from anogan.schema import LARGEST_TEXT, MOST_VALUES, check_type, is_too_large, parse_json


class Sample(TypedDict):
    name: str
    sizes: list[Annotated[int, 1]]
    share: NotRequired[float | None]


VALID = {"name": "a", "sizes": [1, 2], "share": None}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b'{"a": 1, "a": 1}', "same name twice"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b"[-Infinity]", "not a JSON number"),
        (b"[1e999]", "beyond the range"),
        (b"9" * 5000, "4300"),
        (b"[18446744073709551616]", "beyond 64 bits"),
        (b'"\\ud800"', "surrogates"),
        (b"\xff\xfe", "utf-8"),
        (b"[" * 10**5, "recursion"),
        (b"", "Expecting value"),
        (b" " * (LARGEST_TEXT + 1), "larger than any"),
        (b"[" + b"0," * MOST_VALUES + b"0]", "larger than any"),
    ],
)
def test_what_is_not_strict_json_is_refused(text, fault):
    with pytest.raises(FormatError, match=f"(?s)^the text .*{fault}"):
        parse_json(text, "the text")


def test_strict_json_is_read():
    text = '{"ä": [1, -0.5, true, null, "\\ud83d\\ude00"]}'.encode()
    assert parse_json(text, "the text") == {"ä": [1, -0.5, True, None, "😀"]}
    assert not is_too_large(text)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": 1}, "x.name is 1; it must be str"),
        ({"sizes": None}, "x.sizes is None; it must be a list"),
        ({"sizes": [1, 0]}, r"x\.sizes\[1\] is 0; it must be at least 1"),
        ({"sizes": [True]}, r"x\.sizes\[0\] is True; it must be int"),
        ({"sizes": ["a"]}, r"x\.sizes\[0\] is 'a'; it must be int"),
        ({"share": float("nan")}, "x.share is nan; it must be float .* or null"),
        ({"share": 1}, "x.share is 1; it must be float"),
        ({"other": 1}, "A name in x is 'other'"),
        ({"name": "a" * 10**6}, None),
    ],
)
def test_a_value_of_another_type_is_named(change, fault):
    if fault is None:
        check_type(VALID | change, Sample, "x")
        return
    with pytest.raises(FormatError, match=fault):
        check_type(VALID | change, Sample, "x")


def test_a_missing_value_is_named():
    with pytest.raises(FormatError, match=r"x\.name is missing"):
        check_type({"sizes": []}, Sample, "x")
    check_type({"name": "", "sizes": []}, Sample, "x")


def test_lists_of_objects_and_of_dicts_are_checked():
    check_type([VALID], list[Sample], "x")
    check_type([{"a": 0.5}], list[dict[str, float]], "x")
    for value in (["a"], [{"a": "b"}], [[]]):
        with pytest.raises(FormatError, match=r"x\[0\]"):
            check_type(value, list[dict[str, float]], "x")
