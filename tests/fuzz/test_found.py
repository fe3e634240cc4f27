"""Faults that mutated files found outside of the formats' own tests, each with its smallest input."""

import struct
import zlib

import pytest

import anogan


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", b"sep=,\n", "is empty"),
        ("x.tsv", b"\t|\n;\n\x1f", "every separator"),
    ],
)
def test_a_table_is_refused(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(anogan.InputError, match=words):
        anogan.open_source(tmp_path / name)


def png(width: int, height: int) -> bytes:
    """Return a PNG file that declares a size and has no pixels."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b""))
    whole = (len(c).to_bytes(4, "big") + k + c + zlib.crc32(k + c).to_bytes(4, "big") for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def test_a_small_file_that_declares_a_large_picture_is_refused_before_anything_is_allocated(tmp_path):
    (tmp_path / "x.png").write_bytes(png(12_000, 12_000))
    with pytest.raises(anogan.InputError, match=r"x\.png: declares 12,000 x 12,000 pixels"):
        anogan.ImageFolder(tmp_path, size=8).decode(0)


def test_so_is_one_of_twenty_kilobytes(tmp_path):
    (tmp_path / "x.png").write_bytes(png(8_000, 8_000) + bytes(20_000))
    with pytest.raises(anogan.InputError, match="declares 8,000 x 8,000 pixels"):
        anogan.ImageFolder(tmp_path, size=8).decode(0)
