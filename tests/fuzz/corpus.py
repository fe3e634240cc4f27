"""Valid files, made at the start from small data, and the models that score what is read from their mutations."""

import gzip
import io
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
from PIL import Image

import anogan

from .mutators import CSV, Mutator
from .structures import (
    any_bytes,
    any_json,
    arrow_columns,
    in_npz,
    npy_header,
    one_of,
    png_chunks,
    resealed,
    tensors,
    zip_members,
    zip_records,
)

SHAPE = (1, 8, 8)


@dataclass(frozen=True)
class Seed:
    """A valid file.

    Attributes
    ----------
    kind : str
        What kind of file it is, for the counts.
    suffix : str
    data : bytes
    mutator : function of (Random, bytes)
    scorer : str
        The model that scores what is read from it; for a model file, the data that it scores.
    """

    kind: str
    suffix: str
    data: bytes
    mutator: Mutator
    scorer: str


@dataclass(frozen=True)
class Corpus:
    """Seeds, models by the kind of data they score, and such data."""

    seeds: list[Seed]
    models: dict[str, Any]
    X: dict[str, Any]


def build(folder: Path, detectors: list[str]) -> Corpus:
    """Fit the detectors on small data and write every kind of file that can be read.

    Parameters
    ----------
    folder : Path
        For temporary files.
    detectors : list of str
        Detectors whose model files are mutated.
    """
    X = {"table": frame(40), "array": np.random.default_rng(0).normal(size=(40, 3)), "pixels": pixels(20)}
    X["picture"] = _folder(folder / "pictures")
    models = {kind: _fitted("denoising_gan", data) for kind, data in X.items()}
    seeds = [*_tables(), *_arrays(X["array"]), *_pictures()]
    for name in detectors:
        for kind in ("table", "array", "pixels"):
            try:
                detector = _fitted(name, X[kind])
            except anogan.InputError:  # this detector is for other kinds of data
                continue
            detector.save(folder / "model")
            data = (folder / "model").read_bytes()
            seeds += [Seed("model, sealed", "anogan", data, _broken_model, kind)]
            seeds += [Seed("model, sealed again", "anogan", data, _forged_model, kind)]
    return Corpus(seeds, models, X)


def frame(rows: int) -> pd.DataFrame:
    """Return numbers with gaps, whole numbers, a category, true or false, and dates."""
    rng = np.random.default_rng(rows)
    amount = rng.lognormal(size=rows).round(3)
    amount[::7] = np.nan
    days = pd.to_timedelta(rng.integers(0, 300, rows), unit="D")
    return pd.DataFrame(
        {
            "amount": amount,
            "items": rng.integers(1, 9, rows),
            "shop": rng.choice(["north", "south", "web"], rows),
            "member": rng.random(rows) < 0.5,
            "day": pd.Timestamp("2024-01-01") + days,
        }
    )


def pixels(count: int) -> np.ndarray:
    """Return grey images (count, 1, 8, 8) in [0, 1]."""
    return np.random.default_rng(count).random((count, *SHAPE)).astype(np.float32)


def _folder(path: Path) -> anogan.ImageFolder:
    """Write coloured images to a folder, and return it."""
    path.mkdir()
    for number, image in enumerate(np.random.default_rng(2).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)):
        Image.fromarray(image).save(path / f"{number}.png")
    return anogan.ImageFolder(path, size=8)


def _fitted(name: str, X: Any) -> Any:
    cls = anogan.detector_class(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(**cls.tiny, random_state=0, device="cpu").fit(X)


_broken_model = one_of(any_bytes, any_bytes, zip_members, zip_records, zip_records)
_forged_model = resealed(any_json, {"safetensors": tensors, "json": any_json})


def _tables() -> list[Seed]:
    table = frame(12)
    text = table.to_csv(index=False)
    many = (one_of(*CSV, any_bytes), "table")
    semicolons = table.to_csv(index=False, sep=";", decimal=",")
    seeds = [
        Seed("CSV", "csv", text.encode(), *many),
        Seed("CSV", "csv", semicolons.encode(), *many),
        Seed("CSV", "csv", text.encode("utf-8-sig").replace(b"\n", b"\r\n"), *many),
        Seed("TSV", "tsv", table.to_csv(index=False, sep="\t").encode(), *many),
        Seed("CSV, compressed", "csv.gz", gzip.compress(text.encode(), mtime=0), any_bytes, "table"),
        Seed("CSV, compressed", "csv.gz", gzip.compress(text.encode(), mtime=0), _gzipped(one_of(*CSV)), "table"),
    ]
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    for compression in ("none", "snappy", "zstd"):
        buffer = io.BytesIO()
        pa.parquet.write_table(arrow, buffer, compression=compression)
        seeds.append(Seed("Parquet", "parquet", buffer.getvalue(), any_bytes, "table"))
    seeds.append(Seed("Parquet, strange types", "parquet", b"", _strange_parquet, "table"))
    buffer = io.BytesIO()
    pa.feather.write_feather(arrow, buffer, compression="uncompressed")
    seeds.append(Seed("Feather", "feather", buffer.getvalue(), any_bytes, "table"))
    lines = [json.dumps(row, default=str) for row in table.astype(object).where(table.notna(), None).to_dict("records")]
    seeds.append(Seed("JSON lines", "jsonl", "\n".join(lines).encode(), one_of(_one_line, any_bytes), "table"))
    return seeds


def _gzipped(inner: Mutator) -> Mutator:
    return lambda rng, data: gzip.compress(inner(rng, gzip.decompress(data)), mtime=0)


def _strange_parquet(rng: Random, _: bytes) -> bytes:
    buffer = io.BytesIO()
    try:
        pa.parquet.write_table(arrow_columns(rng), buffer)
    except pa.ArrowException:  # a type that Parquet does not have
        pa.parquet.write_table(pa.table({"amount": [None]}), buffer)
    return buffer.getvalue()


def _one_line(rng: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    lines[at] = any_json(rng, lines[at])
    return b"\n".join(lines)


def _arrays(X: np.ndarray) -> list[Seed]:
    seeds = []
    for array, scorer in ((X, "array"), (np.asfortranarray(X.astype(np.float32)), "array"), (pixels(4), "pixels")):
        buffer = io.BytesIO()
        np.save(buffer, array)
        seeds.append(Seed("NumPy array", "npy", buffer.getvalue(), one_of(any_bytes, npy_header), scorer))
        for save in (np.savez, np.savez_compressed):
            buffer = io.BytesIO()
            save(buffer, X=array, y=np.array(["a", "b"] * (len(array) // 2)))
            change = one_of(any_bytes, zip_members, zip_records, in_npz(one_of(any_bytes, npy_header)))
            seeds.append(Seed("NumPy archive", "npz", buffer.getvalue(), change, scorer))
    return seeds


def _pictures() -> list[Seed]:
    rng = np.random.default_rng(1)
    grey = Image.fromarray(rng.integers(0, 256, (20, 24), dtype=np.uint8))
    colour = Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8))
    wide = Image.fromarray(rng.integers(0, 65536, (20, 24), dtype=np.uint16))
    written: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("png", grey, {}),
        ("png", grey.convert("P"), {}),
        ("png", grey.convert("LA"), {}),
        ("png", wide, {}),
        ("jpg", grey, {}),
        ("jpg", colour, {"progressive": True}),
        ("bmp", grey, {}),
        ("tif", grey, {}),
        ("tif", wide, {"compression": "tiff_lzw"}),
        ("tif", grey, {"compression": "tiff_deflate"}),
        ("tif", grey.convert("1"), {"compression": "group4"}),
        ("webp", colour, {"lossless": True}),
    ]
    seeds = []
    for suffix, picture, options in written:
        buffer = io.BytesIO()
        picture.save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix), **options)
        change = one_of(any_bytes, png_chunks) if suffix == "png" else any_bytes
        seeds.append(Seed(f"image, {suffix}", suffix, buffer.getvalue(), change, "picture"))
    return seeds
