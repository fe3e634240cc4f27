"""Tables in other formats and in several files."""

import sys
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import anogan
from anogan import CSVDialect, InputError, TableFile
from anogan.sources.cells import parsed_cells

FRAME = pd.DataFrame(
    {
        "when": pd.date_range("2024", periods=40, freq="h"),
        "amount": np.random.default_rng(0).gamma(2.0, size=40).round(3),
        "kind": ["a", "b"] * 20,
        "items": np.arange(40),
        "member": [True, False] * 20,
    }
)
TYPES = {"when": "timestamp[us]", "amount": "double", "kind": "string", "items": "double", "member": "bool"}
WRITERS = {
    "feather": FRAME.to_feather,
    "jsonl": lambda path: FRAME.to_json(path, orient="records", lines=True, date_format="iso"),
    "ndjson.gz": lambda path: FRAME.to_json(path, orient="records", lines=True, date_format="iso", compression="gzip"),
    "xlsx": lambda path: FRAME.to_excel(path, index=False),
}


def written(frame: pd.DataFrame, path: Path) -> Path:
    """Write a DataFrame in the format of a path's suffix, and return the path."""
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif path.suffix == ".xlsx":
        frame.to_excel(path, index=False)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_table_is_the_same_in_every_format(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    WRITERS[suffix](path)
    file = anogan.open_source(path)
    pd.testing.assert_frame_equal(file.sample(100, 0).frame, FRAME, check_dtype=False)
    chunks = list(file.selecting(types=TYPES).chunks(7))
    assert [len(chunk) for chunk in chunks] == [7] * 5 + [5]
    pd.testing.assert_frame_equal(
        pd.concat(chunk.X for chunk in chunks).reset_index(drop=True), FRAME, check_dtype=False
    )


@pytest.mark.parametrize("suffix", [*WRITERS, "parquet"])
def test_a_file_of_another_kind_or_cut_short_is_refused_by_name(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    FRAME.to_parquet(path) if suffix == "parquet" else WRITERS[suffix](path)
    content = path.read_bytes()
    for wrong in (b"", b"hello", content[: len(content) // 2], b"\xff" * 300):
        path.write_bytes(wrong)
        with pytest.raises(InputError, match=r"t\."):
            list(TableFile(path, types={"amount": "double"}).chunks(10))


def test_an_excel_column_with_words_for_missing_values_holds_numbers(tmp_path):
    rows = pd.DataFrame({"a": [1.5, "?", 2, "1.000,5"], "b": list("wxyz"), "c": [None] * 4, "d": [1, 2, "x", 3]})
    rows.to_excel(tmp_path / "t.xlsx", index=False)
    with pytest.raises(InputError, match="column 'a' does not write all of its numbers in one way"):
        TableFile(tmp_path / "t.xlsx", drop=["d"]).sample(9, 0)
    rows["a"] = [1.5, "?", 2, "1,000.5"]
    rows.to_excel(tmp_path / "t.xlsx", index=False)
    file = TableFile(tmp_path / "t.xlsx")
    assert file.sample(9, 0).frame["a"].tolist()[::3] == [1.5, 1000.5]
    assert "missing values for '?'" in file.notes[0].text()
    (chunk,) = file.selecting(types={"d": "double", "c": "double"}).chunks(9)
    assert chunk.unreadable == {"d": {2: "x"}}


def test_only_the_first_sheet_of_an_excel_file_is_read_and_that_is_said(tmp_path):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as writer:
        FRAME.to_excel(writer, sheet_name="June", index=False)
        FRAME.to_excel(writer, sheet_name="July", index=False)
    assert "t.xlsx has 2 sheets; the first, 'June', is read." in [
        note.text() for note in TableFile(tmp_path / "t.xlsx").notes
    ]


def test_an_excel_file_without_openpyxl_says_what_to_install(tmp_path, monkeypatch):
    FRAME.to_excel(tmp_path / "t.xlsx", index=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(InputError, match=r"pip install 'anogan\[excel\]'"):
        TableFile(tmp_path / "t.xlsx")


def test_keys_of_json_lines_may_be_missing_but_types_must_agree(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1, "b": "x"}\n\n{"b": "y", "a": 2.5}\n{"b": null}')
    frame = TableFile(path).sample(9, 0).frame
    assert frame["a"].tolist()[:2] == [1, 2.5]
    assert frame["a"].isna().sum() == frame["b"].isna().sum() == 1
    path.write_text('{"a": 1}\n{"a": true}\n')
    with pytest.raises(InputError, match=r"t\.jsonl.*changed from number to boolean"):
        TableFile(path)


@pytest.mark.parametrize("block", [200, 2**22])
@pytest.mark.parametrize("first", ["numbers", "texts", "mixed"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "xlsx"])
def test_a_column_of_numbers_of_which_some_are_text_is_one_of_numbers(tmp_path, monkeypatch, suffix, first, block):
    """Each format reads the same table, however its numbers and texts are spread over blocks."""
    monkeypatch.setattr("anogan.sources.json_lines._BLOCK_BYTES", block)
    numbers = np.arange(60) / 4
    is_text = {"numbers": numbers > 10, "texts": numbers < 4, "mixed": np.arange(60) % 7 == 3}[first]
    mixed = [str(x) if text else x for x, text in zip(numbers.tolist(), is_text, strict=True)]
    frame = pd.DataFrame({"b": ["x", "y"] * 30, "a": pd.Series(mixed, dtype=object), "c": numbers[::-1]})
    file = TableFile(written(frame, tmp_path / f"t.{suffix}"))
    assert file.sample(99, 0).frame.to_dict("list") == frame.assign(a=numbers).to_dict("list")
    said = [] if suffix == "csv" else ["Column 'a' holds numbers, some of them as text, and is read as numbers."]
    assert [note.text() for note in file.notes] == said
    (chunk,) = file.selecting(types={"a": "double", "b": "string"}).chunks(99)
    assert chunk.X["a"].tolist() == numbers.tolist()
    written(frame.assign(a=[*mixed[:-1], "no number"]), file.path)
    with pytest.raises(InputError, match="column 'a' holds numbers, but also 'no number'"):
        TableFile(file.path).sample(99, 0)
    (chunk,) = TableFile(file.path, types={"a": "double"}).chunks(99)
    assert chunk.unreadable == {"a": {59: "no number"}}


def test_folders_named_after_values_give_columns(tmp_path):
    table = pa.table({"a": [1.5, 2.5, 3.5], "year": [2023, 2024, 2024], "of": ["x", "x", "y/z"]})
    pq.write_to_dataset(table, tmp_path / "t", partition_cols=["year", "of"])
    file = anogan.open_source(tmp_path / "t")
    assert file.total == 3
    assert file.read().to_pydict() == {"a": [1.5, 2.5, 3.5], "year": [2023, 2024, 2024], "of": ["x", "x", "y/z"]}
    (chunk,) = file.selecting(types={"year": "double", "a": "double"}).chunks(9)
    assert chunk.X["year"].tolist() == [2023, 2024, 2024]


def test_several_files_are_one_table(tmp_path):
    FRAME[:10].to_csv(tmp_path / "jan1.csv", index=False)
    FRAME[10:30].to_csv(tmp_path / "jan2.csv", index=False, sep=";", decimal=",")
    FRAME[30:][FRAME.columns[::-1]].to_parquet(tmp_path / "jan3.parquet", index=False)
    paths = [tmp_path / "jan1.csv", tmp_path / "jan2.csv", tmp_path / "jan3.parquet"]
    with pytest.raises(
        InputError, match=r"jan2\.csv has decimal commas in column 'amount'.*jan1\.csv has decimal points"
    ):
        TableFile(paths).sample(100, 0)
    FRAME[10:30].to_csv(tmp_path / "jan2.csv", index=False, sep=";")
    for file in (TableFile(paths), anogan.open_source(paths), anogan.open_source(str(tmp_path / "jan*"))):
        pd.testing.assert_frame_equal(file.sample(100, 0).frame, FRAME, check_dtype=False)
        frame = pd.concat(chunk.X for chunk in file.selecting(types=TYPES).chunks(7)).reset_index(drop=True)
        pd.testing.assert_frame_equal(frame, FRAME, check_dtype=False)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("a,b\n1,x\n", r"u\.csv lacks column 'c', which .*t\.csv has"),
        ("a,b,c,d\n1,x,2,3\n", r"u\.csv has column 'd', which .*t\.csv lacks"),
        ("a,b,c\n1.5,x,2 %\n", r"t\.csv has numbers without a sign in column 'c', but .*u\.csv has numbers with.*'%'"),
        ("a,b,c\nzero,x,2\n", r"u\.csv has UTF-8 text in column 'a', but .*t\.csv has numbers"),
        ("", r"u\.csv is empty"),
    ],
)
def test_several_files_that_do_not_fit_together_are_named(tmp_path, second, words):
    (tmp_path / "t.csv").write_text("a,b,c\n1.5,x,2\n")
    (tmp_path / "u.csv").write_text(second)
    with pytest.raises(InputError, match=words):
        TableFile([tmp_path / "t.csv", tmp_path / "u.csv"]).sample(9, 0)


def test_patterns_and_paths_that_mean_no_file_or_one_twice_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1.5,x\n")
    with pytest.raises(InputError, match=r"There is no file .*x\*\.csv"):
        anogan.open_source(tmp_path / "x*.csv")
    with pytest.raises(InputError, match="named twice"):
        anogan.open_source([tmp_path / "t.csv", tmp_path / "*.csv"])
    with pytest.raises(InputError, match="Did you mean"):
        anogan.open_source([tmp_path / "t.csv", tmp_path / "u.csv"])
    (tmp_path / "[1].csv").write_text("a,b\n1.5,x\n")
    assert TableFile(tmp_path / "[1].csv", dialect=CSVDialect(sep=",")).names == ["a", "b"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "xlsx"])
def test_leading_zeros_of_codes_are_kept_in_every_format(tmp_path, suffix):
    frame = pd.DataFrame({"zip": ["01000", "20000", "01000"], "a": [1.5, 2, 3]})
    path = written(frame, tmp_path / f"t.{suffix}")
    file = TableFile(path)
    assert file.sample(9, 0).frame["zip"].tolist()[:3] == ["01000", "20000", "01000"]
    assert "codes with leading zeros" in file.notes[0].text()


@pytest.mark.parametrize("suffix", ["jsonl", "xlsx"])
@pytest.mark.parametrize("others", [["2,345"], ["2,345", "abc"]])
def test_texts_that_are_ambiguous_numbers_are_refused_by_name_in_every_format(tmp_path, suffix, others):
    path = tmp_path / f"t.{suffix}"
    written(pd.DataFrame({"a": ["1,234", *others]}), path)
    with pytest.raises(InputError, match=r"column 'a' is ambiguous: '1,234'.* Write its numbers as numbers"):
        list(TableFile(path, types={"a": "double"}).chunks(9))
    written(pd.DataFrame({"a": ["1,234.5", *others]}), path)
    (chunk,) = TableFile(path, types={"a": "double"}).chunks(9)
    assert chunk.X["a"][:2].tolist() == [1234.5, 2345]


@pytest.mark.parametrize("value", ["true", "[1, 2]", '{"b": 1}'])
@pytest.mark.parametrize("block", [200, 2**22])
def test_a_json_column_of_numbers_and_texts_takes_no_other_values(tmp_path, monkeypatch, value, block):
    """They are refused in the block in which numbers and texts are first seen, and in those after it."""
    monkeypatch.setattr("anogan.sources.json_lines._BLOCK_BYTES", block)
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"a": {i if i % 3 else chr(34) + "x" + chr(34)}}}\n' for i in range(41)))
    assert TableFile(path).read()["a"].to_pylist()[:3] == ["x", "1", "2"]
    with path.open("a") as file:
        file.write(f'{{"a": {value}}}\n')
    with pytest.raises(InputError) as caught:
        TableFile(path)
    assert str(caught.value) == f"{path}: column 'a' holds numbers and texts, but {value} in row 41."


def test_a_line_that_is_no_json_object_after_a_mixed_column_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("anogan.sources.json_lines._BLOCK_BYTES", 20)
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n{"a": "x"}\n{"a": 2}\n[1, 2]\n')
    with pytest.raises(InputError, match=r"t\.jsonl: row 3 is no JSON object\."):
        TableFile(tmp_path / "t.jsonl")


def test_time_zones_in_json_lines_are_kept_and_not_mixed_with_dates_without_one(tmp_path):
    path = tmp_path / "t.jsonl"
    zoned, bare = "2022-03-04T14:00:00+09:00", "2022-03-04T14:00:00"
    written(pd.DataFrame({"day": [zoned, bare], "a": 1.5}), path)
    (chunk,) = TableFile(path, types={"day": "timestamp[us]"}).chunks(9)
    assert chunk.unreadable == {"day": {0: zoned}}
    (chunk,) = TableFile(path, types={"day": "timestamp[us, tz=UTC]"}).chunks(9)
    assert chunk.unreadable == {"day": {1: bare}}
    assert TableFile(path).sample(9, 0).frame["day"].tolist() == [zoned, bare]
    for texts, zone in (([zoned, zoned], "UTC"), ([bare, bare], None)):
        for suffix in ("jsonl", "csv"):
            file = TableFile(written(pd.DataFrame({"day": texts, "a": 1.5}), tmp_path / f"t.{suffix}"))
            days = file.sample(9, 0).frame["day"]
            assert str(days.dt.tz) == str(zone)
            assert days[0] == pd.Timestamp(texts[0])
    late = pd.DataFrame({"day": [*[bare] * 200, zoned], "gaps": [None, "n/a", bare] * 67, "a": 1.5})
    frame = TableFile(written(late, path)).sample(999, 0).frame
    assert frame["day"].tolist() == late["day"].tolist()
    assert (frame["gaps"].dtype.kind, frame["gaps"].notna().sum()) == ("M", 67)


def test_a_number_that_means_a_missing_value_is_one_among_dates_too():
    days = pa.array(["2024-01-02", "-999", "n/a", None, "soon", "2024-01-02T03:04:05.123456789"])
    values, unreadable = parsed_cells(days, pa.timestamp("us"), None, ("-999",))
    assert unreadable.to_pylist() == [False] * 4 + [True, False]
    assert values.is_valid().to_pylist() == [True, *[False] * 4, True]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "xlsx"])
def test_files_in_other_units_are_no_table_and_one_cell_in_another_unit_is_unreadable(tmp_path, suffix):
    dollars = pd.DataFrame({"a": ["$ 1.50", "$ 2.50", "3.50"]})
    paths = [written(dollars, tmp_path / f"t.{suffix}"), tmp_path / f"u.{suffix}"]
    written(dollars, paths[1])
    assert TableFile(paths).sample(9, 0).frame["a"].tolist() == [1.5, 2.5, 3.5] * 2
    written(pd.DataFrame({"a": ["€ 1.50", "€ 2.50"]}), paths[1])
    with pytest.raises(InputError, match=r"with the sign '\$' in column 'a', but .* with the sign '€'"):
        TableFile(paths).sample(9, 0)
    written(pd.DataFrame({"a": ["$ 1.50", "€ 2.50", "$ 3.50", "4 %"]}), paths[0])
    (chunk,) = TableFile(paths[0], types={"a": "double"}).chunks(9)
    assert chunk.unreadable == {"a": {1: "€ 2.50", 3: "4 %"}}
    with pytest.raises(InputError, match="mixes units"):
        TableFile(paths[0]).sample(9, 0)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "xlsx"])
@pytest.mark.parametrize(
    ("fitted", "new", "wrong"),
    [
        ("$ {}", ["$ 1.50", "€ 1.50", "1.50", "15 %"], [1, 3]),
        ("€ {}", ["1.50 EUR", "eur 2.50", "2.50 USD", "€ 3.50"], [2]),
        ("US$ {}", ["$ 1.50", "1.50 USD", "A$ 1.50"], [2]),
        ("{} percent", ["1.50 %", "2.50 Pct.", "3.50%", "1.50"], [3]),
        ("{} %", ["1.50 %", "1.50", "1.50 €"], [1, 2]),
        ("{} %", ["0.15", "0.25"], [0, 1]),
        ("{}", ["1.50 %", "2.50 %"], [0, 1]),
        ("{}", ["1.50", "2.50 €", "3.50 €", "$ 4.50"], [3]),
    ],
)
def test_a_model_keeps_the_units_of_its_columns(tmp_path, suffix, fitted, new, wrong):
    numbers = [fitted.format(f"{i % 9}.50") for i in range(60)]
    path = written(
        pd.DataFrame({"a": numbers, "b": FRAME["amount"][np.arange(60) % 40].tolist()}), tmp_path / f"t.{suffix}"
    )
    detector = anogan.WGANGP(**anogan.WGANGP.tiny, random_state=0).fit(TableFile(path))
    detector.save(tmp_path / "m.anogan")
    detector = anogan.load(tmp_path / "m.anogan")
    stream = anogan.Stream(detector, TableFile(written(pd.DataFrame({"a": new, "b": 1.5}), path)))
    if len(wrong) == len(new):
        with pytest.raises(InputError, match="no row that can be scored"):
            list(stream.chunks())
    else:
        (chunk,) = stream.chunks()
        assert sorted(chunk.account.refused) == wrong
        assert all("is not a number" in why for why in chunk.account.refused.values())


def test_blank_rows_of_a_sheet_are_said_at_fit_and_in_scores(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    values = np.random.default_rng(0).normal(size=40).round(2).tolist()
    for row in [[], ["a"], *([value] for value in values[:20]), [], [], *([value] for value in values[20:]), []]:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    file = TableFile(tmp_path / "t.xlsx")
    said = "t.xlsx has 2 blank rows, the first in row 23 of its sheet. Blank rows are left out"
    assert [note.text() for note in file.notes] == [f"{said}, and rows are counted without them."]
    assert file.sample(99, 0).frame["a"].tolist() == values
    detector = anogan.WGANGP(**anogan.WGANGP.tiny, random_state=0).fit(file)
    stream = anogan.Stream(detector, tmp_path / "t.xlsx")
    assert len(list(stream)) == 1
    assert any(said in note for note in stream.notes())


def workbook(path: Path, rows: list[list], merged: tuple[str, ...] = ()) -> Path:
    """Write a sheet as openpyxl does, which calculates no formula, and return the path."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cells in merged:
        book.active.merge_cells(cells)
    book.save(path)
    return path


def test_formulas_without_a_value_are_said(tmp_path):
    rows = [["a", "b", "c"], *([i / 2, f"=A{i}*2", "x"] for i in range(2, 12)), [None, "=SUM(A2:A11)", None]]
    file = TableFile(workbook(tmp_path / "t.xlsx", rows))
    assert file.read()["b"].null_count == 10
    assert [note.text() for note in file.notes] == [
        "t.xlsx, sheet 'Sheet': formulas without a value are read as gaps: column 'b' (11 cells). Open the file in a "
        "spreadsheet program, which calculates them, and save it."
    ]
    with pytest.raises(InputError, match="the formulas of its first sheet have no values"):
        TableFile(workbook(tmp_path / "t.xlsx", [["=B1"], ["=B2"]]))


def edited_sheet(path: Path, *changes: tuple[bytes, bytes]) -> Path:
    """Replace parts of the XML of a workbook's sheet, each of which is there, and return the path."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"]
    for before, after in changes:
        assert before in sheet
        sheet = sheet.replace(before, after)
    with zipfile.ZipFile(path, "w") as new:
        for name, content in (parts | {"xl/worksheets/sheet1.xml": sheet}).items():
            new.writestr(name, content)
    return path


def test_formulas_with_a_value_are_read(tmp_path):
    path = workbook(tmp_path / "t.xlsx", [["a"], ["=1+1"], ["=1+2"]])
    file = TableFile(edited_sheet(path, (b"1+1</f><v />", b"1+1</f><v>2</v>")))
    assert file.read()["a"].to_pylist() == [2]  # the row of the other formula is blank
    assert "column 'a' (1 cell)" in file.notes[-1].text()


def test_formulas_whose_value_is_an_empty_text_are_gaps_without_a_note(tmp_path):
    path = workbook(tmp_path / "t.xlsx", [["a", "b"], [9, '=IF(A2>5,"high","")'], [1, '=IF(A3>5,"high","")']])
    edited_sheet(
        path,
        (b'"B2"><f>IF(A2&gt;5,"high","")</f><v />', b'"B2" t="str"><f>IF(A2&gt;5,"high","")</f><v>high</v>'),
        (b'"B3"><f>IF(A3&gt;5,"high","")</f><v />', b'"B3" t="str"><f>IF(A3&gt;5,"high","")</f><v></v>'),
    )
    file = TableFile(path)
    assert file.read()["b"].to_pylist() == ["high", None]
    assert file.notes == []


def test_merged_groups_are_filled_and_other_merged_cells_are_said(tmp_path):
    rows = [["group", "a", "b"], *([f"g{i // 4}" if i % 4 == 0 else None, i / 2, i] for i in range(8))]
    file = TableFile(workbook(tmp_path / "t.xlsx", rows, ("A2:A5", "A6:A20", "C3:C5", "B8:C8")))
    assert file.read().to_pydict() == {
        "group": ["g0"] * 4 + ["g1"] * 4,
        "a": [i / 2 for i in range(8)],
        "b": [0, 1, None, None, 4, 5, None, 7],
    }
    assert [note.text() for note in file.notes] == [
        "t.xlsx, sheet 'Sheet': the text of cells that are merged over rows stands in each of these rows: column "
        "'group' (6 cells).",
        "t.xlsx, sheet 'Sheet': merged cells are read as gaps: column 'b' (3 cells). Only the first cell of a merged "
        "range holds its value; unmerge them, and fill in what is meant.",
    ]
    plain = TableFile(workbook(tmp_path / "t.xlsx", rows))
    assert plain.read()["group"].null_count == 6
    assert plain.notes == []


def test_cells_merged_with_the_names_of_columns_are_said(tmp_path):
    file = TableFile(workbook(tmp_path / "t.xlsx", [["a", "b"], [None, 1], ["x", 2], ["y", 3]], ("A1:A2",)))
    assert file.read().to_pydict() == {"a": [None, "x", "y"], "b": [1, 2, 3]}
    assert "merged cells are read as gaps: column 'a' (1 cell)" in file.notes[0].text()
