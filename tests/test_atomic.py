"""Files appear whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from repro.atomic import digest, replacing, sha256_of, source_digest, write_json, write_text

if TYPE_CHECKING:
    from pathlib import Path


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError, match="half way"), replacing(target) as part:
        part.write_text("ne")
        raise RuntimeError("half way")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_value_json_cannot_hold_is_refused_before_the_old_file_is_touched(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_json(target, {"map": 0.5})
    with pytest.raises(ValueError, match="JSON"):
        write_json(target, {"map": float("nan")})
    assert target.read_text() == '{\n "map": 0.5\n}\n'


def test_a_written_file_can_be_read_by_colleagues(tmp_path: Path) -> None:
    write_text(tmp_path / "plain", "x")
    (tmp_path / "usual").write_text("x")
    assert (tmp_path / "plain").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_the_hash_of_a_file_is_the_one_other_tools_print(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_source_digest_sees_edits_and_new_names_but_no_caches(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    (room / "a.py").write_text("1")
    before = source_digest(room)
    (room / "a.pyc").write_text("cache")
    assert source_digest(room) == before
    (room / "a.py").rename(room / "b.py")
    renamed = source_digest(room)
    (room / "b.py").write_text("2")
    assert len({before, renamed, source_digest(room)}) == 3
