"""Picture folders and arrays: every mode, orientation and damage that a folder may hold."""

import io
import struct
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from anogan import ImageFolder, InputError
from anogan.data.choose import preprocessor_for, preprocessor_from_state
from anogan.data.image import ImagePreprocessor
from anogan.data.samples import FolderSamples, PictureCache, TensorSamples
from anogan.data.state import decode, encode
from anogan.data.tiles import TiledSamples
from anogan.sources.camera import Frame, frame_pixels


def corner_picture(mode: str = "RGB", width: int = 48, height: int = 32) -> Image.Image:
    """Dark, with a bright upper left quarter."""
    pixels = np.full((height, width), 40, dtype=np.uint8)
    pixels[: height // 2, : width // 2] = 200
    return Image.fromarray(pixels).convert(mode)


def quarters(picture: np.ndarray) -> list[bool]:
    """Which quarters of (C, H, W) are bright: upper left, upper right, lower left, lower right."""
    _, height, width = picture.shape
    top, left = slice(0, height // 2), slice(0, width // 2)
    bottom, right = slice(height // 2, None), slice(width // 2, None)
    return [bool(picture[:, y, x].mean() > 0.5) for y in (top, bottom) for x in (left, right)]


@pytest.mark.parametrize(
    ("mode", "extension", "channels"),
    [
        ("L", "png", 1), ("1", "png", 1), ("LA", "png", 1), ("P", "png", 3), ("RGB", "png", 3),
        ("RGBA", "png", 3), ("I;16", "png", 1), ("L", "jpg", 1), ("RGB", "jpeg", 3), ("CMYK", "jpg", 3),
        ("L", "bmp", 1), ("RGB", "bmp", 3), ("P", "bmp", 3), ("L", "tif", 1), ("RGB", "tiff", 3),
        ("I;16", "tiff", 1), ("I", "tif", 1), ("RGB", "webp", 3), ("RGBA", "webp", 3), ("RGB", "PNG", 3),
    ],
)  # fmt: skip
def test_every_mode_and_format_is_read(tmp_path, mode, extension, channels):
    if mode.startswith("I"):
        values = np.asarray(corner_picture("L")).astype(np.uint16 if ";" in mode else np.int32) * 257
        picture = Image.fromarray(values)
    elif mode == "P":
        picture = Image.merge("RGB", [corner_picture("L"), Image.new("L", (48, 32), 90), corner_picture("L")])
        picture = picture.quantize(8)
    else:
        picture = corner_picture(mode)
    picture.save(tmp_path / f"a.{extension}")
    folder = ImageFolder(tmp_path, size=(16, 24))
    assert folder.channels == channels
    read = folder[0]
    assert read.dtype == np.float32
    assert read.shape == (channels, 16, 24)
    assert read.min() >= 0
    assert read.max() <= 1
    assert quarters(read[:1]) == [True, False, False, False]
    if mode not in ("1", "CMYK"):
        assert abs(read[0, 2, 2] - 200 / 255) < 0.03
        assert abs(read[0, -3, -3] - 40 / 255) < 0.03


def test_a_grey_palette_is_grey(tmp_path):
    corner_picture("L").convert("P").save(tmp_path / "a.png")
    assert ImageFolder(tmp_path).channels == 1
    assert quarters(ImageFolder(tmp_path)[0]) == [True, False, False, False]


@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize(("orientation", "bright"), list(enumerate([0, 1, 3, 2, 0, 1, 3, 2], start=1)))
def test_exif_rotation_is_honoured(tmp_path, extension, orientation, bright):
    picture = corner_picture("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / f"a.{extension}", exif=exif)
    folder = ImageFolder(tmp_path, size=20)
    assert quarters(folder[0]) == [i == bright for i in range(4)]
    assert folder.original_size(0) == ((48, 32) if orientation >= 5 else (32, 48))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", ["exif", "text of exif", "xmp", "no orientation"])
def test_the_size_of_a_png_is_read_without_its_pixels(tmp_path, monkeypatch, kind, late):
    exif = Image.Exif()
    exif[0x0112] = 6
    hexed = exif.tobytes().hex().encode()
    oriented = {
        "exif": png_chunk(b"eXIf", exif.tobytes()[6:]),
        "text of exif": png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n0\n" + hexed)),
        "xmp": png_chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<a tiff:Orientation="6"/>'),
        "no orientation": png_chunk(b"tEXt", b"date:create\0today"),
    }[kind]
    file = tmp_path / "a.png"
    corner_picture("RGB").save(file)
    data = file.read_bytes()
    at = data.index(b"IEND" if late else b"IDAT") - 4
    file.write_bytes(data[:at] + oriented + data[at:])
    folder = ImageFolder(tmp_path, size=20)
    upright = folder.upright(0)
    if not late or kind == "no orientation":
        monkeypatch.setattr(PngImageFile, "load", lambda picture: pytest.fail("was decoded"))
    assert folder.original_size(0) == (upright.height, upright.width)
    assert (upright.height, upright.width) == ((32, 48) if kind == "no orientation" else (48, 32))


def test_transparency_is_composed_over_black(tmp_path):
    pixels = np.full((8, 8, 4), 255, dtype=np.uint8)
    pixels[:, 4:, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = ImageFolder(tmp_path, size=8)[0]
    assert (read[:, :, :4] == 1).all()
    assert (read[:, :, 4:] == 0).all()


def test_resizing_averages_so_that_no_small_defect_is_skipped(tmp_path):
    pixels = np.zeros((64, 64), dtype=np.uint8)
    pixels[1::4, 1::4] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = ImageFolder(tmp_path, size=16)[0]
    np.testing.assert_allclose(read, 255 / 16 / 255, atol=0.003)


@pytest.mark.parametrize("size", [(5, 7), (100, 20), (20, 100), (200, 300)])
def test_any_size_becomes_the_asked_one(tmp_path, size):
    corner_picture("RGB").save(tmp_path / "a.jpg")
    assert ImageFolder(tmp_path, size=size)[0].shape == (3, *size)


@pytest.mark.parametrize(("side", "same"), [(112, True), (127, True), (128, False)])
def test_a_jpeg_file_is_read_as_its_pixels_unless_it_is_very_large(tmp_path, side, same):
    pixels = np.random.default_rng(0).normal(128, 12, (side, side)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as picture:
        frame = frame_pixels(np.asarray(picture), (1, 16, 16), bgr=False)
    read = ImageFolder(tmp_path, size=16).decode(0)
    assert np.array_equal(read, frame) == same
    assert np.abs(read.astype(float) - frame).mean() < 1


def test_sixteen_bits_keep_their_depth_and_range(tmp_path):
    ramp = np.linspace(1000, 5000, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    Image.fromarray(ramp + 2000).save(tmp_path / "b.tif")
    folder = ImageFolder(tmp_path, size=64)
    np.testing.assert_allclose(folder[0][0] * 65535, ramp, atol=0.01)
    preprocessor = ImagePreprocessor().fit(folder, rows=np.array([0]))
    code = preprocessor.transform(folder, torch.float64).batch(np.arange(2)).numpy()
    assert (code[0].min(), code[0].max()) == (-1, 1)
    assert code[1].max() == pytest.approx(2, abs=1e-6)  # beyond the training range: not clipped
    np.testing.assert_allclose(preprocessor.inverse(code), [folder[0], folder[1]], atol=1e-6)


def test_files_are_found_recursively_sorted_and_by_extension(tmp_path):
    for name in ("b/2.png", "b/1.PNG", "a/9.jpg", "b/._1.png", ".hidden.png", "b/notes.txt", "z.svg", ".c/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        corner_picture().save(tmp_path / name, format="png")
    folder = ImageFolder(tmp_path)
    assert [str(file.relative_to(tmp_path)) for file in folder.files] == ["a/9.jpg", "b/1.PNG", "b/2.png"]
    assert len(folder) == 3
    assert [file.name for file in folder[1:].files] == ["1.PNG", "2.png"]
    assert ImageFolder(folder.files[::-1]).files == folder.files[::-1]
    assert ImageFolder(str(folder.files[0])).files == folder.files[:1]
    np.testing.assert_array_equal(folder[-1], folder[2])
    with pytest.raises(IndexError):
        folder[3]


def test_a_missing_or_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no folder .*nowhere"):
        ImageFolder(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no pictures"):
        ImageFolder(tmp_path)
    with pytest.raises(InputError, match="at least 1 x 1"):
        ImageFolder([], size=0)


def test_any_colour_makes_a_coloured_folder_and_grey_is_replicated(tmp_path):
    corner_picture("L").save(tmp_path / "a.png")
    corner_picture("RGB").save(tmp_path / "b.png")
    folder = ImageFolder(tmp_path)
    assert folder.channels == 3
    np.testing.assert_array_equal(folder[0], folder[1])
    assert folder[:1].channels == 3


def test_a_grey_model_takes_grey_stored_as_colour_but_no_colour(tmp_path):
    for name in ("a.png", "b.jpg", "c.webp"):
        corner_picture("RGB").save(tmp_path / name)
    Image.new("RGB", (9, 9), (90, 80, 90)).save(tmp_path / "d.png")
    folder = ImageFolder(tmp_path).resized((1, 8, 8))
    for i in range(3):
        assert quarters(folder[i]) == [True, False, False, False]
    with pytest.raises(InputError, match=r"d\.png: is coloured, but the model takes grey"):
        folder[3]


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its data does not hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def encoded(extension: str) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, format=extension)
    return buffer.getvalue()


BROKEN = {
    "empty.png": b"",
    "text.jpg": b"no picture at all",
    "header.png": encoded("png")[:20],
    "cut.png": encoded("png")[:-5000],
    "cut.jpg": encoded("jpeg")[: len(encoded("jpeg")) // 2],
    "cut.bmp": encoded("bmp")[:-5000],
    "cut.tif": encoded("tiff")[:-5000],
    "cut.webp": encoded("webp")[:-5000],
    "bomb.png": png_of_size(60_000, 60_000),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named(tmp_path, name):
    corner_picture().save(tmp_path / "good.png")
    (tmp_path / name).write_bytes(BROKEN[name])
    folder = ImageFolder(tmp_path)
    with pytest.raises(InputError, match=name):
        folder[[file.name for file in folder.files].index(name)]
    if name == "bomb.png":
        with pytest.raises(InputError, match="too many pixels"):
            folder[0]
    readable, reasons = folder.readable()
    assert [file.name for file in readable.files] == ["good.png"]
    assert [file.name for file in reasons] == [name]
    assert name in next(iter(reasons.values()))
    samples = ImagePreprocessor().fit(readable).transform(folder, torch.float32)
    with pytest.raises(InputError, match=name):
        samples.batch(np.arange(2))


def test_a_folder_of_broken_files_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.png: not a picture"):
        ImageFolder(tmp_path).channels  # noqa: B018
    with pytest.raises(InputError, match=r"a\.png"):
        ImageFolder(tmp_path).readable()


def test_floats_in_a_file_are_fractions_or_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 0.25, dtype=np.float32)).save(tmp_path / "a.tif")
    Image.fromarray(np.full((4, 4), 64.0, dtype=np.float32)).save(tmp_path / "b.tif")
    folder = ImageFolder(tmp_path, size=2)
    assert (folder[0] == 0.25).all()
    with pytest.raises(InputError, match=r"b\.tif: holds floats from 64 to 64"):
        folder[1]


def test_a_vanished_file_is_named(tmp_path):
    corner_picture().save(tmp_path / "a.png")
    folder = ImageFolder(tmp_path)
    folder.files[0].unlink()
    with pytest.raises(InputError, match=r"a\.png: there is no such file"):
        folder[0]


def test_folder_batches_come_in_order(tmp_path):
    for i in range(20):
        Image.new("L", (8, 8), 10 * i).save(tmp_path / f"{i:02d}.png")
    folder = ImageFolder(tmp_path, size=8)
    preprocessor = preprocessor_for(folder).fit(folder)
    samples = preprocessor.transform(folder, torch.float64)
    order = np.random.default_rng(0).permutation(20)
    got = torch.cat(list(samples.batches(np.array_split(order, 6))))
    assert got.dtype == torch.float64
    np.testing.assert_allclose(got[:, 0, 0, 0].numpy(), order * 10 / 127.5 - 1, atol=1e-6)
    part = samples.subset(order[:5])
    assert len(part) == 5
    assert torch.equal(part.batch(np.array([4, 0])), got[[4, 0]])
    assert samples.batch(np.array([], dtype=int)).shape == (0, 1, 8, 8)


def test_memory_does_not_grow_with_the_folder():
    """Decodes run at most one batch ahead of the consumer, whatever the number of pictures."""
    started = 0
    lock = threading.Lock()

    def decode(index: int) -> np.ndarray:
        nonlocal started
        with lock:
            started += 1
        return np.zeros((1, 2, 2), dtype=np.uint8)

    samples = FolderSamples(
        decode, lambda p: p, np.arange(100_000), (1, 2, 2), torch.float32, str, PictureCache(100_000, 0)
    )
    consumed = 0
    batches = samples.batches(np.arange(i, i + 10) for i in range(0, 100_000, 10))
    for _ in range(50):
        next(batches)
        consumed += 10
        time.sleep(0.001)
        assert started <= consumed + 20
    batches.close()
    assert started <= consumed + 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("anogan-decode")]


def test_cache_serves_later_epochs_within_a_fixed_budget():
    reads: list[int] = []

    def decode(index: int) -> np.ndarray:
        reads.append(index)
        return np.full((1, 2, 2), index, dtype=np.uint8)

    samples = FolderSamples(decode, lambda p: p, np.arange(10), (1, 2, 2), torch.float32, str, PictureCache(10, 4 * 6))
    for _ in range(3):
        whole = samples.batch(np.arange(10))
        assert whole[:, 0, 0, 0].tolist() == list(range(10))
    assert len(reads) == 10 + 10 + 4  # the second pass fills the cache, the third finds 6 of 10 in it


@given(
    X=st.sampled_from([np.uint8, np.uint16, np.int32, np.float32, np.float64, np.bool_]).flatmap(
        lambda dtype: arrays(
            dtype,
            st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(3), st.just(5)),
            elements=st.floats(-1e3, 1e3, width=32) if np.dtype(dtype).kind == "f" else None,
        )
    )
)
def test_arrays_come_back_in_their_own_unit(X):
    preprocessor = preprocessor_for(X).fit(X)
    code = preprocessor.transform(X, torch.float64).tensor
    assert preprocessor.spec_.shape == X.shape[1:]
    assert preprocessor.spec_.bounded
    assert code.min() >= -1
    assert code.max() <= 1
    back = preprocessor.inverse(code.numpy())
    assert back.dtype == X.dtype
    np.testing.assert_allclose(back.astype(float), X.astype(float), atol=1e-3 if X.dtype.kind == "f" else 0)


def test_eight_bit_pictures_use_the_known_range_and_floats_the_training_range():
    X = np.array([10, 20, 30], dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), dtype=np.uint8)
    code = ImagePreprocessor().fit(X).transform(X, torch.float64).tensor
    np.testing.assert_allclose(code[:, 0, 0, 0], np.array([10, 20, 30]) / 127.5 - 1)
    floats = X.astype(np.float32)
    code = ImagePreprocessor().fit(floats, rows=np.array([0, 1])).transform(floats, torch.float64).tensor
    np.testing.assert_allclose(code[:, 0, 0, 0], [-1, 1, 3])
    huge = np.full((1, 1, 2, 2), 1e300)
    assert torch.isfinite(ImagePreprocessor().fit(floats).transform(huge, torch.float32).tensor).all()


def test_folder_and_array_of_the_same_pictures_agree(tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 10), dtype=np.uint8)
    for i, picture in enumerate(X):
        Image.fromarray(picture.transpose(1, 2, 0)).save(tmp_path / f"{i}.png")
    folder = ImageFolder(tmp_path, size=(8, 10))
    every = np.arange(3)
    of_array, of_folder = ImagePreprocessor().fit(X), ImagePreprocessor().fit(folder)
    expected = of_array.transform(X, torch.float32).batch(every)
    for preprocessor in (of_array, of_folder):
        for data in (X, folder):
            torch.testing.assert_close(preprocessor.transform(data, torch.float32).batch(every), expected)
    floats = ImagePreprocessor().fit(X / 9.0)
    with pytest.raises(InputError, match="fitted on an array of float64"):
        floats.transform(folder, torch.float32)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((2, 1, 4, 5)), r"shape \(1, 4, 5\); the model was fitted on .* \(1, 4, 4\)"),
        (np.full((2, 1, 4, 4), np.nan), "contains NaN"),
        (np.full((2, 1, 4, 4), np.inf), "contains infinity"),
        (np.zeros((0, 1, 4, 4)), r"0 sample\(s\)"),
        (np.zeros((2, 8, 8, 3)), r"looks like \(H, W, C\).*transpose"),
        (np.zeros((2, 4, 4)), r"\(n, C, H, W\)"),
        (np.full((2, 1, 4, 4), "a"), "must be numeric"),
    ],
)
def test_bad_pictures_are_refused(X, message):
    preprocessor = ImagePreprocessor().fit(np.random.default_rng(0).random((5, 1, 4, 4)))
    with pytest.raises(InputError, match=message):
        preprocessor.transform(X, torch.float32)


def test_the_state_keeps_the_preprocessor(tmp_path):
    corner_picture().save(tmp_path / "a.png")
    folder = ImageFolder(tmp_path)
    for X in (folder, np.random.default_rng(0).random((5, 1, 4, 4))):
        preprocessor = ImagePreprocessor().fit(X)
        loaded = preprocessor_from_state(decode(*encode(preprocessor.to_state())))
        assert loaded.spec_ == preprocessor.spec_
        first = np.arange(1)
        assert torch.equal(
            loaded.transform(X, torch.float64).batch(first),
            preprocessor.transform(X, torch.float64).batch(first),
        )


def test_files_may_be_given_as_an_iterator(tmp_path):
    corner_picture().save(tmp_path / "a.png")
    assert len(ImageFolder(Path(tmp_path).glob("*.png"))) == 1


def test_a_fingerprint_tells_other_data_even_behind_the_pictures_it_decodes(tmp_path):
    for i in range(70):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / f"{i:02d}.png")

    def fingerprint():
        folder = ImageFolder(tmp_path, size=8)
        return ImagePreprocessor().fit(folder).transform(folder, torch.float32).fingerprint()

    before = fingerprint()
    assert fingerprint() == before
    (tmp_path / "69.png").rename(tmp_path / "99.png")
    assert fingerprint() != before
    X = np.zeros((5000, 1, 1, 1))
    whole = ImagePreprocessor().fit(X).transform(X, torch.float32)
    other = TensorSamples(whole.tensor.clone())
    assert other.fingerprint() == whole.fingerprint()
    other.tensor[-1] = 1
    assert other.fingerprint() != whole.fingerprint()


def png_chunk(name, data):
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


def save_deep_colours(file, value, channels=3):
    """Write a PNG file of 16 bits, opaque with 2 or 4 channels, which Pillow cannot write."""
    header = (8).to_bytes(4, "big") * 2 + bytes([16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0])
    line = np.full((8, channels), value, ">u2")
    if channels != 3:
        line[:, -1] = 65_535
    lines = (b"\0" + line.tobytes()) * 8
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    parts = b"".join(png_chunk(*chunk) for chunk in chunks)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize(
    ("picture", "bgr", "words"),
    [
        (np.full((20, 20, 3), [9, 90, 200], np.uint8), False, "The picture is coloured, but the model takes grey"),
        (np.full((20, 20), 9, np.uint8), True, r"bgr=True is for pictures of 3 or 4 channels"),
        (np.full((20, 20), np.nan), False, "A picture of floats .* has NaN"),
    ],
)
def test_what_is_wrong_with_a_frame_is_said_in_a_sentence(picture, bgr, words, tile):
    with pytest.raises(InputError, match=f"^{words}"):
        _ = (
            frame_pixels(picture, (1, 8, 8), bgr=bgr)
            if tile is None
            else Frame(picture, (1, 8, 8), tile, bgr=bgr).decode(0)
        )


def test_a_coloured_file_in_tiles_is_named(tmp_path):
    Image.new("RGB", (20, 20), (9, 90, 200)).save(tmp_path / "red.png")
    folder = ImageFolder(tmp_path, size=8).resized((1, 8, 8), tile=16)
    samples = TiledSamples(folder, lambda pixels: pixels, np.arange(1), torch.float32)
    with pytest.raises(InputError, match=r"red\.png: is coloured"):
        samples.tiles().batch(np.arange(1))


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("tile", [None, 8])
def test_colours_of_12_bits_in_files_of_16_are_refused(tmp_path, tile, channels):
    file = tmp_path / "dark.png"
    save_deep_colours(file, 50_000, channels)
    assert ImageFolder(tmp_path, size=8).decode(0).max() == 195
    save_deep_colours(file, 3_000, channels)
    folder = ImageFolder(tmp_path, size=8, tile=tile)
    words = "has colours of 16 bits, .* brightest value is 11 of 255"
    with pytest.raises(InputError, match=rf"dark\.png: {words}"):
        _ = folder.decode(0) if tile is None else folder.upright(0)
    with pytest.raises(InputError, match=f"^The picture {words}"), Image.open(file) as opened:
        _ = frame_pixels(opened, (3, 8, 8), bgr=False) if tile is None else Frame(opened, (3, 8, 8), tile, bgr=False)
