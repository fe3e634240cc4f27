"""`anogan.score_file` does from Python what `anogan score` does in a shell."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import anogan
from anogan.cli.main import cli


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("score_file")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"amount": rng.normal(size=90), "shop": rng.choice(["a", "b"], 90)})
    rows.to_csv(folder / "rows.csv", index=False)
    anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(rows[:60]).save(folder / "m.anogan")
    return folder


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, []),
        ({"fdr": 0.5, "reasons": 1}, ["--fdr", "0.5", "--reasons", "1"]),
        ({"top": 7, "reasons": 2}, ["--top", "7", "--reasons", "2"]),
        ({"keep": ["shop"], "chunk_rows": 13}, ["--keep", "shop", "--chunk-rows", "13"]),
    ],
)
def test_the_output_is_that_of_the_shell(files, given, options):
    scored = anogan.score_file(files / "rows.csv", files / "m.anogan", files / "python.csv", **given)
    arguments = ["score", files / "rows.csv", "-m", files / "m.anogan", "-o", files / "shell.csv", *options]
    shell = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert (files / "python.csv").read_bytes() == (files / "shell.csv").read_bytes()
    assert str(scored).replace("python.csv", "shell.csv") in shell.stdout
    assert scored.rows == 90


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fdr": 1.5}, "fdr must be between 0 and 1, got 1.5"),
        ({"tail": "fitted"}, "give fdr too"),
        ({"tail": "long"}, "tail must be one of 'empirical', 'fitted', got 'long'"),
        ({"maps": "maps"}, "for a table, use reasons"),
        ({"map_format": "npy"}, "give maps too"),
        ({"keep": ["score"]}, "has no column 'score'"),
    ],
)
def test_an_argument_that_cannot_be_used_is_said_in_terms_of_python(files, given, said):
    with pytest.raises(anogan.InputError, match=said):
        anogan.score_file(files / "rows.csv", files / "m.anogan", files / "none.csv", **given)
    assert not (files / "none.csv").exists()
