"""Checkpoint files: what loads, what is refused, and that nothing in them can run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from repro.weights import CheckpointError, load_into, read_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def small(width: int = 3) -> nn.Sequential:
    torch.manual_seed(width)
    return nn.Sequential(nn.Linear(2, width), nn.Linear(width, 1))


def rename(key: str) -> str | None:
    names = {"a.weight": "0.weight", "a.bias": "0.bias", "b.weight": "1.weight", "b.bias": "1.bias", "constants": None}
    return names[key]


def test_what_was_saved_is_what_is_read(tmp_path: Path) -> None:
    model = small()
    save_checkpoint(tmp_path / "w.pth", model, about={"recipe": "x"})
    other = small()
    other.load_state_dict({name: torch.zeros_like(tensor) for name, tensor in other.state_dict().items()})
    assert load_into(other, read_checkpoint(tmp_path / "w.pth"), "w.pth").loaded == 4
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_the_same_weights_are_the_same_bytes_whatever_the_file_is_called_while_it_is_written(tmp_path: Path) -> None:
    for name in ("one.pth", "another.pth"):
        save_checkpoint(tmp_path / name, small(), about={"recipe": "x"})
    assert (tmp_path / "one.pth").read_bytes() == (tmp_path / "another.pth").read_bytes()


def test_upstreams_layout_its_names_and_a_parallel_prefix_are_understood(tmp_path: Path) -> None:
    model = small()
    state = {f"module.{new}": model.state_dict()[old] for new, old in (("a.weight", "0.weight"), ("a.bias", "0.bias"))}
    state |= {"module.b.weight": model.state_dict()["1.weight"], "module.b.bias": model.state_dict()["1.bias"]}
    state["module.constants"] = torch.ones(10)
    torch.save({"meta": {"epoch": 24}, "state_dict": state, "optimizer": {"state": {}}}, tmp_path / "up.pth")
    fit = load_into(small(), read_checkpoint(tmp_path / "up.pth"), "up.pth", our_name=rename)
    assert (fit.loaded, fit.dropped) == (4, ("constants",))


def test_a_checkpoint_of_another_model_is_refused_with_the_difference() -> None:
    with pytest.raises(CheckpointError) as caught:
        load_into(small(), small(4).state_dict(), "other.pth")
    text = str(caught.value)
    assert text.startswith("other.pth: the checkpoint of another model: 3 have another shape")
    assert "0.weight is [4, 2] in the file, [3, 2] in the model" in text
    assert text.endswith("choose the recipe it was trained with")


def test_missing_and_unknown_tensors_are_named() -> None:
    state = small().state_dict()
    state["head.weight"] = state.pop("1.weight")
    with pytest.raises(CheckpointError, match=r"1 tensors are missing \(1\.weight\); 1 are not of this model \(head"):
        load_into(small(), state, "other.pth")


def test_a_refused_checkpoint_leaves_the_model_as_it_was() -> None:
    model = small()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError):
        load_into(model, small(4).state_dict(), "other.pth")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_missing_file_says_which_option_names_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file; name a checkpoint with --checkpoint FILE"):
        read_checkpoint(tmp_path / "none.pth")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut short", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r"x\.pth: (not a checkpoint that can be read safely|holds no state dict)"
    ):
        read_checkpoint(tmp_path / "x.pth")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"loss": 3.0}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds no state dict of tensors"):
        read_checkpoint(tmp_path / "x.pth")


def test_a_file_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    torch.save({"state_dict": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(CheckpointError, match="not a checkpoint that can be read safely"):
        read_checkpoint(tmp_path / "bomb.pth")
    assert not (tmp_path / "exploded").exists()
