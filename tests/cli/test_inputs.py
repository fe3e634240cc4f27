"""Data from several files, patterns and standard input."""

from click.testing import CliRunner

from anogan.cli.main import cli

from .conftest import TINY, mixed_table


def test_several_files_a_pattern_and_standard_input_give_the_scores_of_one_file(run, table_model, tmp_path):
    table = mixed_table(90, seed=3)
    table.to_csv(tmp_path / "all.csv", index=False)
    for i in range(3):
        table[30 * i : 30 * (i + 1)].to_csv(tmp_path / f"part{i}.csv", index=False)
    options = "-m", table_model, "-q"
    run("score", tmp_path / "all.csv", *options, "-o", tmp_path / "1.csv")
    parts = [tmp_path / f"part{i}.csv" for i in range(3)]
    run("score", *parts, *options, "-o", tmp_path / "2.csv")
    run("score", tmp_path / "part*.csv", *options, "-o", tmp_path / "3.csv")
    arguments = [str(a) for a in ("score", "-", *options, "-o", tmp_path / "4.csv")]
    assert CliRunner().invoke(cli, arguments, input=(tmp_path / "all.csv").read_bytes()).exit_code == 0
    for name in "234":
        assert (tmp_path / f"{name}.csv").read_text() == (tmp_path / "1.csv").read_text()


def test_a_model_is_fitted_on_several_files(run, tmp_path):
    table = mixed_table(120, seed=3)
    table[:60].to_csv(tmp_path / "a.csv", index=False)
    table[60:].to_csv(tmp_path / "b.csv.gz", index=False)
    fitted = run("fit", tmp_path / "a.csv", tmp_path / "b.csv.gz", "-m", tmp_path / "m", *TINY[:-1])
    assert "120 rows" in fitted.stdout


def test_inputs_that_cannot_be_are_refused(run, table_model, tmp_path):
    table = mixed_table(30)
    table.to_csv(tmp_path / "a.csv", index=False)
    table.drop(columns="items").to_csv(tmp_path / "b.csv", index=False)
    for data, output, words in (
        ([tmp_path / "a.csv", tmp_path / "b.csv"], "s.csv", "'items'"),
        ([tmp_path / "x*.csv"], "s.csv", "x*.csv"),
        ([tmp_path / "*.csv"], "a.csv", "would replace the input"),
        (["-"], "s.csv", "is empty"),
    ):
        assert words in run("score", *data, "-m", table_model, "-o", tmp_path / output, code=2).stderr
        assert not (tmp_path / "s.csv").exists()
