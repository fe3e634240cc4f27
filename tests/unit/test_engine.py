"""The parts of a scoring and of a sample, run one by one in this process as a worker of a cluster runs them."""

import os
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from PIL import Image

import anogan
from anogan.batch import engine as engines
from anogan.batch import pieces
from anogan.cli.main import cli


class Here(engines.Engine):
    """Runs tasks in this process."""

    done = 0
    dies_at = None

    def start(self):
        pass

    def end(self):
        pass

    def results(self, tasks, model):
        for task in tasks:
            self.done += 1
            if self.done == self.dies_at:
                raise RuntimeError("the cluster is gone")
            yield engines.run(task, None if model is None else str(model))


def rows(n, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"id": np.arange(n) * 7, "amount": rng.normal(size=n), "shop": rng.choice(list("abc"), n)})
    frame.loc[::9, "amount"] = np.nan
    return frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    tiny = anogan.DenoisingGAN.tiny
    anogan.DenoisingGAN(**tiny, n_members=1, random_state=0, columns={"id": "id"}).fit(rows(200, 0)).save(
        folder / "m.anogan"
    )
    new = rows(391, 1)
    new.loc[::50, "amount"] *= 1000
    new.loc[340:, "shop"] = "new"
    new.loc[370, "amount"] = np.inf
    new.to_parquet(folder / "new.parquet", index=False, row_group_size=97)
    new.to_csv(folder / "new.csv", index=False)
    new[:150].to_csv(folder / "a.csv", index=False)
    new[150:].to_csv(folder / "b.csv", index=False)
    (folder / "many" / "year=1").mkdir(parents=True)
    (folder / "many" / "year=2").mkdir()
    new[:150].to_parquet(folder / "many" / "year=1" / "0.parquet", index=False, row_group_size=40)
    new[150:].to_parquet(folder / "many" / "year=2" / "1.parquet", index=False)
    return folder


@pytest.mark.parametrize(
    ("data", "given"),
    [
        (["new.parquet"], {"reasons": 2}),
        (["new.parquet"], {"fdr": 0.2, "reasons": 1}),
        (["new.parquet"], {"top": 30, "reasons": 1}),
        (["new.csv"], {"keep": ["shop"]}),
        (["a.csv", "b.csv"], {"on_gap": "skip"}),
        (["many"], {"drop": ["year"], "sort": True}),
    ],
)
def test_a_cluster_writes_what_a_local_run_writes(folder, tmp_path, data, given):
    data = [folder / name for name in data]
    given = {"chunk_rows": 13, **given}
    local = anogan.score_file(data, folder / "m.anogan", tmp_path / "local.csv", **given)
    engine = Here()
    there = anogan.score_file(data, folder / "m.anogan", tmp_path / "there.csv", engine=engine, **given)
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    assert there.notes == local.notes
    assert str(there).replace("there.csv", "local.csv") == str(local)
    assert engine.done == {"new.csv": 1, "a.csv": 2}.get(data[0].name, -(-391 // (8 * 13)))
    assert sorted(os.listdir(tmp_path)) == ["local.csv", "there.csv"]


def test_pictures_of_a_folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "new").mkdir()
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / "new" / f"{i:02d}.png")
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(anogan.ImageFolder(tmp_path / "new", size=8))
    detector.save(tmp_path / "m.anogan")
    for i in range(8):  # all of the first piece
        (tmp_path / "new" / f"{i:02d}.png").write_bytes(b"not a picture")
    found = {}
    for name, engine in (("local", None), ("there", Here())):
        scored = anogan.score_file(
            tmp_path / "new",
            tmp_path / "m.anogan",
            tmp_path / f"{name}.csv",
            on_error="skip",
            chunk_rows=1,
            engine=engine,
        )
        found[name] = (tmp_path / f"{name}.csv").read_text(), scored.notes, scored.rows
    assert found["there"] == found["local"]


def test_a_run_that_dies_is_resumed_after_its_last_piece(folder, tmp_path):
    args = (folder / "new.parquet", folder / "m.anogan")
    local = anogan.score_file(*args, tmp_path / "local.csv", chunk_rows=13)
    dies = Here()
    dies.dies_at = 4
    with pytest.raises(RuntimeError), pytest.warns(anogan.AnoganWarning, match="resume=True continues"):
        anogan.score_file(*args, tmp_path / "there.csv", engine=dies, chunk_rows=13)
    with pytest.raises(anogan.InputError, match="another set of options"):
        anogan.score_file(*args, tmp_path / "there.csv", resume=True, chunk_rows=13)
    rest = Here()
    there = anogan.score_file(*args, tmp_path / "there.csv", engine=rest, resume=True, chunk_rows=13)
    assert rest.done == -(-391 // (8 * 13)) - 3
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    assert there.notes == local.notes


@pytest.mark.parametrize(
    ("data", "given", "said"),
    [
        ("new.parquet", {"strict": True}, "column 'shop' has values that were not in the training data: 'new'"),
        ("new.parquet", {"on_error": "stop"}, "row 370 cannot be scored"),
        ("-", {}, "standard input"),
        ("new.parquet", {"maps": "maps"}, "heatmaps of pictures"),
    ],
)
def test_an_error_of_a_worker_is_one_sentence_and_leaves_no_output(folder, tmp_path, monkeypatch, data, given, said):
    monkeypatch.setattr("sys.stdin", open(folder / "new.csv"))  # noqa: SIM115
    data = data if data == "-" else folder / data
    with pytest.raises(anogan.InputError, match=said):
        anogan.score_file(data, folder / "m.anogan", tmp_path / "out.csv", engine=Here(), chunk_rows=13, **given)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("labelled", [False, True])
def test_the_sample_of_the_parts_is_that_of_the_whole(folder, monkeypatch, labelled):
    monkeypatch.setattr(engines, "_SAMPLED_AT_ONCE", 50)
    given = {"keep": anogan.labels.NormalRows(folder, "shop", "a"), "text": ["shop"]} if labelled else {}
    file = anogan.TableFile(folder / "many", **given)
    there = file.sampled_by(Here()).sample(80, 3)
    here = anogan.TableFile(folder / "many", **given).sample(80, 3)
    assert there.total == here.total
    assert len(there.frame) == len(here.frame) == 80
    if not labelled:  # whose keys depend on how many rows are selected before
        pd.testing.assert_frame_equal(there.known, here.known)
    assert set(there.known["shop"]) == set(here.known["shop"])
    assert np.isinf(there.known["amount"]).any() == np.isinf(here.known["amount"]).any()


def test_a_cluster_fits_the_same_model(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "_SAMPLED_AT_ONCE", 50)
    monkeypatch.setattr("anogan.detectors.preparing.SAMPLED_ROWS", 150)
    rows(400, 2).to_parquet(tmp_path / "normal.parquet", index=False, row_group_size=60)
    file = anogan.TableFile(tmp_path / "normal.parquet", drop=["id"])
    one, other = (
        anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(X) for X in (file, file.sampled_by(Here()))
    )
    new = rows(50, 3).drop(columns="id")
    np.testing.assert_array_equal(one.anomaly_score(new), other.anomaly_score(new))
    assert one.fitted_on_["samples"] == other.fitted_on_["samples"] == 400


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("new.csv", {}, "a Parquet file or a folder of them can"),
        ("new.parquet", {"keep": lambda table: np.ones(len(table), bool)}, "by a label only"),
    ],
)
def test_a_file_that_cannot_be_sampled_in_parts_is_refused(folder, name, given, said):
    file = anogan.TableFile(folder / name, **given)
    with pytest.raises(anogan.InputError, match=said):
        file.sampled_by(Here()).sample(10, 0)
    with pytest.raises(anogan.InputError, match="does not hold out rows"):
        anogan.TableFile(folder / "new.parquet").holding_out(0.5, seed=0).sampled_by(Here())


def test_pieces_cover_the_data_once(folder):
    parts = pieces.pieces_of(anogan.open_source(folder / "new.parquet"), ["new.parquet"], 100)
    assert [(part.start, part.stop) for part in parts] == [(0, 100), (100, 200), (200, 300), (300, 391)]


@pytest.mark.parametrize("name", ["spark", "ray"])
def test_a_missing_package_is_one_line_that_names_the_extra(folder, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "pyspark" if name == "spark" else "ray", None)
    words = ["score", folder / "new.parquet", "-m", folder / "m.anogan", "-o", tmp_path / "out.csv", "--engine", name]
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 2
    assert f'pip install "anogan[{name}]"' in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert os.listdir(tmp_path) == []


def test_a_chunk_without_rows_does_not_corrupt_a_csv(tmp_path):
    """Arrow writes bytes of earlier rows for it."""
    table = pa.table({"a": pa.chunked_array([pa.array([], pa.int64()), *[pa.array(range(50))] * 3])})
    with anogan.writing.table_writer(str(tmp_path / "a.csv"), table.schema) as writer:
        writer.write(table)
    assert (tmp_path / "a.csv").read_text().split() == ["a", *map(str, [*range(50)] * 3)]
