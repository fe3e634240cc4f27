import math

import pyarrow as pa
import pytest

from anogan import InputError
from anogan.sources.column_texts import NumberTexts
from anogan.sources.number_formats import number_formats, number_note
from anogan.sources.text_numbers import NumberFormat


def looked_at(*texts: str | None) -> NumberTexts:
    column = NumberTexts()
    column.offer(pa.array(texts, pa.string()))
    return column


@pytest.mark.parametrize(
    ("texts", "numbers", "form"),
    [
        (["12", "-1.5e-3", "+5", "inf"], [12, -0.0015, 5, math.inf], NumberFormat()),
        (["106,91", "12", "0,750"], [106.91, 12, 0.75], NumberFormat(",")),
        (["1,234.50", "2"], [1234.5, 2], NumberFormat(".", ",")),
        (["1,234", "2,345,678"], [1234, 2345678], NumberFormat(".", ",")),
        (["1,23,456.78"], [123456.78], NumberFormat(".", ",")),
        (["1.234,50"], [1234.5], NumberFormat(",", ".")),
        (["1 234,5", "1\u00a0234", "1\u202f234"], [1234.5, 1234, 1234], NumberFormat(",", " ")),
        (["1'234.5", "1’234"], [1234.5, 1234], NumberFormat(".", "'")),
        (["1_000"], [1000], NumberFormat(".", "_")),
        (["€ 12", "-€13,50"], [12, -13.5], NumberFormat(",", "", "€")),
        (["1.234,50 EUR", "7 EUR"], [1234.5, 7], NumberFormat(",", ".", "€")),
        (["12 %", "3%"], [12, 3], NumberFormat(unit="%")),
        (["12 %", "3 percent", "4 pct", "5Percent", "6 pct."], [12, 3, 4, 5, 6], NumberFormat(unit="%")),
        (["€ 1", "2 EUR", "EUR 3", "4€", "5 Eur"], [1, 2, 3, 4, 5], NumberFormat(unit="€")),
        (["$1", "2 USD", "US$ 3"], [1, 2, 3], NumberFormat(unit="$")),
        (["1 zł", "2 PLN"], [1, 2], NumberFormat(unit="zł")),
        (["$1,234.50", "($5.00)", "$7"], [1234.5, -5, 7], NumberFormat(".", ",", "$")),
        (["12-", "−3"], [-12, -3], NumberFormat()),
    ],
)
def test_numbers_are_recognised_however_they_are_written(texts, numbers, form):
    assert number_formats({"c": looked_at(*texts)}) == {"c": form}
    parsed = form.parse(pa.array(texts))
    assert parsed.values.to_pylist() == pytest.approx(numbers)
    assert not any(parsed.unreadable.to_pylist())


@pytest.mark.parametrize("word", ["?", "-", "--", "None", "na", "n/a", "NULL", ".", "missing", " ", "Blank", "#DIV/0!"])
def test_words_for_a_missing_value_are_gaps_among_numbers(word):
    column = looked_at("5.5", word, None, word)
    assert number_formats({"c": column}) == {"c": NumberFormat()}
    parsed = NumberFormat().parse(pa.array(["5.5", word, None]))
    assert parsed.values.to_pylist() == [5.5, None, None]
    assert not any(parsed.unreadable.to_pylist())
    assert not word.strip() or f"'{word}' (2 rows)" in number_note(NumberFormat(), column)


@pytest.mark.parametrize(
    "texts",
    [
        ["a", "b"],
        ["12.05.2024"],
        ["192.168.1.1"],
        ["5 kg"],
        ["?", "-"],
        ["%"],
        ["1.2.3"],
        ["1e", "0x10"],
        ["none", "a"],
    ],
)
def test_other_texts_are_no_numbers(texts):
    assert number_formats({"c": looked_at(*texts)}) == {}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["1,234"], "'1,234' may have a decimal ','"),
        (["1,5", "1.5"], "all of its numbers in one way"),
        (["12 %", "0.12"], "mixes units: '12 %' and '0.12'"),
        (["$5", "€6"], "mixes units"),
        (["$5", "AUD 6"], "mixes units"),
        (["¥5", "CNY 6"], "mixes units"),
        ([*map(str, range(30)), "abc"], "but also 'abc' (row 30)"),
        ([*(f"{i / 4}" for i in range(30)), "abc"], "but also 'abc' (row 30)"),
    ],
)
def test_what_is_unclear_is_refused_by_name(texts, words):
    with pytest.raises(InputError, match="column 'c'") as error:
        number_formats({"c": looked_at(*texts)})
    assert words in str(error.value)


def test_another_column_decides_what_one_leaves_open():
    assert number_formats({"a": looked_at("1,234"), "b": looked_at("0.5")})["a"] == NumberFormat(".", ",")
    assert number_formats({"a": looked_at("1,234"), "b": looked_at("0,5")})["a"] == NumberFormat(",")
    assert number_formats({"a": looked_at("1.234"), "b": looked_at("0,5")})["a"] == NumberFormat(",", ".")
    assert number_formats({"a": looked_at("1.234")})["a"] == NumberFormat()
    with pytest.raises(InputError, match="may have a decimal"):
        number_formats({"a": looked_at("1.234")}, points_are_plain=False)


def test_what_is_no_number_in_the_format_is_unreadable():
    parsed = NumberFormat(",").parse(pa.array(["1,5", "1.5", "abc", None, "-"]))
    assert parsed.values.to_pylist() == [1.5, None, None, None, None]
    assert parsed.unreadable.to_pylist() == [False, True, True, False, False]


def test_few_whole_numbers_among_texts_are_categories():
    assert number_formats({"c": looked_at(*(["1", "2", "3"] * 20), "A")}) == {}


def test_texts_may_come_in_parts():
    column = NumberTexts()
    for part in (["1", "2,5"], ["x"] * 0, ["1.000,5"]):
        column.offer(pa.array(part, pa.string()))
    assert number_formats({"c": column}) == {"c": NumberFormat(",", ".")}


def test_whole_numbers_with_leading_zeros_are_codes_unless_the_column_holds_numbers_for_certain():
    assert number_formats({"c": looked_at("01000", "20000", "0")}) == {}
    assert number_formats({"c": looked_at("007", "12.5")}) == {"c": NumberFormat()}
    assert number_formats({"c": looked_at("01000")}, needed=["c"]) == {"c": NumberFormat()}
    certain = NumberTexts(certain=True)
    certain.offer(pa.array(["01000"]))
    assert number_formats({"c": certain}) == {"c": NumberFormat()}


@pytest.mark.parametrize(
    ("unit", "wrong"),
    [
        ("$", ["€ 2", "4 %", "(5 €)"]),
        ("USD", ["€ 2", "4 %", "(5 €)"]),  # of a model of an older file
        ("", ["4 %"]),
        ("%", ["$ 1", "€ 2", "3", "(5 €)"]),
    ],
)
def test_numbers_in_another_unit_are_unreadable(unit, wrong):
    texts = ["$ 1", "€ 2", "3", "4 %", None, "-", "(5 €)"]
    parsed = NumberFormat(unit=unit).parse(pa.array(texts))
    assert [text for text, bad in zip(texts, parsed.unreadable.to_pylist(), strict=True) if bad] == wrong
    values = dict(zip(texts, parsed.values.to_pylist(), strict=True))
    assert {values[text] for text in wrong} == {None}


@pytest.mark.parametrize(
    ("texts", "unit"),
    [(["$1", "$2", "€3"], "$"), (["1", "2", "€3"], "€"), (["1", "2", "3%"], ""), (["1%", "2%", "3"], "%")],
)
def test_a_few_numbers_in_another_unit_do_not_stop_a_column_of_numbers(texts, unit):
    column = NumberTexts(certain=True)
    column.offer(pa.array(texts))
    assert number_formats({"c": column}, needed=["c"])["c"].unit == unit
