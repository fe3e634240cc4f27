"""Whatever a user may hand over: one clear line, an exit code that is not 0, and nothing half-written."""

import itertools
import json
import os
import resource
import shutil
import signal
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import anogan
from anogan.engine import stage_run

from .conftest import TINY, mixed_table, save_picture
from .processes import start


@pytest.fixture
def refused(run, tmp_path):
    """Run a command that must be refused with one line that has these words, leaving `tmp_path` as it was."""

    def call(*args, words, code=2):
        before = sorted(p for p in tmp_path.rglob("*"))
        result = run(*args, code=code)
        lines = [line for line in result.stderr.splitlines() if line.startswith("Error")]
        assert len(lines) == 1, result.output
        assert result.stderr.strip().splitlines()[-1] == lines[0]
        for word in [words] if isinstance(words, str) else words:
            assert word in lines[0], lines[0]
        assert sorted(p for p in tmp_path.rglob("*")) == before
        return lines[0]

    return call


@pytest.fixture
def score_refused(refused, table_model, tmp_path):
    """Score a table that must be refused."""

    def call(frame, words, *options, code=2):
        path = tmp_path / "bad.csv"
        frame.to_csv(path, index=False)
        refused("score", path, "-m", table_model, "-o", tmp_path / "s.csv", *options, words=words, code=code)
        frame.to_parquet(tmp_path / "bad.parquet")
        path = tmp_path / "bad.parquet"
        refused("score", path, "-m", table_model, "-o", tmp_path / "s.csv", *options, words=words, code=code)

    return call


# ------------------------------------------------------------------ columns


def test_missing_column_with_the_closest_one(score_refused):
    score_refused(mixed_table(9).rename(columns={"amount": "amont"}), ["'amount'", "'amont'"])


def test_missing_column(score_refused):
    score_refused(mixed_table(9).drop(columns="items"), "'items'")


def test_extra_column_with_the_way_out(score_refused):
    score_refused(mixed_table(9).assign(customer=1), ["'customer'", "--drop customer"])


def test_dropping_a_column_that_is_not_there(score_refused):
    score_refused(mixed_table(9).assign(customer=1), ["'custommer'", "'customer'"], "--drop", "custommer")


def test_dropping_a_column_that_the_model_needs(score_refused):
    score_refused(mixed_table(9), ["'items' cannot be dropped", "needs"], "--drop", "items")


def test_number_that_became_text(score_refused):
    table = mixed_table(9).assign(items=[*"12345678", "many"])
    score_refused(table, ["'items'", "number"], "--on-error", "stop")


def test_date_that_became_a_number(score_refused):
    score_refused(mixed_table(9).assign(day=0.5), ["'day'", "date"])


def test_truth_that_became_text(score_refused):
    score_refused(mixed_table(9).assign(member="sometimes"), ["'member'", "true"])


def test_unseen_category_under_strict(score_refused):
    score_refused(mixed_table(9).assign(shop="moon"), ["'shop'", "'moon'", "(9 rows)"], "--strict")


def test_missing_values_where_there_were_none_under_strict(score_refused):
    gaps = mixed_table(9).assign(items=[np.nan] * 2 + [1.0] * 7)
    score_refused(gaps, ["'items'", "'(missing)'", "(2 rows)"], "--strict")


def test_infinity(score_refused):
    score_refused(mixed_table(9).assign(amount=[np.inf] * 9), ["'amount'", "infinity"])


def test_infinity_in_an_array(refused, tmp_path):
    X = np.ones((20, 2))
    X[3, 1] = np.inf
    np.save(tmp_path / "x.npy", X)
    refused("fit", tmp_path / "x.npy", "-m", tmp_path / "m", *TINY, words="infinity")
    X[3, 1] = np.nan
    np.save(tmp_path / "x.npy", X)
    refused("fit", tmp_path / "x.npy", "-m", tmp_path / "m", *TINY, words="NaN")


def test_bad_value_far_down_a_stream_leaves_no_output(score_refused):
    frame = mixed_table(4000).astype({"items": object})
    frame.loc[3999, "items"] = "many"
    frame["items"] = frame["items"].astype(str)
    score_refused(frame, "'items'", "--chunk-rows", "100", "--on-error", "stop")


# ------------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "is empty"),
        ("header.csv", b"amount,items\n", "no rows"),
        ("ragged.csv", b"a,b\n1,2\n3\n", "row 1 has 1 field, but 2 are expected"),
        ("twice.csv", b"a,a\n1,2\n", "more than once"),
        ("not.parquet", b"a,b\n1,2\n", "Parquet"),
        ("empty.parquet", b"", "arquet"),
        ("not.npy", b"hello", "not a NumPy array"),
        ("empty.npy", b"", "not a NumPy array"),
        ("not.npz", b"hello", "not a NumPy archive"),
        ("not.csv.gz", b"\x1f\x8b\x08a,b\n1,2\n", "not.csv.gz"),
        ("excel.csv", b"PK\x03\x04\x14\x00", "excel.csv"),
        ("old.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Excel file"),
        ("renamed.csv", b"PAR1\x15\x04", "is a Parquet file"),
        ("zeros.csv", b"a,b\n1,\x00\n", "NUL character in line 2"),
        ("quote.csv", b'a,b\n1,"x\n3,4\n5,6\n', "quotation mark missing"),
        ("comma.csv", b'a,b\n"1,234",x\n"12",y\n', "--decimal ','"),
        ("data.docx", b"x", "no kind that can be read"),
        ("data.xlsx", b"x", "data.xlsx is not an Excel file"),
        ("picture.png", b"no picture", "picture.png"),
    ],
)
def test_unreadable_files(refused, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    refused("fit", tmp_path / name, "-m", tmp_path / "m", *TINY, words=words)


def test_objects_in_an_array_are_never_unpickled(refused, tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused("fit", tmp_path / "x.npy", "-m", tmp_path / "m", *TINY, words="x.npy")
    np.savez(tmp_path / "x.npz", X=np.array([{"a": 1}], dtype=object))
    refused("fit", tmp_path / "x.npz", "-m", tmp_path / "m", *TINY, words="holds Python objects")


def test_archive_without_x_and_truncated_archive(refused, tmp_path):
    np.savez(tmp_path / "x.npz", data=np.ones((5, 2)))
    refused("fit", tmp_path / "x.npz", "-m", tmp_path / "m", *TINY, words=["'X'", "data"])
    np.savez(tmp_path / "y.npz", X=np.random.default_rng(0).random((500, 20)))
    whole = (tmp_path / "y.npz").read_bytes()
    (tmp_path / "y.npz").write_bytes(whole[: len(whole) // 2])
    refused("fit", tmp_path / "y.npz", "-m", tmp_path / "m", *TINY, words="y.npz")
    np.save(tmp_path / "z.npy", np.ones((500, 20)))
    (tmp_path / "z.npy").write_bytes((tmp_path / "z.npy").read_bytes()[:5000])
    refused("fit", tmp_path / "z.npy", "-m", tmp_path / "m", *TINY, words="z.npy")


def test_no_such_file_with_the_closest_one(refused, data, tmp_path):
    refused("fit", data / "norml.csv", "-m", tmp_path / "m", words=["norml.csv", "normal.csv"])


def test_data_of_another_kind_than_the_model(refused, data, table_model, picture_model, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((3, 5)))
    refused("score", tmp_path / "x.npy", "-m", table_model, "-o", tmp_path / "s.csv", words="a table")
    refused("score", data / "parts", "-m", table_model, "-o", tmp_path / "s.csv", words="a table")
    refused("score", data / "new.csv", "-m", picture_model, "-o", tmp_path / "s.csv", words="pictures")


# ------------------------------------------------------------------ pictures


@pytest.fixture
def pictures(tmp_path):
    """Twelve good grey pictures in a folder."""
    for i in range(12):
        save_picture(tmp_path / "pictures" / f"{i:02d}.png", i)
    return tmp_path / "pictures"


def damage(folder: Path, kind: str) -> Path:
    """Put a bad file among the pictures."""
    file = folder / "05.png"
    if kind == "truncated":
        file.write_bytes(file.read_bytes()[:200])
    elif kind == "text":
        file.write_text("no picture")
    elif kind == "empty":
        file.write_bytes(b"")
    else:
        save_picture(file, 5, colour=True)
    return file


@pytest.mark.parametrize("kind", ["truncated", "text", "empty"])
def test_unreadable_picture_stops_or_is_skipped_and_named(refused, run, pictures, tmp_path, kind):
    damage(pictures, kind)
    args = ("fit", pictures, "-m", tmp_path / "m", "--image-size", "8", *TINY)
    refused(*args, words="05.png")
    result = run(*args, "--on-error", "skip", "--json")
    assert json.loads(result.stdout)["rows"] == 11
    assert "05.png" in result.stderr


@pytest.mark.parametrize("kind", ["truncated", "text", "empty", "coloured"])
def test_unreadable_picture_while_scoring(refused, run, picture_model, pictures, tmp_path, kind):
    damage(pictures, kind)
    args = ("score", pictures, "-m", picture_model, "-o", tmp_path / "s.csv")
    refused(*args, words="05.png")
    result = run(*args, "--on-error", "skip", "--chunk-rows", "5")
    assert "skipped 1 picture that" in result.stderr
    assert "05.png" in result.stderr
    files = pd.read_csv(tmp_path / "s.csv")["file"]
    assert len(files) == 11
    assert "05.png" not in set(files)


def test_pictures_of_mixed_size_and_mode_are_brought_together(run, picture_model, pictures, tmp_path):
    save_picture(pictures / "wide.png", 1, size=(9, 40))
    Image.fromarray(np.random.default_rng(0).integers(0, 65536, (30, 30)).astype(np.uint16)).save(pictures / "deep.png")
    run("score", pictures, "-m", picture_model, "-o", tmp_path / "s.csv")
    assert len(pd.read_csv(tmp_path / "s.csv")) == 14


def test_folder_without_pictures(refused, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("x")
    refused("fit", tmp_path / "folder", "-m", tmp_path / "m", *TINY, words="no pictures")


def test_evaluating_a_folder_without_labels(refused, picture_model, pictures):
    refused("evaluate", pictures, "-m", picture_model, words=("no labels", "--normal NAME"))


def test_a_mask_that_is_missing_is_named_and_ends_nothing(run, data, picture_model, tmp_path):
    shutil.copytree(data / "parts", tmp_path / "parts")
    (tmp_path / "parts" / "ground_truth" / "scratch" / "2_mask.png").unlink()
    done = run("evaluate", tmp_path / "parts", "-m", picture_model)
    assert "figures of pixels leave out 1 defective picture without a mask: scratch/2.png" in done.stderr
    assert "pixel AUROC" in done.stdout
    assert done.stdout.startswith("8 pictures, 4 anomalous")


# ------------------------------------------------------------------ models


def rewrite(source: Path, target: Path, name: str, change) -> None:
    """Copy a model file, one of its parts changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            new.writestr(entry, change(content) if entry == name else content)


def test_model_of_another_format_version(refused, data, table_model, tmp_path):
    def newer(content):
        return json.dumps(json.loads(content) | {"format_version": 99}).encode()

    rewrite(table_model, tmp_path / "m", "manifest.json", newer)
    refused("score", data / "new.csv", "-m", tmp_path / "m", "-o", tmp_path / "s.csv", words="99")


@pytest.mark.parametrize("part", ["weights.safetensors", "preprocessor.json"])
def test_tampered_model(refused, data, table_model, tmp_path, part):
    rewrite(table_model, tmp_path / "m", part, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    refused("score", data / "new.csv", "-m", tmp_path / "m", "-o", tmp_path / "s.csv", words=part)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04broken"])
def test_file_that_is_no_model(refused, data, tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    for command in (
        ("inspect", tmp_path / "m"),
        ("score", data / "new.csv", "-m", tmp_path / "m", "-o", "-"),
    ):
        refused(*command, words="not a model file")


def test_truncated_model_and_missing_model(refused, data, table_model, tmp_path):
    (tmp_path / "m").write_bytes(table_model.read_bytes()[:-500])
    refused("inspect", tmp_path / "m", words=str(tmp_path / "m"))
    refused("inspect", tmp_path / "none", words=["none", "No such file"])
    refused("inspect", tmp_path, words="directory")


# ------------------------------------------------------------------ options


def test_unknown_detector_and_option_and_command(refused, data, tmp_path):
    args = ("fit", data / "normal.csv", "-m", tmp_path / "m")
    refused(*args, "--detector", "ganomly", words="'ganomaly'")
    refused(*args, "--latent-dims", "3", words="--latent-dim")
    refused(
        *args,
        "--detector",
        "ganomaly",
        "--critic-steps",
        "3",
        words=["ganomaly", "--critic-steps", "wgan_gp"],
    )
    refused("scor", words="'score'")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--steps", "0", "at least 1"),
        ("--steps", "many", "an integer"),
        ("--steps", "1.5", "an integer"),
        ("--learning-rate", "nan", "above 0"),
        ("--target-fpr", "1", "below 1"),
        ("--scaling", "standart", "'standard'"),
        ("--contamination", "0.9", "'auto'"),
        ("--width", "-3", "'none'"),
        ("--random-state", "-1", "at least 0"),
        ("--image-size", "8x", "not a size"),
    ],
)
def test_value_out_of_range(refused, data, tmp_path, option, value, words):
    args = ("fit", data / "normal.csv", "-m", tmp_path / "m", option, value)
    refused(*args, words=[option, words])


def test_labels_that_are_missing_or_unclear(refused, data, table_model, tmp_path):
    labelled = data / "labelled.csv"
    refused("evaluate", labelled, "-m", table_model, words="--label")
    refused("evaluate", labelled, "-m", table_model, "--label", "kid", words=["'kid'", "'kind'"])
    refused("evaluate", labelled, "-m", table_model, "--label", "kind", words=["'fine'", "--normal"])
    args = ("evaluate", labelled, "-m", table_model, "--label", "kind", "--normal")
    refused(*args, "good", words=["'good'", "'fraud'"])
    mixed_table(9).assign(kind="fine").to_csv(tmp_path / "one.csv", index=False)
    refused("evaluate", tmp_path / "one.csv", *args[2:], "fine", words="both kinds")
    refused("fit", labelled, "-m", tmp_path / "m", "--label", "kind", words="--normal")
    refused("fit", labelled, "-m", tmp_path / "m", "--label", "kind", "--normal", "fin", words="'fine'")
    mixed_table(9).assign(kind=["fine", None, *["fraud"] * 7]).to_csv(tmp_path / "gap.csv", index=False)
    refused("evaluate", tmp_path / "gap.csv", *args[2:], "fine", words="missing")


def test_kept_column_that_collides_with_an_output_column(score_refused):
    score_refused(mixed_table(9).assign(score=1), "--keep score", "--keep", "score")


def test_maps_of_a_table_and_reasons_of_pictures(refused, data, table_model, picture_model, tmp_path):
    output = ("-o", tmp_path / "s.csv")
    refused("score", data / "new.csv", "-m", table_model, *output, "--maps", tmp_path / "x", words="--reasons")
    refused("score", data / "parts", "-m", picture_model, *output, "--reasons", "2", words="--maps")


# ------------------------------------------------------------------ outputs


def test_outputs_that_cannot_be_written(refused, data, table_model, tmp_path):
    score = ("score", data / "new.csv", "-m", table_model, "-o")
    refused(*score, tmp_path / "no" / "s.csv", words="does not exist")
    refused(*score, tmp_path, words="folder")
    refused(*score, tmp_path / "s.json", words=".parquet")
    fit = ("fit", data / "normal.csv", *TINY, "-m")
    refused(*fit, tmp_path / "no" / "m", words="does not exist")
    refused(*fit, tmp_path, words="folder")
    refused(*fit, "/dev/full", words="/dev/full")
    refused("sample", "-m", table_model, "-n", 3, "-o", tmp_path / "x.png", words=".csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(refused, data, table_model, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    args = ("score", data / "new.csv", "-m", table_model, "-o", tmp_path / "locked" / "s.csv")
    refused(*args, words="Permission denied")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_while_scoring(refused, data, table_model):
    args = ("score", data / "new.csv", "-m", table_model, "-o", "/dev/full")
    refused(*args, words=["/dev/full", "No space left"], code=1)


@pytest.mark.parametrize("command", ["fit", "score"])
def test_disk_that_fills_up_leaves_the_old_file_as_it_was(data, table_model, tmp_path, command):
    target = tmp_path / "out.csv"
    target.write_text("precious")
    source = tmp_path / "many.csv"
    mixed_table(3000).to_csv(source, index=False)
    words = ["score", source, "-m", table_model, "-o", target] if command == "score" else ["fit", source, "-m", target]
    words += [] if command == "score" else TINY

    def small_disk():  # the nearest thing to a full disk that needs no rights: no file may exceed 4 kB
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    code, said = start(words, data / "said", small_disk).end()
    assert code == 1, said
    assert str(target) in said.splitlines()[-1]
    assert "Traceback" not in said
    assert target.read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["many.csv", "out.csv"]


# ------------------------------------------------------------------ interruption


def test_interrupted_fit_goes_on_from_its_checkpoint(data, tmp_path):
    args = ["fit", data / "normal.csv", "-m", tmp_path / "m", "--checkpoint", tmp_path / "saved", *TINY]
    args += ["--steps", "100000", "--patience", "0"]

    def checkpoint_at_each_step():
        stage_run.time = SimpleNamespace(monotonic=itertools.count(0, 3600).__next__)  # an hour passes in between

    process = start(args, tmp_path / "said", checkpoint_at_each_step)
    code, said = process.ended_by(signal.SIGINT, when=lambda: any((tmp_path / "saved").glob("checkpoint*")))
    assert code == 130, said
    assert said.strip().splitlines()[-1].startswith("Interrupted. Run the same command again")
    assert "Traceback" not in said
    assert not (tmp_path / "m").exists()
    seen: list[int] = []

    class First(anogan.Callback):
        def on_step_end(self, stage, step, terms):
            seen.append(step)
            raise KeyboardInterrupt

    detector = anogan.GANomaly(steps=100000, patience=0, width=8, batch_size=16, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        detector.fit(read_as_cli(data / "normal.csv"), callbacks=[First()], checkpoint=tmp_path / "saved")
    assert seen[0] > 1  # it went on, not began


def read_as_cli(path: Path) -> pd.DataFrame:
    """The table as the command line reads it, so that the checkpoint is of the same data."""
    file = anogan.TableFile(path)
    return file.frame(file.read())


# ------------------------------------------------------------------ what a file holds besides its columns


def test_the_index_of_a_parquet_file_is_no_column(run, table_model, tmp_path):
    frame = mixed_table(40)
    frame[frame["items"] > 2].to_parquet(tmp_path / "part.parquet")  # stores the row numbers that are left
    run("fit", tmp_path / "part.parquet", "-m", tmp_path / "m", *TINY)
    run("score", tmp_path / "part.parquet", "-m", tmp_path / "m", "-o", tmp_path / "s.csv", "-q")
    assert list(anogan.load(tmp_path / "m").feature_names_in_) == list(frame.columns)


def test_wide_integers_and_exact_dates_of_parquet_are_read(run, tmp_path):
    frame = mixed_table(40)
    frame["items"] = frame["items"].astype(np.int64) + 2**60
    frame["day"] += pd.Timedelta(1, "ns")
    frame.to_parquet(tmp_path / "wide.parquet")
    run("fit", tmp_path / "wide.parquet", "-m", tmp_path / "m", *TINY)
    run("score", tmp_path / "wide.parquet", "-m", tmp_path / "m", "-o", tmp_path / "s.csv", "-q")
    expected = anogan.load(tmp_path / "m").anomaly_score(frame)
    assert len(set(expected)) > 30
    np.testing.assert_allclose(pd.read_csv(tmp_path / "s.csv")["score"], expected, rtol=1e-12)


def test_a_file_in_another_encoding_and_dialect_is_read_and_said_once(run, tmp_path):
    rows = "".join(f"{i},{i % 10}0;{'äöü'[i % 3]}\n" for i in range(60))
    (tmp_path / "t.csv").write_bytes(f"größe;art\n{rows}".encode("cp1252"))
    fitted = run("fit", tmp_path / "t.csv", "-m", tmp_path / "m", *TINY)
    assert "separator ';', encoding cp1252" in fitted.stderr
    assert "'größe' holds numbers with decimal commas" in fitted.stderr
    run("score", tmp_path / "t.csv", "-m", tmp_path / "m", "-o", tmp_path / "s.csv", "-q")
    (tmp_path / "u.tsv").write_text(f"größe\tart\n{rows}".replace(",", ".").replace(";", "\t"), encoding="utf-16")
    run("score", tmp_path / "u.tsv", "-m", tmp_path / "m", "-o", tmp_path / "u.csv", "-q")
    assert (tmp_path / "s.csv").read_bytes() == (tmp_path / "u.csv").read_bytes()


def test_a_dialect_can_be_named(run, refused, tmp_path):
    (tmp_path / "t.csv").write_text("".join(f"{i}.{i % 10}00:x{i % 3}\n" for i in range(1, 60)))
    options = "--no-header", "--sep", ":", "--thousands", ".", "--decimal", ","
    run("fit", tmp_path / "t.csv", "-m", tmp_path / "m", *TINY, *options)
    assert list(anogan.load(tmp_path / "m").feature_names_in_) == ["column_0", "column_1"]
    run("score", tmp_path / "t.csv", "-m", tmp_path / "m", "-o", tmp_path / "s.csv", "-q", *options)
    refused("fit", tmp_path / "t.csv", "-m", tmp_path / "m", *TINY, "--sep", "ab", words="sep must be one character")
    np.save(tmp_path / "x.npy", np.ones((9, 2)))
    refused("fit", tmp_path / "x.npy", "-m", tmp_path / "m", *TINY, "--sep", ";", words="not a CSV file")


def test_names_and_values_with_brackets_are_shown_as_they_are(run, tmp_path):
    frame = mixed_table(40).rename(columns={"amount": "weight [kg]"})
    frame.loc[3, "shop"] = "a[/b]"
    frame.to_csv(tmp_path / "b.csv", index=False)
    run("fit", tmp_path / "b.csv", "-m", tmp_path / "m", *TINY)
    shown = run("explain", tmp_path / "b.csv", "-m", tmp_path / "m", "--rows", 40, "--reasons", 5).stdout
    assert "weight [kg]" in shown
    assert "a[/b]" in shown


# ------------------------------------------------------------------ outputs


def test_an_output_never_replaces_an_input(refused, data, table_model, tmp_path):
    for name in ("rows.csv", "m.anogan"):
        shutil.copy({"rows.csv": data / "normal.csv", "m.anogan": table_model}[name], tmp_path / name)
    rows, model = tmp_path / "rows.csv", tmp_path / "m.anogan"
    before = rows.read_bytes(), model.read_bytes()
    refused("score", rows, "-m", model, "-o", rows, words="would replace the input")
    refused("explain", rows, "-m", model, "-o", rows, words="would replace the input")
    refused("recalibrate", rows, "-m", model, "-o", model, words="would replace the input")
    refused("fit", rows, "-m", rows, *TINY, words="would replace the input")
    assert (rows.read_bytes(), model.read_bytes()) == before


def test_no_output_that_is_read_as_data_goes_to_a_folder_of_the_input(refused, run, data, table_model, tmp_path):
    (tmp_path / "in" / "day=1").mkdir(parents=True)
    shutil.copy(data / "normal.parquet", tmp_path / "in" / "a.parquet")
    before = (tmp_path / "in" / "a.parquet").read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for name in ("in/a.parquet", "link/a.parquet", "in/day=1/../a.parquet", "in/new.parquet", "in/day=1/new.PARQUET"):
        output = tmp_path / name
        refused("score", tmp_path / "in", "-m", table_model, "-o", output, words="and be read as data with it")
    assert (tmp_path / "in" / "a.parquet").read_bytes() == before
    assert [file.name for file in (tmp_path / "in").rglob("*.*")] == ["a.parquet"]
    for _ in range(2):
        run("score", tmp_path / "in", "-m", table_model, "-o", tmp_path / "in" / "scores.csv")


def test_scores_of_pictures_do_not_make_their_folder_a_table(refused, run, data, picture_model, tmp_path):
    shutil.copytree(data / "parts" / "test", tmp_path / "in")
    output = tmp_path / "in" / "scores.parquet"
    refused("score", tmp_path / "in", "-m", picture_model, "-o", output, words="and be read as data with it")
    run("score", tmp_path / "in", "-m", picture_model, "-o", tmp_path / "scores.parquet")


def test_explanations_go_to_the_file_and_to_json(run, data, table_model, tmp_path):
    done = run("explain", data / "normal.csv", "-m", table_model, "-o", tmp_path / "why.csv", "--json")
    assert len(json.loads(done.stdout)) == len(pd.read_csv(tmp_path / "why.csv"))


def test_labels_of_pictures_without_any(refused, data, picture_model, tmp_path):
    folder = data / "parts" / "train" / "good"
    out = ["-m", picture_model, "-o", tmp_path / "s.csv"]
    refused("score", folder, *out, "--keep", "kind", words="table file")


def test_a_bare_command_shows_its_help(run):
    done = run(code=2)
    assert done.output.startswith("Usage:")
    assert done.output.count("\n") > 10
