"""The checkpoint file: whole or not at all, and exact."""

import pytest
import torch

from anogan import FormatError
from anogan.engine.checkpoint import (
    FILE_NAME,
    pack_optimizer,
    read_checkpoint,
    unpack_optimizer,
    write_checkpoint,
)

STATE = {
    "run_key": "7-abc",
    "stage": 0,
    "step": 3,
    "best_value": 0.5,
    "checks_since_best": 0,
    "finished": False,
    "history": {"gan": {"step": [1, 2], "loss": [0.1, 1e-30]}},
}


def test_what_was_written_is_read_to_the_bit(tmp_path):
    shared = torch.randn(4, 3)
    tensors = {"a": shared, "same memory": shared, "a slice": shared[:, 1], "bytes": torch.get_rng_state()}
    write_checkpoint(tmp_path / "new" / "folder", tensors, STATE)
    read, state = read_checkpoint(tmp_path / "new" / "folder")
    assert state == STATE
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[key], tensors[key]) for key in tensors)


def test_no_checkpoint_is_no_error(tmp_path):
    assert read_checkpoint(tmp_path) is None
    assert read_checkpoint(tmp_path / "nowhere") is None


def test_a_later_checkpoint_replaces_the_earlier_one(tmp_path):
    for step in (1, 2):
        write_checkpoint(tmp_path, {"a": torch.tensor([step])}, STATE | {"step": step})
    assert read_checkpoint(tmp_path)[1] == STATE | {"step": 2}
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_a_failed_write_leaves_the_earlier_one(tmp_path, monkeypatch):
    write_checkpoint(tmp_path, {"a": torch.tensor([1])}, STATE | {"step": 1})

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("anogan.engine.checkpoint.os.replace", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(tmp_path, {"a": torch.tensor([2])}, STATE | {"step": 2})
    assert read_checkpoint(tmp_path)[1] == STATE | {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x08\0\0\0\0\0\0\0{}      "])
def test_another_file_of_that_name_is_refused(tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(FormatError, match="is not a checkpoint of anogan"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"step": -1}, "step is -1"),
        ({"step": 1.5}, "step is 1.5"),
        ({"best_value": "x"}, "best_value is 'x'"),
        ({"finished": 0}, "finished is 0"),
        ({"run_key": 5}, "run_key"),
        ({"history": {"gan": [1]}}, "history.gan"),
        ({"intruder": 1}, "intruder"),
    ],
)
def test_a_state_that_is_never_written_is_refused(tmp_path, change, fault):
    write_checkpoint(tmp_path, {"a": torch.zeros(1)}, STATE | change)
    with pytest.raises(FormatError, match=fault):
        read_checkpoint(tmp_path)


def test_every_byte_of_a_checkpoint_is_sealed(tmp_path):
    write_checkpoint(tmp_path, {"a": torch.randn(9)}, STATE)
    data = (tmp_path / FILE_NAME).read_bytes()
    for position in range(0, len(data), 7):
        (tmp_path / FILE_NAME).write_bytes(data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
        try:
            tensors, state = read_checkpoint(tmp_path)
        except FormatError as error:
            assert FILE_NAME in str(error)  # noqa: PT017  (harmless bytes, such as a date, may be read)
        else:
            assert state == STATE
            write_checkpoint(tmp_path, tensors, state)
            assert len((tmp_path / FILE_NAME).read_bytes()) == len(data)


def test_numbers_that_are_not_finite_are_null(tmp_path):
    write_checkpoint(tmp_path, {}, STATE | {"history": {"gan": {"loss": [float("nan"), 1.0]}}})
    loss = read_checkpoint(tmp_path)[1]["history"]["gan"]["loss"]
    assert loss[0] != loss[0]
    assert loss[1] == 1.0


def test_an_optimiser_goes_on_where_it_was():
    def made():
        torch.manual_seed(0)
        weights = [torch.randn(3, requires_grad=True), torch.randn(2, 2, requires_grad=True)]
        return weights, torch.optim.Adam(weights, lr=0.1)

    def step(weights, optimizer):
        sum(w.square().sum() for w in weights).backward()
        optimizer.step()
        optimizer.zero_grad()

    weights, optimizer = made()
    step(weights, optimizer)
    packed = {key: t.clone() for key, t in pack_optimizer("optimizer.critic", optimizer).items()}
    twins, fresh = made()
    with torch.no_grad():
        for twin, weight in zip(twins, weights, strict=True):
            twin.copy_(weight)
    unpack_optimizer("optimizer.critic", fresh, packed | {"optimizer.other.0.step": torch.zeros(())})
    step(weights, optimizer)
    step(twins, fresh)
    assert all(torch.equal(a, b) for a, b in zip(weights, twins, strict=True))
