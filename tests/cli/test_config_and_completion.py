"""Options from a file, other names of options, and completion in a shell."""

import json
import subprocess
import sys

import pandas as pd
import pytest
from click.shell_completion import ShellComplete

import anogan
from anogan.cli.main import cli

from .conftest import TINY


def completed(*words, last=""):
    found = ShellComplete(cli, {}, "anogan", "_ANOGAN_COMPLETE").get_completions(list(words), last)
    return [item.value for item in found]


def test_commands_options_detectors_and_choices_are_completed():
    assert completed(last="re") == ["report", "recalibrate"]
    assert "--target-fpr" in completed("fit", last="--target")
    assert completed("fit", "--detector", last="skip") == ["skip_ganomaly"]
    assert completed("fit", "--scaling", last="q") == ["quantile"]
    assert completed("compare", "--detectors", last="knn,skip") == ["knn,skip_ganomaly"]


def test_completing_a_command_imports_no_network():
    words = "from click.shell_completion import ShellComplete\nfrom anogan.cli.main import cli\nimport sys\n"
    words += "ShellComplete(cli, {}, 'anogan', 'X').get_completions(['fit', '--detector'], 'g')\n"
    words += "assert not {'torch', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", words], check=True, timeout=60)


def test_seed_is_another_name_of_random_state(run, data, table_model, tmp_path):
    facts = run("fit", data / "normal.csv", "-m", tmp_path / "m", *TINY, "--seed", 7, "--json").stdout
    assert json.loads(facts)["random_state"] == 7


def test_fit_and_score_take_options_from_a_file(run, data, tmp_path):
    (tmp_path / "fit.toml").write_text(
        f"data = '{data / 'normal.csv'}'\nmodel = '{tmp_path / 'm'}'\ndetector = 'ganomaly'\nsteps = 3\nwidth = 8\n"
        "target-fpr = 0.2\nseed = 5\ndrop = ['day', 'shop']\n"
    )
    done = run("fit", "--config", tmp_path / "fit.toml", "--steps", 4)
    assert "target-fpr 0.2" in done.stderr
    assert "steps" not in done.stderr.splitlines()[0]
    detector = anogan.load(tmp_path / "m")
    assert (detector.name, detector.steps, detector.target_fpr, detector.random_state) == ("ganomaly", 4, 0.2, 5)
    assert set(detector.preprocessor_.ignored_) == {"day", "shop"}
    (tmp_path / "score.toml").write_text("keep = ['shop']\nreasons = 1\nquiet = true\n")
    args = ("score", data / "new.csv", "-m", tmp_path / "m", "-o", tmp_path / "s.csv")
    assert "options of" not in run(*args, "--config", tmp_path / "score.toml").stderr
    assert {"shop", "reason_1"} <= set(pd.read_csv(tmp_path / "s.csv"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepz = 3", "Did you mean 'steps'"),
        ("target_fpr = 0.1", "Did you mean 'target-fpr'"),
        ("steps = [3, 4]", "steps must be a text or a number"),
        ("quiet = 'yes'", "quiet must be true or false"),
        ("[fit]\nsteps = 3", "'fit' is not an option"),
        ("steps = ", "not a TOML file"),
        ("steps = 'many'", "--steps must be an integer"),
    ],
)
def test_a_file_with_a_mistake_is_refused_and_named(run, data, tmp_path, text, words):
    (tmp_path / "fit.toml").write_text(text)
    failed = run("fit", data / "normal.csv", "-m", tmp_path / "m", "--config", tmp_path / "fit.toml", code=2)
    assert words in failed.stderr
    assert not (tmp_path / "m").exists()


def test_a_file_that_is_not_there_is_named(run, data, tmp_path):
    assert "no.toml" in run("fit", data / "normal.csv", "-m", tmp_path / "m", "--config", "no.toml", code=2).stderr


def test_sample_takes_both_names_of_the_seed(run, data, tmp_path):
    run("fit", data / "normal.csv", "-m", tmp_path / "m", "--detector", "wgan_gp", *TINY[2:], "--steps", 5)
    for flag in ("--seed", "--random-state"):
        run("sample", "-m", tmp_path / "m", "-n", 3, "-o", tmp_path / f"{flag}.csv", flag, 1)
    assert (tmp_path / "--seed.csv").read_bytes() == (tmp_path / "--random-state.csv").read_bytes()
