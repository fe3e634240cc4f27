"""Runs that the system ends, disks that are full, memory that runs out, and names and texts that are hostile."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import anogan
from anogan import writing
from anogan.cli.main import describe

from .conftest import TINY, mixed_table, save_picture
from .processes import start
from .test_scale import killed


def error_line(result) -> str:
    lines = result.stderr.strip().splitlines()
    assert "Traceback" not in result.stderr
    return lines[-1]


ignores_hang_ups = pytest.mark.skipif(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, reason="runs under nohup")


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGTERM, 143, "Terminated."), pytest.param(signal.SIGHUP, 129, "Hung up.", marks=ignores_hang_ups)],
)
def test_a_signal_keeps_what_was_scored_and_says_so(run, table_model, tmp_path, number, code, word):
    mixed_table(6000).to_parquet(tmp_path / "many.parquet", index=False)
    args = ["score", tmp_path / "many.parquet", "-m", table_model, "-o", tmp_path / "s.csv", "--chunk-rows", "40"]
    part = tmp_path / "s.csv.part"
    ended, said = killed(args, part, least_bytes=4_000, by=number)
    assert ended == code
    assert said.splitlines()[-1].startswith(word)
    assert "--resume" in said
    run(*args, "--resume")
    assert len(pd.read_csv(tmp_path / "s.csv")) == 6000


def test_a_reader_that_stops_early_ends_the_command_without_a_word(data, table_model):
    words = ["score", str(data / "new.csv"), "-m", str(table_model), "-o", "-", "--chunk-rows", "2", "-q"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from anogan.cli.main import main; main()", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    assert "Error" not in process.communicate(timeout=100)[1]
    assert process.returncode == 1


# ------------------------------------------------------------------ full disks

FULL = """
import resource, signal, sys
from anogan.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
del sys.argv[1]
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (2000, ["fit", "{normal}", "-m", "{out}", *TINY]),
        (2000, ["fit", "{normal}", "-m", "{other}", "--checkpoint", "{out}", *TINY]),
        (500, ["fit", "{normal}", "-m", "{other}", "--log-dir", "{out}", *TINY]),
        (500, ["score", "{new}", "-m", "{model}", "-o", "{out}.csv"]),
        (500, ["score", "{new}", "-m", "{model}", "-o", "{out}.parquet"]),
        (1000, ["score", "{parts}", "-m", "{pictures}", "-o", "{other}.csv", "--maps", "{out}"]),
        (500, ["report", "{new}", "-m", "{model}", "-o", "{out}.html"]),
        (500, ["recalibrate", "{new}", "-m", "{model}", "-o", "{out}"]),
    ],
)
def test_a_full_disk_is_said_with_the_path(data, table_model, picture_model, tmp_path, limit, words):
    """RLIMIT_FSIZE stands for the disk: writes beyond it fail."""
    places = {"normal": data / "normal.csv", "new": data / "new.csv", "parts": data / "parts", "model": table_model}
    places |= {"pictures": picture_model, "out": tmp_path / "out", "other": tmp_path / "other"}
    args = [word.format(**places) for word in words]
    done = subprocess.run([sys.executable, "-c", FULL, str(limit), *args], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert f"Error: {tmp_path}" in error_line(done)
    assert "File too large" in error_line(done)
    left = [p for p in tmp_path.rglob("*") if p.is_file() and not p.name.endswith((".part", ".log"))]
    assert not [p for p in left if "tfevents" not in p.name]


def test_less_written_than_asked_for_names_the_file(tmp_path):
    with pytest.raises(OSError, match="written") as failed, writing.written_whole(tmp_path / "x.npy"):
        raise OSError("1000 requested and 512 written")
    assert failed.value.filename == str(tmp_path / "x.npy")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        pa.ArrowMemoryError("malloc of size 64 failed"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("can't start new thread"),
        OSError(12, "Cannot allocate memory"),
        ImportError("libx.so: failed to map segment from shared object"),
    ],
)
def test_running_out_of_memory_is_one_clear_line(error):
    message, code = describe(error)
    assert code == 1
    assert message.startswith("Error: not enough memory.")


# ------------------------------------------------------------------ unreadable


@pytest.mark.skipif(os.geteuid() != 0, reason="root becomes somebody else here")
def test_files_of_others_are_named(run, data, table_model, tmp_path):
    tmp_path.chmod(0o755)
    for name, source in {"rows.csv": data / "new.csv", "m": table_model}.items():
        (tmp_path / name).write_bytes(source.read_bytes())
    (tmp_path / "free").mkdir(mode=0o777)
    (tmp_path / "free").chmod(0o777)
    for parent in tmp_path.parents:
        parent.chmod(0o755)
        if parent.name.startswith("pytest-of-"):  # xdist puts one more folder between
            break

    def nobody():
        os.setgid(65534)
        os.setuid(65534)

    args = ["score", tmp_path / "rows.csv", "-m", tmp_path / "m", "-o", tmp_path / "free" / "s.csv"]
    run(*args)  # imports what the other user may not be able to read
    (tmp_path / "free" / "s.csv").unlink()
    for name, mode in {"rows.csv": 0, "m": 0, "free": 0o555}.items():
        before = (tmp_path / name).stat().st_mode
        (tmp_path / name).chmod(mode)
        code, err = start(args, tmp_path / "said", nobody).end()
        (tmp_path / name).chmod(before)
        assert code == 2, err
        assert str(tmp_path / name) in err
        assert "Permission denied" in err


# ------------------------------------------------------------------ names

ODD = os.fsdecode(b"caf\xe9")


@pytest.fixture
def odd_pictures(tmp_path):
    folder = tmp_path / "pictures"
    for i in range(3):
        save_picture(folder / f"{i}.png", i)
    os.rename(folder / "2.png", folder / f"{ODD}.png")
    (folder / f"{ODD}-broken.png").write_bytes(b"x")
    return folder


def test_a_picture_whose_name_is_not_text_is_scored_mapped_and_reported(run, picture_model, odd_pictures, tmp_path):
    args = [odd_pictures, "-m", picture_model, "--on-error", "skip"]
    for suffix, read in {"csv": pd.read_csv, "parquet": pd.read_parquet}.items():
        done = run("score", *args, "-o", tmp_path / f"s.{suffix}", "--maps", tmp_path / "maps", "--json")
        assert list(read(tmp_path / f"s.{suffix}")["file"]) == ["0.png", "1.png", r"caf\xe9.png"]
        assert list(json.loads(done.stdout)["skipped"]) == [r"caf\xe9-broken.png"]
    assert (tmp_path / "maps" / r"caf\xe9_overlay.png").exists()
    run("report", *args, "-o", tmp_path / "r.html")
    assert r"caf\xe9.png" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert r"caf\xe9.png" in run("explain", *args, "-o", tmp_path / "why").stdout
    assert "broken.png" in run("score", odd_pictures, "-m", picture_model, "-o", tmp_path / "t.csv", code=2).stderr
    model = tmp_path / f"{ODD}.anogan"
    model.write_bytes(picture_model.read_bytes())
    assert json.loads(run("inspect", model, "--json").stdout)["file"].endswith(r"caf\xe9.anogan")


def test_a_table_whose_name_is_not_text_is_refused_by_name(run, table_model, data, tmp_path):
    for suffix in ("csv", "parquet"):
        odd = tmp_path / f"{ODD}.{suffix}"
        odd.write_bytes((data / f"new.{suffix}").read_bytes())
        refused = run("score", odd, "-m", table_model, "-o", tmp_path / "s.csv", code=2)
        assert rf"caf\xe9.{suffix} is not UTF-8" in refused.stderr.replace("\\\\", "\\")


def test_a_checkpoint_whose_name_is_not_text_is_resumed(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 2))
    fits = [
        anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(X, checkpoint=tmp_path / ODD)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*[fitted.anomaly_score(X) for fitted in fits])


# ------------------------------------------------------------------ formulas and links

TEXTS = ["=1+1", "-1.5", "+49", "-", "-2+3", "@x", "\tx", "ok", "-1e-5", "＝1", None]
SAFE = ["'=1+1", "-1.5", "+49", "-", "'-2+3", "'@x", "'\tx", "ok", "-1e-5", "'＝1", None]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(tmp_path, kind):
    table = pa.table({"=name": pa.array(TEXTS, kind), "-1": [-1.5] * len(TEXTS)})
    for suffix, expected in {"csv": SAFE, "tsv": SAFE, "parquet": TEXTS}.items():
        with writing.table_writer(str(tmp_path / f"t.{suffix}"), table.schema) as writer:
            writer.write(table)
        if suffix == "parquet":
            found = pd.read_parquet(tmp_path / "t.parquet")
        else:
            separator = {"csv": ",", "tsv": "\t"}[suffix]
            found = pd.read_csv(tmp_path / f"t.{suffix}", sep=separator, keep_default_na=False, na_values=[""])
        assert list(found.columns) == (["=name", "-1"] if suffix == "parquet" else ["'=name", "-1"])
        assert [None if pd.isna(text) else str(text) for text in found.iloc[:, 0]] == expected
        assert found.iloc[:, 1].tolist() == [-1.5] * len(TEXTS)


def test_maps_do_not_follow_links_in_their_folder(run, data, picture_model, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "good").symlink_to(tmp_path / "elsewhere")
    args = ["score", data / "parts", "-m", picture_model, "-o", tmp_path / "s.csv", "--maps", tmp_path / "maps"]
    assert "leads out of" in run(*args, code=2).stderr
    assert not list((tmp_path / "elsewhere").iterdir())
    (tmp_path / "maps" / "good").unlink()
    (tmp_path / "maps" / "good").mkdir()
    (tmp_path / "victim").write_text("mine")
    for name in ("0_overlay.png", ".0_overlay.png.part"):
        (tmp_path / "maps" / "good" / name).symlink_to(tmp_path / "victim")
    assert "0_overlay.png is there" in run(*args, code=2).stderr
    (tmp_path / "maps" / "good" / "0_overlay.png").unlink()
    run(*args)
    assert (tmp_path / "victim").read_text() == "mine"
    (tmp_path / "link").symlink_to(tmp_path / "maps")
    run(*args[:-1], tmp_path / "link")


@pytest.mark.parametrize("name", ["s.csv.part", ".s.csv.part", ".s.csv.lock"])
def test_scores_do_not_follow_links_beside_the_output(run, data, table_model, tmp_path, name):
    (tmp_path / "victim").write_text("")
    (tmp_path / name).symlink_to(tmp_path / "victim")
    args = ["score", data / "new.csv", "-m", table_model, "-o", tmp_path / "s.csv", "--resume"]
    run(*args, code=0 if name == ".s.csv.part" else 2)
    assert not Path(tmp_path / "victim").read_bytes()
