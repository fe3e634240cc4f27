"""A file that is written over keeps who may read it, and a link stays a link, as when a file is opened for writing."""

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import anogan
from anogan import writing
from anogan.batch.journal import kept


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
@pytest.mark.parametrize("private", [0o600, 0o640, 0o400, 0o666])
def test_a_file_that_is_written_over_keeps_its_permissions(tmp_path, private):
    path = tmp_path / "x"
    with writing.written_whole(path) as file:
        file.write(b"1")
    assert mode(path) == 0o644
    path.chmod(private)
    os.utime(path, (0, 0))
    with writing.written_whole(path) as file:
        assert mode(tmp_path / ".x.part") == private, "no one else may read it while it is written"
        file.write(b"2")
    assert (path.read_bytes(), mode(path)) == (b"2", private)
    assert path.stat().st_mtime > 1e9, "it is a new file"


@pytest.fixture(params=[errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def mount(request, monkeypatch):
    """A file system that sets neither permissions nor times, as some mounts of buckets and of Windows' folders."""

    def refused(*_, **__):
        raise OSError(request.param, os.strerror(request.param))

    for name in ("chmod", "utime", "listxattr", "setxattr"):
        monkeypatch.setattr(os, name, refused)


@pytest.mark.usefixtures("usual_umask", "mount")
@pytest.mark.parametrize("old", [0o600, 0o644, 0o400])
def test_a_file_is_written_over_where_permissions_cannot_be_set(tmp_path, old):
    path = tmp_path / "x"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, old))
    with writing.written_whole(path) as file:
        file.write(b"2")
    assert (path.read_bytes(), mode(path)) == (b"2", 0o600)


@pytest.mark.usefixtures("usual_umask", "mount")
def test_a_private_file_is_not_written_over_where_others_could_read_it(tmp_path, monkeypatch):
    path = tmp_path / "x"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    opened = os.open
    monkeypatch.setattr(os, "open", lambda name, flags, mode=0o777, **other: opened(name, flags, mode | 0o044, **other))
    with (
        pytest.raises(PermissionError, match="More people could read the new file") as caught,
        writing.written_whole(path),
    ):
        pass
    assert caught.value.filename == str(path)
    assert (path.read_bytes(), [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")]) == (b"", [])


@pytest.mark.usefixtures("usual_umask")
def test_a_private_model_stays_private(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 2))
    detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(X)
    detector.save(tmp_path / "m")
    (tmp_path / "m").chmod(0o600)
    (tmp_path / "link").symlink_to("m")
    detector.save(tmp_path / "m")
    detector.save(tmp_path / "link")
    assert mode(tmp_path / "m") == 0o600
    assert (tmp_path / "link").is_symlink()


@pytest.mark.usefixtures("usual_umask")
def test_a_journal_is_as_private_as_the_output(tmp_path):
    output = tmp_path / "s.csv"
    output.touch(0o600)

    def interrupted():
        with kept(str(output), pa.schema([("score", pa.float64())]), {}, resume=True) as journal:
            journal.append(pa.table({"score": [1.0]}), {"rows": 1})
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert mode(tmp_path / "s.csv.part") == 0o600


@pytest.mark.parametrize("there", [True, False])
def test_a_link_leads_to_the_file_that_is_written(tmp_path, there):
    (tmp_path / "models").mkdir()
    (tmp_path / "current").symlink_to("models/b")
    if there:
        (tmp_path / "models" / "b").write_bytes(b"old")
    writing.check_target(str(tmp_path / "current"))
    with writing.written_whole(tmp_path / "current") as file:
        file.write(b"new")
    assert (tmp_path / "current").is_symlink()
    assert (tmp_path / "models" / "b").read_bytes() == b"new"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["b", "current", "models"]


def test_a_link_to_a_folder_that_is_gone_is_said_before_the_work(tmp_path):
    (tmp_path / "current").symlink_to("gone/b")
    with pytest.raises(anogan.InputError, match="gone' for the output does not exist"):
        writing.check_target(str(tmp_path / "current"))


def test_a_link_and_its_file_have_one_lock(tmp_path):
    (tmp_path / "b").touch()
    (tmp_path / "current").symlink_to("b")
    with writing.locked(tmp_path / "current"):
        assert (tmp_path / ".b.lock").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only an administrator gives files away")
def test_owner_and_group_stay(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.touch(0o640)
    os.chown(path, 65534, 65533)
    with writing.written_whole(path) as file:
        file.write(b"1")
    assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (65534, 65533, 0o640)

    def refused(*_):
        raise PermissionError

    monkeypatch.setattr("anogan.files.writing.os.fchown", refused)
    with writing.written_whole(path) as file:
        file.write(b"2")
    assert (path.stat().st_uid, mode(path)) == (0, 0o600), "another group has no access"
