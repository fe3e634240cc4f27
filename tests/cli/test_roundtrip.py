"""From data to model to scores and back, through files alone."""

import gzip
import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import anogan

from .conftest import TINY, mixed_table


def tiny_options(name: str) -> list[str]:
    """A detector's own tiny parameters as options."""
    tiny = anogan.list_detectors()[name].tiny
    return [word for key, value in tiny.items() for word in (f"--{key.replace('_', '-')}", str(value))]


def test_every_detector_goes_from_a_mixed_table_to_reasons_and_a_report(run, data, tmp_path, detector_name):
    model = tmp_path / "model.anogan"
    options = ["--detector", detector_name, *tiny_options(detector_name), "--random-state", 0]
    facts = json.loads(run("fit", data / "normal.csv", "-m", model, *options, "--json", "-q").stdout)
    assert facts["rows"] == 60
    assert facts["columns"] == {"number": 2, "category": 1, "boolean": 1, "date": 1}
    run("score", data / "new.csv", "-m", model, "-o", tmp_path / "scores.csv", "--reasons", 2)
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert list(scores.columns[:4]) == ["row", "score", "p_value", "flag"]
    assert len(scores) == 30
    assert np.isfinite(scores["score"]).all()
    assert scores["p_value"].between(0, 1, inclusive="right").all()
    assert set(scores["reason_1"].dropna()) <= set(mixed_table(1).columns)
    assert not (scores["reason_1_share"] < scores["reason_2_share"]).any()
    assert "similar normal rows" in run("explain", data / "new.csv", "-m", model, "--rows", 30).output
    result = run("sample", "-m", model, "-n", 5, "-o", tmp_path / "made.csv", code=None)
    if result.exit_code == 0:
        assert list(pd.read_csv(tmp_path / "made.csv").columns) == list(mixed_table(1).columns)
        assert "not known: training left out fewer than" in result.output
    else:
        assert "cannot sample" in result.output
    assert detector_name in run("inspect", model).output
    page = tmp_path / "report.html"
    facts = json.loads(run("report", data / "new.csv", "-m", model, "-o", page, "--json").stdout)
    assert facts["rows"] == 30
    assert facts["bytes"] == page.stat().st_size


def test_csv_parquet_and_gzip_give_the_same_scores_in_any_chunks(run, data, table_model, tmp_path):
    with gzip.open(tmp_path / "new.csv.gz", "wb") as file:
        file.write((data / "new.csv").read_bytes())
    found = []
    for number, (source, options) in enumerate(
        [
            (data / "new.csv", []),
            (data / "new.parquet", []),
            (tmp_path / "new.csv.gz", ["--chunk-rows", 7]),
            (data / "new.parquet", ["--chunk-rows", 1]),
        ]
    ):
        output = tmp_path / f"{number}.parquet"
        run("score", source, "-m", table_model, "-o", output, *options)
        found.append(pd.read_parquet(output))
    for other in found[1:]:
        pd.testing.assert_frame_equal(found[0], other, rtol=1e-5, atol=1e-6)


def test_scores_equal_the_library(run, data, table_model, tmp_path):
    run("score", data / "new.parquet", "-m", table_model, "-o", tmp_path / "s.csv")
    written = pd.read_csv(tmp_path / "s.csv")
    detector = anogan.load(table_model)
    scores = detector.anomaly_score(pd.read_parquet(data / "new.parquet"))
    np.testing.assert_allclose(written["score"], scores, rtol=1e-6)
    assert (written["flag"] == (scores > detector.calibration_.threshold)).all()


def test_fdr_flags_are_those_of_the_whole_file(run, data, table_model, tmp_path):
    run(
        "score",
        data / "new.csv",
        "-m",
        table_model,
        "-o",
        tmp_path / "s.csv",
        "--fdr",
        0.9,
        "--chunk-rows",
        7,
    )
    written = pd.read_csv(tmp_path / "s.csv")
    detector = anogan.load(table_model)
    assert (written["flag"] == detector.calibration_.flag(written["score"].to_numpy(), 0.9)).all()
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv"]


@pytest.mark.parametrize("rule", [(), ("--fdr", 0.9)])
def test_flagged_rows_and_only_they_have_the_library_s_reasons(run, data, table_model, tmp_path, rule):
    far = pd.read_parquet(data / "new.parquet")
    far.loc[:4, "amount"] = [1e6, 2e6, np.nan, 4e6, 5e6]
    far.to_parquet(tmp_path / "far.parquet")
    args = ("score", tmp_path / "far.parquet", "-m", table_model, "-o", tmp_path / "s.csv", "--reasons", 5, *rule)
    run(*args, "--chunk-rows", 7)
    written = pd.read_csv(tmp_path / "s.csv")
    assert written["flag"].any()
    assert not written["flag"].all()
    found = anogan.load(table_model).reasons(far, 5)
    for rank in (1, 5):
        of_rank = found[found["rank"] == rank].set_index("row").reindex(written.index)
        for part, field in (("", "column"), ("_text", "text")):
            expected = of_rank[field].where(written["flag"]).astype(object)
            assert written[f"reason_{rank}{part}"].astype(object).fillna("-").tolist() == expected.fillna("-").tolist()


def test_explanations_in_json_are_the_library_s_reasons(run, data, table_model):
    top = json.loads(run("explain", data / "new.parquet", "-m", table_model, "--rows", 3, "--json").stdout)
    found = anogan.load(table_model).reasons(pd.read_parquet(data / "new.parquet"))
    assert len(top) == 3
    for entry in top:
        texts = found.loc[found["row"] == entry["row"], "text"].tolist()
        assert [reason["text"] for reason in entry["reasons"]] == texts


def test_a_model_is_recalibrated_from_a_file_in_chunks(run, data, table_model, tmp_path):
    args = ("recalibrate", data / "new.csv", "-m", table_model, "-o", tmp_path / "m", "--target-fpr", 0.2)
    facts = json.loads(run(*args, "--chunk-rows", 7, "--json").stdout)
    assert facts["rows"] == 30
    loaded, before = anogan.load(tmp_path / "m"), anogan.load(table_model)
    scores = before.anomaly_score(pd.read_parquet(data / "new.parquet"))
    np.testing.assert_allclose(loaded.calibration_.scores, np.sort(scores), rtol=1e-5, atol=1e-6)
    assert (loaded.target_fpr, facts["threshold"]) == (0.2, loaded.calibration_.threshold)
    assert (scores > facts["threshold"]).sum() <= 0.2 * 31
    assert "->" in run(*args).output


def test_pictures_are_recalibrated_with_the_good_ones(run, data, picture_model, tmp_path):
    facts = json.loads(run("recalibrate", data / "parts", "-m", picture_model, "-o", tmp_path / "m", "--json").stdout)
    assert facts["rows"] == 12
    assert anogan.load(tmp_path / "m").calibration_.map_threshold == facts["map_threshold"] > 0


def test_inspect_says_whether_new_data_still_fit(run, data, table_model, tmp_path):
    assert "new data" not in run("inspect", table_model).output
    run("recalibrate", data / "normal.csv", "-m", table_model, "-o", tmp_path / "m")
    same = json.loads(run("inspect", tmp_path / "m", "--against", data / "normal.csv", "--json").stdout)["drift"]
    assert (same["verdict"], same["superiority"]) == ("still fits", pytest.approx(0.5, abs=0.01))
    far = mixed_table(60)
    far["items"] = 10_000
    far.to_csv(tmp_path / "far.csv", index=False)
    risen = run("inspect", tmp_path / "m", "--against", tmp_path / "far.csv", "--chunk-rows", 25).output
    assert "scores have risen" in risen
    assert "because of" in risen
    assert "items (" in risen


def test_inspect_says_which_views_the_score_trusts(run, data, tmp_path):
    run("fit", data / "normal.csv", "-m", tmp_path / "m", *TINY, "--detector", "denoising_gan")
    views = json.loads(run("inspect", tmp_path / "m", "--json").stdout)["views"]
    assert sum(view["weight"] for view in views) == pytest.approx(1)
    shown = run("inspect", tmp_path / "m").output
    for view in views:
        assert f"{view['view']} " in shown


def test_scores_go_to_standard_output_and_words_do_not(run, data, table_model):
    result = run("score", data / "labelled.csv", "-m", table_model, "-o", "-", "--keep", "kind")
    lines = result.stdout.splitlines()
    assert lines[0] == "row,kind,score,p_value,flag,unseen,status"
    assert len(lines) == 31
    assert "flagged" in result.stderr


def test_evaluate_a_labelled_table(run, data, table_model):
    args = ("evaluate", data / "labelled.csv", "-m", table_model, "--label", "kind", "--normal", "fine")
    facts = json.loads(run(*args, "--json").stdout)
    assert (facts["rows"], facts["anomalous"]) == (30, 10)
    for entry in facts["metrics"].values():
        assert 0 <= entry["low"] <= entry["high"] <= 1
    assert "AUROC" in run(*args).output


def test_label_and_normal_choose_the_training_rows_and_drop_leaves_columns_out(run, data, tmp_path):
    args = ("--label", "kind", "--normal", "fine", "--drop", "day", "--json")
    facts = json.loads(run("fit", data / "labelled.csv", "-m", tmp_path / "m", *args, *TINY).stdout)
    assert facts["rows"] == 20
    assert facts["columns"] == {"number": 2, "category": 1, "boolean": 1}


def test_an_unseen_category_is_scored_with_one_warning(run, table_model, tmp_path):
    mixed_table(9).assign(shop=["moon"] * 4 + ["web"] * 5).to_csv(tmp_path / "new.csv", index=False)
    args = ("score", tmp_path / "new.csv", "-m", table_model, "-o", tmp_path / "s.csv")
    result = run(*args, "--chunk-rows", 2)
    warnings = [line for line in result.stderr.splitlines() if line.startswith("Warning")]
    assert warnings == ["Warning: column 'shop' has values that were not in the training data: 'moon' (4 rows)."]


def test_a_number_that_is_missing_for_the_first_time_is_scored_with_one_warning(run, table_model, tmp_path):
    mixed_table(9).assign(items=[np.nan] * 2 + [1.0] * 7).to_csv(tmp_path / "new.csv", index=False)
    result = run("score", tmp_path / "new.csv", "-m", table_model, "-o", tmp_path / "s.csv", "--chunk-rows", 2)
    warnings = [line for line in result.stderr.splitlines() if line.startswith("Warning")]
    assert warnings == ["Warning: column 'items' has values that were not in the training data: '(missing)' (2 rows)."]
    assert pd.read_csv(tmp_path / "s.csv")["score"].notna().all()


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_arrays_round_trip(run, tmp_path, suffix):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), np.arange(40) % 4 == 0
    path = tmp_path / f"data.{suffix}"
    if suffix == "npy":
        np.save(path, X)
    else:
        np.savez_compressed(path, X=X, y=y)
    run("fit", path, "-m", tmp_path / "m", *TINY)
    run("score", path, "-m", tmp_path / "m", "-o", tmp_path / "s.parquet", "--chunk-rows", 7, "--reasons", 9)
    scores = pd.read_parquet(tmp_path / "s.parquet")
    assert len(scores) == 40
    assert "reason_3" in scores
    assert "reason_4" not in scores
    whole = anogan.load(tmp_path / "m").anomaly_score(X)
    np.testing.assert_allclose(scores["score"], whole, rtol=1e-4)  # float32, other batches
    if suffix == "npz":
        assert json.loads(run("evaluate", path, "-m", tmp_path / "m", "--json").stdout)["anomalous"] == 10


def test_pictures_round_trip(run, data, picture_model, tmp_path):
    run("score", data / "parts", "-m", picture_model, "-o", tmp_path / "s.csv", "--maps", tmp_path / "maps")
    scores = pd.read_csv(tmp_path / "s.csv")
    assert list(scores["file"]) == [f"{kind}/{i}.png" for kind in ("good", "scratch") for i in range(4)]
    with Image.open(tmp_path / "maps" / "good" / "2_overlay.png") as overlay:
        assert (overlay.size, overlay.mode) == ((30, 22), "RGB")
    with Image.open(tmp_path / "maps" / "scratch" / "2_map.png") as raw:
        assert (raw.size, raw.mode) == ((24, 20), "I;16")
    facts = json.loads(run("evaluate", data / "parts", "-m", picture_model, "--json").stdout)
    assert (facts["rows"], facts["anomalous"], facts["pixels"]["regions"]) == (8, 4, 4)
    assert 0 <= facts["pixels"]["aupro_at_0.3"] <= 1
    run("explain", data / "parts", "-m", picture_model, "--rows", 1, "-o", tmp_path / "top")
    assert len(list((tmp_path / "top").rglob("*.png"))) == 2


def test_a_strip_shows_the_same_latents_through_training(run, data, tmp_path):
    options = ["--image-size", "8x12", "--steps", "40", "--width", "8", "--random-state", "0", "-q"]
    fit = ["fit", data / "parts", "-m", tmp_path / "m", *options, "--strip", tmp_path / "strip.png"]
    run(*fit, "--detector", "wgan_gp", "--patience", "0", "--restarts", "0")
    with Image.open(tmp_path / "strip.png") as strip:
        assert strip.size == (20 * 12, 8 * 8)  # validation checks, latents
        pixels = np.asarray(strip).reshape(8, 8, 20, 12)
    assert (pixels[:, :, 0] != pixels[:, :, -1]).any()
    made = anogan.load(tmp_path / "m").anomaly_score(np.zeros((1, 1, 8, 12)))
    run(*fit[:-2], "--detector", "wgan_gp", "--patience", "0", "--restarts", "0")
    assert anogan.load(tmp_path / "m").anomaly_score(np.zeros((1, 1, 8, 12))) == made  # looking changes nothing
    (tmp_path / "strip.png").unlink()
    assert "does not generate" in run(*fit, "--detector", "ganomaly", "--restarts", "0").stderr
    assert not (tmp_path / "strip.png").exists()


def test_each_kind_of_defect_has_its_own_pixel_auroc(run, data, picture_model, tmp_path):
    parts = tmp_path / "parts"
    shutil.copytree(data / "parts", parts)
    for part in ("test", "ground_truth"):
        shutil.copytree(parts / part / "scratch", parts / part / "dent")
    facts = json.loads(run("evaluate", parts, "-m", picture_model, "--json").stdout)
    assert set(facts["kinds"]) == {"dent", "scratch"}
    assert facts["kinds"]["dent"] == facts["kinds"]["scratch"]  # the same pictures
    assert facts["kinds"]["dent"]["pixel_auroc"] == pytest.approx(facts["pixels"]["auroc"], abs=0.02)
    assert "pixel AUROC" in run("evaluate", parts, "-m", picture_model).stdout.splitlines()[-3]


def test_pictures_can_be_sampled_as_files(run, data, tmp_path):
    options = ["--detector", "wgan_gp", "--image-size", "8x12", *tiny_options("wgan_gp")]
    run("fit", data / "parts", "-m", tmp_path / "m", *options, "-q")
    said = run("sample", "-m", tmp_path / "m", "-n", 3, "-o", tmp_path / "made").output
    assert said.startswith("3 synthetic pictures written to ")
    files = sorted((tmp_path / "made").iterdir())
    assert len(files) == 3
    with Image.open(files[0]) as picture:
        assert picture.size == (12, 8)
    run("sample", "-m", tmp_path / "m", "-n", 3, "--random-state", 0, "-o", tmp_path / "sheet.png")
    run("sample", "-m", tmp_path / "m", "-n", 3, "--random-state", 0, "-o", tmp_path / "same")
    single = [np.asarray(Image.open(file)) for file in sorted((tmp_path / "same").iterdir())]
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    np.testing.assert_array_equal(sheet[:8], np.concatenate(single[:2], axis=1))
    np.testing.assert_array_equal(sheet[8:, :12], single[2])
    assert not sheet[8:, 12:].any()


def test_fit_gives_the_same_model_from_csv_and_parquet(run, data, tmp_path):
    for suffix in ("csv", "parquet"):
        run("fit", data / f"normal.{suffix}", "-m", tmp_path / suffix, *TINY)
    new = mixed_table(10, seed=5)
    first, second = (anogan.load(tmp_path / s).anomaly_score(new) for s in ("csv", "parquet"))
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_list_has_every_detector(run):
    assert {d["name"] for d in json.loads(run("list", "--json").stdout)} == set(anogan.list_detectors())
    assert all(f"`{name}`" in run("list", "--markdown").stdout for name in anogan.list_detectors())


def test_every_parameter_of_every_detector_is_an_option(run):
    for detector, cls in anogan.list_detectors().items():
        text = run("fit", "--detector", detector, "--help").output
        assert all(f"--{name.replace('_', '-')}" in text for name in cls.parameters() if name != "columns")


def test_help_answers_without_loading_torch():
    code = (
        "import sys\nfrom anogan.cli.main import cli\n"
        "try:\n    cli(['--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_evaluating_the_rows_of_the_fit_says_that_figures_are_optimistic(run, data, tmp_path):
    args = (data / "labelled.csv", "-m", tmp_path / "m", "--label", "kind", "--normal", "fine")
    run("fit", *args, *TINY)
    shown = run("evaluate", *args).stdout
    assert "20 of 30 rows were trained on: these figures are optimistic" in shown
    assert json.loads(run("evaluate", *args, "--json").stdout)["fitted_on"]["rows"] == 20
    more = pd.concat([pd.read_csv(data / "labelled.csv"), mixed_table(9, seed=5).assign(kind="fine")])
    more.to_csv(tmp_path / "more.csv", index=False)
    shown = run("evaluate", tmp_path / "more.csv", *args[1:]).stdout
    assert "20 of 39 rows were trained on" in shown
    assert "new rows" in shown
    done = run("report", tmp_path / "more.csv", *args[1:], "-o", tmp_path / "r.html")
    assert "20 of 39 rows were part of the fit" in done.stderr
