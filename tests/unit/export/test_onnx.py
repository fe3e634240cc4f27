"""ONNX files: preprocessing inside the graph, unseen values, pictures of any size, what the file tells, bad files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from scipy.ndimage import gaussian_filter

import anogan
from anogan.data.image import ImagePreprocessor
from anogan.data.scaling import SCALINGS, NumericScaler
from anogan.export.graph import ScoringGraph
from anogan.export.pictures import PicturesGraph
from anogan.export.rows import RowsGraph
from anogan.export.scaling import ScalerGraph
from anogan.scoring.counting import FEW, count_at_most, count_less

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def mixed_table(rows=150):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "amount": np.where(rng.uniform(size=rows) < 0.1, np.nan, rng.lognormal(3, 2, rows)),
            "count": rng.poisson(3, rows),
            "shop": rng.choice(["a", "b", "ü"], rows),
            "online": rng.uniform(size=rows) < 0.5,
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.uniform(0, 500, rows), unit="D").round("s"),
        }
    )


def fit(X, cls=anogan.GANomaly, **changes):
    return cls(**cls.tiny | {"random_state": 0, "target_fpr": 0.1, "device": "cpu"} | changes).fit(X)


def exported(detector, path):
    detector.to_onnx(path / "model.onnx")
    return anogan.OnnxModel(path / "model.onnx", threads=1)


@pytest.fixture(scope="module")
def of_mixed_table(tmp_path_factory):
    """A detector of a mixed table and its ONNX file."""
    detector, path = fit(mixed_table()), tmp_path_factory.mktemp("mixed") / "model.onnx"
    detector.to_onnx(path)
    return detector, path


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_scaler_of_the_graph_equals_the_one_that_it_was_made_from(scaling):
    rng = np.random.default_rng(0)
    columns = [
        rng.normal(size=300),
        rng.lognormal(0, 3, 300) * 1e200,
        rng.integers(0, 3, 300).astype(float),
        np.full(300, 7.25),
        np.full(300, np.nan),
        np.append(rng.normal(size=200) * 1e-300, [np.nan] * 100),
    ]
    scaler = NumericScaler(scaling).fit(columns)
    extremes = np.array([0, -0.0, 1e308, -1e308, 5e-324, np.nan, 7.25, 7.3])
    for values in (np.column_stack(columns), np.tile(extremes[:, None], (1, len(columns)))):
        expected = np.where(np.isnan(values), scaler.fill_, scaler.transform(values))
        assert_allclose(ScalerGraph(scaler)(torch.from_numpy(values)).numpy(), expected, rtol=1e-9, atol=1e-9)


def test_counting_in_a_part_of_sorted_numbers():
    values = torch.tensor([1.0, 2, 2, 3, 10, 20])
    x = torch.tensor([0.0, 2, 2.5, 99, 10])
    start, stop = torch.tensor([0, 0, 0, 0, 4]), torch.tensor([4, 4, 4, 4, 6])
    assert count_at_most(values, start, stop, x).tolist() == [0, 3, 3, 4, 1]
    assert count_at_most(values, start, stop, x, strictly=True).tolist() == [0, 1, 3, 4, 0]


@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
def test_less_values_are_counted_among_few_and_many(count: int) -> None:
    values = torch.arange(count, dtype=torch.float64).repeat_interleave(2)[:count]
    x = torch.tensor([-1.0, 0.0, 0.5, count / 4, 2.0 * count, torch.nan])
    assert count_less(values, x)[:-1].tolist() == torch.searchsorted(values, x.double())[:-1].tolist()


def test_numbers_in_the_code_of_a_graph_are_not_rounded_to_single_precision(tmp_path):
    """Where two codes are compared exactly, as in the views of rows, a weekday would be an unseen value."""
    table, new = mixed_table(), mixed_table(40)
    new["amount"] *= 1e60
    preprocessor = fit(table).preprocessor_
    with torch.no_grad():
        program = torch.onnx.export(
            RowsGraph(preprocessor), (torch.zeros(40, 5, dtype=torch.float64),), dynamo=True, verbose=False
        )
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    (entry,) = session.get_inputs()
    codes, _ = session.run(None, {entry.name: preprocessor.graph_inputs(new)["rows"]})
    expected = preprocessor.transform(new, torch.float64).batch(np.arange(40)).numpy()
    assert_allclose(codes, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_a_mixed_table_of_a_detector_with_views_scores_as_before(tmp_path):
    detector = fit(mixed_table(), anogan.DenoisingGAN)
    assert_unseen_values_score_as_before(detector, exported(detector, tmp_path))


def test_a_mixed_table_with_unseen_values_scores_as_before(of_mixed_table):
    assert_unseen_values_score_as_before(of_mixed_table[0], anogan.OnnxModel(of_mixed_table[1], threads=1))


def assert_unseen_values_score_as_before(detector, model):
    new = mixed_table(40).astype({"count": float})
    new.loc[3, "shop"], new.loc[4, "count"], new.loc[5, "when"] = "zz", np.nan, pd.NaT
    new.loc[6, ["shop", "amount"]] = ["zz", np.nan]
    expected = detector.score_table(new)
    got = model.score_table(new)
    assert_allclose(got["score"], expected["score"], rtol=1e-4, atol=1e-5)
    pd.testing.assert_frame_equal(got.drop(columns="score"), expected.drop(columns="score"), rtol=1e-4)
    assert got["unseen"].notna().sum() == 4


def test_the_graph_itself_gives_no_score_to_an_unseen_value(of_mixed_table):
    model = anogan.OnnxModel(of_mixed_table[1], threads=1)
    rows = np.array([[1.0, 2.0, 0.0, 1.0, 0.0], [1.0, 2.0, -1.0, 1.0, 0.0], [1.0, np.nan, 0.0, 1.0, 0.0]])
    score, p_value, flag = model.session.run(["score", "p_value", "flag"], {"rows": rows})
    assert_array_equal(np.isnan(score), [False, True, True])
    assert_array_equal(np.isnan(p_value), [False, True, True])
    assert flag[1:].all()


def test_the_schema_says_what_the_inputs_are(of_mixed_table):
    metadata = {entry.key: entry.value for entry in onnx.load(of_mixed_table[1]).metadata_props}
    schema = json.loads(metadata["anogan.schema"])
    assert metadata["anogan.detector"] == "ganomaly"
    assert metadata["anogan.version"] == anogan.__version__
    assert [column["name"] for column in schema["columns"]] == ["amount", "count", "shop", "online", "when"]
    assert schema["columns"][2] == {"name": "shop", "kind": "category", "missing": False, "categories": ["a", "b", "ü"]}


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_condition_is_an_input_or_a_column(tmp_path, monkeypatch, whole):
    if not whole:  # a score of few operators: to export all of them takes 15 seconds
        weighted = lambda self, x: (x * torch.arange(1, x.shape[-1] + 1).to(x)).sum(-1).mean(0, keepdim=True)  # noqa: E731
        monkeypatch.setattr("anogan.detectors.conditional_gan.ConditionalGANModule.score", weighted)
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(80, 3)), rng.choice(["a", "b"], 80)
    detector = fit(anogan.Conditioned(X, labels), anogan.ConditionalGAN)
    model = exported(detector, tmp_path)
    new = anogan.Conditioned(X[:9] + 1, labels[:9])
    assert_allclose(model.anomaly_score(new), detector.anomaly_score(new), rtol=1e-4, atol=1e-6)
    table = pd.DataFrame(X, columns=list("xyz")).assign(kind=labels)
    detector = fit(table, anogan.ConditionalGAN, condition="kind")
    # The operators are those of the graph before, so that this one need not be exported.
    graph = ScoringGraph(detector.fitted_state, with_map=False).eval()
    with torch.no_grad():
        scores = graph(torch.from_numpy(detector.preprocessor_.graph_inputs(table[:9])["rows"]))[0]
    assert graph.input_names == ["rows"]
    assert_allclose(scores, detector.anomaly_score(table[:9]), rtol=1e-4)


def test_frames_of_any_size_are_resized_inside_the_graph(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "good"
    folder.mkdir()
    sizes = [(40, 50), (16, 16), (12, 90), (33, 17)]
    for number in range(24):
        height, width = sizes[number % 4]
        ramp = np.linspace(0, 200, width)[None, :, None] + rng.uniform(0, 55, (height, width, 3))
        Image.fromarray(ramp.astype(np.uint8)).save(folder / f"{number:02}.png")
    pictures = anogan.ImageFolder(folder, size=16)
    detector = fit(pictures)
    model = exported(detector, tmp_path)
    expected = detector.anomaly_score(pictures)
    assert_allclose(model.anomaly_score(pictures), expected, rtol=1e-4)
    array = np.stack([pictures.decode(number) for number in range(len(pictures))])
    assert_allclose(model.anomaly_score(array), expected, rtol=1e-4)
    with pytest.raises(anogan.InputError, match="takes pictures of uint8"):
        model.anomaly_score(array / 255)
    for number in range(4):
        frame = np.asarray(Image.open(folder / f"{number:02}.png"))[None]
        score, p_value = model.session.run(["score", "p_value"], {"pictures": frame})
        assert_allclose(score, expected[number : number + 1], rtol=0.03)
        assert 0 < p_value[0] <= 1
    maps = model.maps(pictures)
    assert_allclose(maps, np.asarray(detector.explain(pictures)).sum(1), rtol=1e-3, atol=1e-4 * maps.max())
    assert "map" not in ScoringGraph(detector.fitted_state, with_map=False).output_names
    assert_single_pictures_score_as_before(detector, model, folder)
    assert_files_of_more_bits_are_refused(detector, model, tmp_path)
    with pytest.raises(anogan.InputError, match="takes no masks"):
        model.anomaly_score(anogan.ImageFolder(folder, masks=folder))
    script = (
        "import sys, anogan; print(anogan.OnnxModel(sys.argv[1]).score_picture(sys.argv[2]).score); "
        "print([name for name in ('torch', 'sklearn', 'scipy', 'pandas') if name in sys.modules])"
    )
    paths = [str(tmp_path / "model.onnx"), str(folder / "00.png")]
    run = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, check=True, text=True)
    score, slow = run.stdout.splitlines()
    assert_allclose(float(score), expected[0], rtol=1e-4)
    assert slow == "[]"


def assert_single_pictures_score_as_before(detector, model, folder):
    frame = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(frame).save(folder.parent / "frame.png")
    for picture, bgr in ((folder.parent / "frame.png", False), (frame, False), (frame[..., ::-1], True)):
        expected = detector.score_picture(picture, bgr=bgr, with_map=True)
        got = model.score_picture(picture, bgr=bgr, with_map=True)
        assert_allclose(got.score, expected.score, rtol=1e-4)
        assert got.p_value == expected.p_value
        assert_allclose(got.map, expected.map, rtol=1e-3, atol=1e-4 * expected.map.max())
        assert got.flag == expected.flag
    assert model.score_picture(frame).map is None
    with pytest.raises(anogan.InputError, match="The picture has more than the 8 bits that the exported graph takes"):
        model.score_picture(frame / 255)
    with pytest.raises(anogan.InputError, match="with 1, 3 or 4 channels"):
        model.score_picture(frame.transpose(2, 0, 1))
    with pytest.warns(anogan.ColumnWarning, match="JPEG, and the model was fitted on hardly any"):
        model.score_picture(Image.open(_as_jpeg(frame, folder.parent / "frame.jpg")))
    with pytest.warns(anogan.ColumnWarning, match="JPEG, and the model was fitted on hardly any"):
        model.predict_maps(anogan.ImageFolder([folder.parent / "frame.jpg"]))


def _as_jpeg(frame, file):
    Image.fromarray(frame).save(file)
    return file


def assert_files_of_more_bits_are_refused(detector, model, folder):
    grey = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    for name, pixels in (("wide.png", grey), ("twelve.png", grey // 16)):
        Image.fromarray(pixels).save(folder / name)
    with pytest.raises(anogan.InputError, match=r"wide\.png has more than the 8 bits"):
        model.anomaly_score(anogan.ImageFolder([folder / "wide.png"]))
    for score in (model.anomaly_score, detector.anomaly_score):
        with pytest.raises(anogan.InputError, match="as a camera of 12 bits"):
            score(anogan.ImageFolder([folder / "twelve.png"]))
        with pytest.raises(anogan.InputError, match="X has tiles of 16 pixels"):
            score(anogan.ImageFolder([folder / "wide.png"], size=16, tile=16))
        with pytest.raises(anogan.InputError, match="X has no pictures"):
            score(anogan.ImageFolder([]))


@pytest.mark.parametrize("size", [(16, 16), (20, 30)])
def test_files_of_16_bits_score_as_before(tmp_path, size):
    (tmp_path / "good").mkdir()
    frames = np.random.default_rng(0).integers(0, 50_000, (30, *size), dtype=np.uint16)
    for number, pixels in enumerate(frames):
        Image.fromarray(pixels).save(tmp_path / "good" / f"{number:02d}.png")
    X = anogan.ImageFolder(tmp_path / "good", size=16)
    detector = fit(X)
    model = exported(detector, tmp_path)
    assert model.inputs(X)["pictures"].dtype == np.uint16
    expected = detector.anomaly_score(X)
    assert_allclose(model.anomaly_score(X), expected, rtol=1e-4)
    assert_allclose(model.score_picture(X.files[0]).score, expected[0], rtol=1e-4)
    (in_own_size,) = model.session.run(["score"], {"pictures": frames[..., None]})
    assert_allclose(in_own_size, expected, rtol=1e-4)


@pytest.mark.parametrize("size", [(40, 50), (16, 16), (12, 90), (33, 17), (8, 8), (300, 100)])
def test_the_graph_resizes_like_pillow(size):
    preprocessor = ImagePreprocessor()
    preprocessor.shape_, preprocessor.source_, preprocessor.low_, preprocessor.high_ = [3, 16, 16], "folder", 0.0, 1.0
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    way = Image.Resampling.BOX if min(size) >= 16 else Image.Resampling.BILINEAR
    expected = np.asarray(Image.fromarray(frame).resize((16, 16), way)).transpose(2, 0, 1)
    got = (PicturesGraph(preprocessor)(torch.from_numpy(frame)[None])[0].numpy() + 1) * 127.5
    # Pillow filters some pictures along the other side first, where one of 255 levels may differ.
    assert abs(got - expected).max() < 1.001
    assert (abs(got - expected) > 0.001).mean() < 0.1


def test_a_file_does_not_tell_where_it_was_written(of_mixed_table):
    assert str(Path(anogan.__file__).parent).encode() not in of_mixed_table[1].read_bytes()


def test_scoring_with_a_file_imports_no_torch(of_mixed_table, tmp_path):
    mixed_table(5).to_parquet(tmp_path / "new.parquet")
    script = (
        "import sys, pandas, anogan; model = anogan.OnnxModel(sys.argv[1]); "
        "print(model.score_table(pandas.read_parquet(sys.argv[2])).score.notna().all(), 'torch' in sys.modules)"
    )
    paths = [str(of_mixed_table[1]), str(tmp_path / "new.parquet")]
    run = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, check=True, text=True)
    assert run.stdout.split() == ["True", "False"]


def test_bad_input_is_refused_as_by_the_detector(of_mixed_table):
    detector, model = of_mixed_table[0], anogan.OnnxModel(of_mixed_table[1], threads=1)
    for bad in (
        mixed_table(5).drop(columns="shop"),
        mixed_table(5).assign(count=np.inf),
        mixed_table(5).assign(shop=1),
    ):
        with pytest.raises(anogan.InputError) as expected:
            detector.anomaly_score(bad)
        with pytest.raises(anogan.InputError) as got:
            model.anomaly_score(bad)
        assert str(got.value) == str(expected.value)


@pytest.mark.parametrize("content", [b"", b"no graph", b"PK\x03\x04"])
def test_a_file_that_is_no_graph_is_refused(tmp_path, content):
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(anogan.FormatError, match=r"bad\.onnx is not an ONNX file of anogan"):
        anogan.OnnxModel(tmp_path / "bad.onnx")


def test_a_graph_of_another_program_is_refused(tmp_path):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node("Abs", ["x"], ["y"])
    ends = [helper.make_tensor_value_info(name, kind, [None]) for name in "xy"]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(anogan.FormatError, match="not written by anogan"):
        anogan.OnnxModel(tmp_path / "other.onnx")


def test_the_example_of_the_guide_scores_without_anogan_and_torch(of_mixed_table, tmp_path):
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "serving.md").read_text(encoding="utf-8")
    script = guide.partition("%%writefile score_onnx.py\n")[2].partition("```")[0]
    assert script.count("\n") < 40
    assert "torch" not in script
    assert "import anogan" not in script
    detector, path = of_mixed_table
    new = mixed_table(12)
    new.loc[3, "shop"] = "zz"
    new.to_csv(tmp_path / "new.csv", index=False)
    words = [sys.executable, "-c", script, str(path), str(tmp_path / "new.csv")]
    run = subprocess.run(words, capture_output=True, check=True, text=True)
    scores, p_values, flags = zip(*(line.split(",") for line in run.stdout.split()), strict=True)
    expected = detector.score_table(new).assign(flag=lambda found: found["flag"].to_numpy(bool))
    expected.loc[3, ["score", "p_value", "flag"]] = [np.nan, np.nan, True]  # the graph alone only flags unseen values
    assert_allclose(np.array(scores, float), expected["score"], atol=1e-3)
    assert_allclose(np.array(p_values, float), expected["p_value"], atol=1e-4)
    assert [flag == "True" for flag in flags] == expected["flag"].tolist()


@pytest.mark.slow
def test_openvino_runs_the_same_file(tmp_path):
    openvino = pytest.importorskip("openvino")
    for data in (np.random.default_rng(0).normal(size=(60, 4)), np.random.default_rng(0).random((12, 1, 16, 16))):
        detector = fit(data)
        model = exported(detector, tmp_path)
        compiled = openvino.Core().compile_model(tmp_path / "model.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        got = compiled(model.inputs(data[:7]))["score"]
        spread = np.ptp(detector.calibration_.scores)
        assert_allclose(got, detector.anomaly_score(data[:7]), rtol=1e-4, atol=1e-4 * spread)


def test_a_model_of_tiles_is_refused(tmp_path):
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 255, (4, 48, 64), dtype=np.uint8)):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    detector = fit(anogan.ImageFolder(tmp_path, size=16, tile=32))
    with pytest.raises(anogan.InputError, match="in tiles"):
        detector.to_onnx(tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def assert_scores_are_those_of_the_detector(model, detector, new):
    """The graph skips what no picture of a batch needs, so that each is scored alone, too."""
    expected, spread = detector.anomaly_score(new), np.ptp(detector.calibration_.scores)
    for got in (model.anomaly_score(new), np.concatenate([model.anomaly_score(one[None]) for one in new])):
        assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * spread)


@pytest.mark.slow
def test_light_and_position_are_mended_in_the_graph(tmp_path):
    rng = np.random.default_rng(0)
    part = np.kron(rng.uniform(0.2, 0.7, (8, 8)), np.ones((8, 8)))
    pictures = np.clip(part + 0.02 * rng.normal(size=(30, 1, 64, 64)), 0, 1)
    detector = fit(pictures[:24], anogan.FeatureGAN, precision="float32")
    filled = np.pad(pictures[24:25, :, :-4, 3:], ((0, 0), (0, 0), (4, 0), (0, 3)), mode="edge")
    lit = pictures[27:] * np.array([1.2, 1.3, 1.6])[:, None, None, None]  # the last one is saturated
    new = np.concatenate([np.roll(pictures[24:27], (5, -3), (2, 3)), filled, lit]).clip(0, 1)
    assert detector.module_.framing.alignment.templates.numel()  # it has learned where the part lies
    model = exported(detector, tmp_path)
    assert_scores_are_those_of_the_detector(model, detector, new)
    maps = detector.predict_maps(new)[1].sum(1)
    assert_allclose(model.maps(new), maps, rtol=1e-3, atol=1e-4 * maps.max())


@pytest.mark.slow
def test_parts_at_any_angle_are_moved_in_the_graph(tmp_path):
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, (170, 1, 1, 1))
    y, x = np.mgrid[:64, :64] - 31.5
    along, across = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
    bars = ((np.abs(along) < 18) & (np.abs(across) < 4)) | ((along - 14) ** 2 + across**2 < 60)
    pictures = 0.3 + 0.4 * bars + 0.02 * rng.normal(size=(170, 1, 64, 64))
    detector = fit(pictures[:164].clip(0, 1), anogan.FeatureGAN, precision="float32")
    assert len(detector.module_.framing.alignment.templates) > 1
    new = np.concatenate([np.roll(pictures[164:167], (6, -5), (2, 3)), pictures[167:]]).clip(0, 1)
    model = exported(detector, tmp_path)
    assert_scores_are_those_of_the_detector(model, detector, new)


@pytest.mark.slow
def test_textures_are_moved_in_the_graph(tmp_path):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:192, :192]
    contrast = 0.12 + 0.11 * np.sin(y / 18) * np.sin(x / 18)
    pictures = 0.5 + contrast * gaussian_filter(rng.normal(size=(36, 1, 192, 192)), (0, 0, 1, 1)) * 3
    detector = fit(pictures[:32].clip(0, 1), anogan.FeatureGAN, precision="float32")
    assert detector.module_.offset.is_fitted
    new = np.concatenate([np.roll(pictures[32:34], (16, -16), (2, 3)), pictures[34:]]).clip(0, 1)
    model = exported(detector, tmp_path)
    assert_scores_are_those_of_the_detector(model, detector, new)
