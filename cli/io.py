"""Reading tables, arrays and pictures, whole or in chunks; writing files whole or not at all."""

import contextlib
import difflib
import os
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeAlias

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from anogan import ImageFolder, InputError, MVTecFolder, TableFile

WRITTEN_SUFFIXES = (".csv", ".tsv", ".parquet")


class ArraySource:
    """An array in a .npy file, or under the key ``X`` of a .npz file.

    Attributes
    ----------
    path : Path
    shape : tuple of int
    labels : (n,) array of str or None
        From the key ``y`` of a .npz file.

    Raises
    ------
    InputError
        If the file is not such an array, or holds anything but numbers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.labels: np.ndarray | None = None
        self._zipped = path.suffix.lower() == ".npz"
        try:
            if self._zipped:
                with zipfile.ZipFile(path) as archive:
                    keys = [n.removesuffix(".npy") for n in archive.namelist()]
                    if "X" not in keys:
                        raise InputError(f"{path} has no array 'X'; it has {', '.join(keys) or 'nothing'}.")
                    with archive.open("X.npy") as member:
                        self.shape, self._fortran, self._dtype = _array_header(member)
                    if "y" in keys:
                        with np.load(path, allow_pickle=False) as arrays:
                            self.labels = arrays["y"].ravel().astype(str)
            else:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
                self.shape, self._dtype = array.shape, array.dtype
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, InputError):
                raise
            kind = "NumPy archive (.npz)" if self._zipped else "NumPy array (.npy)"
            raise InputError(f"{path} is not a {kind} of numbers, or was cut short ({error}).") from None
        if self._dtype.kind not in "biuf":
            raise InputError(f"{path} holds values of type {self._dtype}; numbers are needed.")
        if not self.shape or not self.shape[0]:
            raise InputError(f"{path} is empty: its array has shape {self.shape}.")
        if self.labels is not None and (self.labels == "nan").any():
            raise InputError(f"{path}: y has missing labels (first at row {int(np.argmax(self.labels == 'nan'))}).")
        if self.labels is not None and len(self.labels) != self.shape[0]:
            raise InputError(f"{path}: y has {len(self.labels)} labels, X has {self.shape[0]} rows.")

    def read(self) -> np.ndarray:
        """The whole array."""
        return next(self.chunks(self.shape[0]))

    def chunks(self, rows: int) -> Iterator[np.ndarray]:
        """`rows` rows at a time; neither a .npy nor a compressed .npz is ever held whole.

        Raises
        ------
        InputError
            If a value is NaN or infinite (names its row), or the file ends early.
        """
        first = 0
        for chunk in self._chunks(rows):
            if chunk.dtype.kind == "f" and not np.isfinite(chunk).all():
                at = np.argwhere(~np.isfinite(chunk))[0]
                word = "NaN" if np.isnan(chunk[tuple(at)]) else "infinity"
                raise InputError(
                    f"{self.path} contains {word}, first in row {first + at[0]} at position {tuple(at[1:].tolist())}. "
                    "Fill or leave out such rows; missing values are taken in tables."
                )
            yield chunk
            first += len(chunk)

    def _chunks(self, rows: int) -> Iterator[np.ndarray]:
        if not self._zipped:
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
            for start in range(0, len(array), rows):
                yield np.array(array[start : start + rows])
            return
        if self._fortran:  # columns first on disk: no row is whole before the last byte
            with np.load(self.path, allow_pickle=False) as arrays:
                whole = arrays["X"]
            for start in range(0, len(whole), rows):
                yield whole[start : start + rows]
            return
        row_bytes = self._dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        with zipfile.ZipFile(self.path) as archive, archive.open("X.npy") as member:
            _array_header(member)
            for start in range(0, self.shape[0], rows):
                count = min(rows, self.shape[0] - start)
                try:
                    data = member.read(count * row_bytes)
                except (zipfile.BadZipFile, EOFError) as error:
                    raise InputError(f"{self.path} is damaged ({error}).") from None
                if len(data) != count * row_bytes:
                    raise InputError(f"{self.path} was cut short: it ends before row {start + count}.")
                yield np.frombuffer(data, self._dtype).reshape(count, *self.shape[1:]).copy()


def _array_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = read(member)
    return header


class PictureSource:
    """A folder of pictures, plain or in MVTec layout, or a single picture.

    Parameters
    ----------
    path : Path
    part : {"train", "test"}
        Which part of an MVTec layout to take.

    Attributes
    ----------
    root : Path
        Names of pictures are relative to it.
    pictures : ImageFolder
    layout : MVTecFolder or None
        Where the kinds and masks of an MVTec layout are.
    """

    def __init__(self, path: Path, *, part: str, size: int | tuple[int, int] | None = None) -> None:
        self.path = path
        given: dict[str, Any] = {} if size is None else {"size": size}
        self.layout = MVTecFolder(path, **given) if MVTecFolder.is_at(path) else None
        self.root = path.parent if path.is_file() else path
        if self.layout is None:
            self.pictures = ImageFolder([path] if path.is_file() else path, **given)
        elif part == "train":
            self.root, self.pictures = path / "train" / "good", self.layout.train
        else:
            self.root, self.pictures = path / "test", self.layout.test

    def name_of(self, file: Path) -> str:
        """Path of a picture relative to the root, with forward slashes."""
        return file.relative_to(self.root).as_posix()


Source: TypeAlias = TableFile | ArraySource | PictureSource


def open_source(path: str | os.PathLike[str], *, part: str, size: int | tuple[int, int] | None = None) -> Source:
    """Open a table, an array or pictures, by what the path is.

    Raises
    ------
    InputError
        If there is nothing at the path, or it is of no known kind.
    """
    path = Path(path)
    name = path.name.lower()
    if path.is_dir():
        is_table = any(path.glob("*.parquet"))
        return TableFile(path) if is_table else PictureSource(path, part=part, size=size)
    if not path.exists():
        near = list(path.parent.iterdir()) if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, [p.name for p in near], n=1)
        hint = f" Did you mean '{path.parent / close[0]}'?" if close else ""
        raise InputError(f"There is no file or folder '{path}'.{hint}")
    if name.endswith(TableFile.suffixes):
        return TableFile(path)
    if name.endswith((".npy", ".npz")):
        return ArraySource(path)
    if name.endswith((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")):
        return PictureSource(path, part=part, size=size)
    raise InputError(
        f"{path} is of no kind that can be read; needed is a table ({', '.join(TableFile.suffixes)}), "
        "an array (.npy, .npz), a picture or a folder of pictures."
    )


def equals(labels: np.ndarray, value: str) -> np.ndarray:
    """Which text labels (n,) mean `value`: equal as text, as numbers, or as true/false in any case."""
    found, inverse = np.unique(labels.astype(str), return_inverse=True)
    same = np.array([_same(text, value) for text in found], dtype=bool)
    matches: np.ndarray = same[inverse]
    return matches


def _same(text: str, value: str) -> bool:
    if text == value or text.lower() == value.lower() in ("true", "false"):
        return True
    try:
        return float(text) == float(value)
    except ValueError:
        return False


def anomalous_rows(labels: np.ndarray, normal: str | None, data: str) -> np.ndarray:
    """Which rows (n,) are anomalous: those without the label `normal`, or with a label that means 1 or true.

    Raises
    ------
    InputError
        If the labels say nothing, or there are not rows of both kinds; `data` names the file.
    """
    found = np.unique(labels)
    if normal is not None:
        anomalous = ~equals(labels, normal)
        if anomalous.all():
            listed = ", ".join(f"'{v}'" for v in found[:10])
            raise InputError(f"No row of {data} has the label '{normal}'. Labels are {listed}.")
    else:
        anomalous = equals(labels, "1") | equals(labels, "true")
        if not (anomalous | equals(labels, "0") | equals(labels, "false")).all():
            listed = ", ".join(f"'{v}'" for v in found[:10])
            raise InputError(f"The labels of {data} are {listed}; say which one is normal: --normal VALUE.")
    if not anomalous.any() or anomalous.all():
        only = "anomalous" if anomalous.all() else "normal"
        raise InputError(f"All {len(labels)} rows of {data} are {only}; both kinds are needed.")
    return anomalous


def label_texts(column: pa.ChunkedArray, name: str, path: Path, *, first: int = 0) -> np.ndarray:
    """A label column as text (n,), from row `first` of the file on.

    Raises
    ------
    InputError
        If a label is missing.
    """
    missing = pc.is_null(column, nan_is_null=True)
    if pc.any(missing).as_py():
        row = first + pc.index(missing, True).as_py()
        raise InputError(f"{path}: label column '{name}' has missing values (first at row {row}).")
    texts: np.ndarray = column.cast(pa.string()).to_numpy(zero_copy_only=False).astype(str)
    return texts


def closest(name: str, names: Sequence[str]) -> str:
    """A hint at the closest of `names`, or all of them if there are few."""
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" There are: {', '.join(names)}." if len(names) <= 20 else ""


def check_target(target: str, inputs: Sequence[str] = (), *, folder: bool = False) -> None:
    """Refuse an output that cannot be written before hours are spent on what goes into it.

    Raises
    ------
    InputError
        If the target is one of the `inputs`; if the folder around it does not exist or the target is a folder
        (or a file, where a folder is needed).
    PermissionError
        If the folder around it cannot be written to.
    """
    path = Path(target)
    if is_device(target):
        return
    for source in inputs:
        if path.exists() and Path(source).exists() and path.samefile(source):
            raise InputError(f"The output '{target}' would replace the input '{source}'; name another file.")
    if path.is_dir() != folder and path.exists():
        raise InputError(f"{path} is a {'file' if folder else 'folder'}; name a {'folder' if folder else 'file'}.")
    home = path if path.is_dir() else path.absolute().parent
    if not home.is_dir() and not folder:
        raise InputError(f"The folder '{home}' for the output does not exist.")
    while not home.exists():
        home = home.parent
    if not os.access(home, os.W_OK | os.X_OK):
        raise PermissionError(13, "Permission denied: cannot write here", str(home))


def is_device(target: str) -> bool:
    """Whether the target is standard output, a device or a pipe, which cannot be replaced by renaming."""
    path = Path(target)
    return target == "-" or (path.exists() and not path.is_file() and not path.is_dir())


def check_table_target(target: str, inputs: Sequence[str] = ()) -> None:
    """`check_target` for a table; raises `InputError` too if its name ends in no known kind of table."""
    check_target(target, inputs)
    if not is_device(target) and not target.lower().endswith(WRITTEN_SUFFIXES):
        raise InputError(f"'{target}' is no kind of table that can be written: {', '.join(WRITTEN_SUFFIXES)}, or -.")


@contextlib.contextmanager
def written_whole(target: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file that appears under its name only if the block ends well; "-" is standard output."""
    if target == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    with named_after(path):
        if is_device(str(target)):
            with open(path, "wb") as file:
                yield file
            return
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with open(temporary, "wb") as file:
                yield file
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def named_after(path: Path) -> Iterator[None]:
    """Let errors name what the user asked for: a full disk names no file, a temporary one means nothing."""
    try:
        yield
    except OSError as error:
        if error.filename is None or str(error.filename).endswith(".part"):
            error.filename = str(path)
        raise


class TableWriter:
    """Writes tables of one schema to CSV, TSV or Parquet, by the target's name; "-" is CSV."""

    def __init__(self, file: IO[bytes], target: str, schema: pa.Schema) -> None:
        name = target.lower()
        if name.endswith(".parquet"):
            self._writer: Any = pq.ParquetWriter(file, schema)
            return
        delimiter = "\t" if name.endswith(".tsv") else ","
        file.write((delimiter.join(_quoted(n, delimiter) for n in schema.names) + "\n").encode())
        options = pv.WriteOptions(include_header=False, delimiter=delimiter)
        self._writer = pv.CSVWriter(file, schema, write_options=options)

    def write(self, table: pa.Table) -> None:
        """Append rows."""
        self._writer.write_table(table)

    def close(self) -> None:
        """Finish; the file itself stays open."""
        self._writer.close()


def _quoted(name: str, delimiter: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(c in name for c in (delimiter, '"', "\n", "\r")) else name


@contextlib.contextmanager
def table_writer(target: str, schema: pa.Schema) -> Iterator[TableWriter]:
    """A `TableWriter` on a file that appears whole or not at all."""
    with written_whole(target) as file:
        writer = TableWriter(file, target, schema)
        yield writer
        writer.close()


def warn(message: str) -> None:
    """One warning line on stderr."""
    click.echo(f"Warning: {message}", err=True)
