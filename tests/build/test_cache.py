"""Where builds lie: the places tried in order, one builder at a time, whole files, and what `repro` finds there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from doctor.build import cache, plan
from doctor.build.cache import Place, locked, manifest_of, places, pointed_at, pointer_name, publish, workshop, writable
from doctor.toolchain import ToolchainError
from repro.ops import built

ROOT = Path(__file__).resolve().parents[2]
TORCH = Path(torch.__file__).parent


def put(place: Place, key: str, sources: Path, *, version: str = str(torch.__version__)) -> Path:
    """Publish a library of four bytes for these sources and make it the current one."""
    place.ext.mkdir(parents=True, exist_ok=True)
    library = place.ext / "made.so"
    library.write_bytes(b"code")
    final = publish(place, key, library, {"size": 4, "built": "today"})
    pointer = {"key": key, "sources": plan.source_digest(sources), "torch": version}
    cache.write_json(place.ext / "current" / pointer_name(TORCH, sources), pointer)
    return final


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "csrc"
    (folder / "device").mkdir(parents=True)
    (folder / "ops.cpp").write_text("int one;")
    (folder / "device" / "kernel.cu").write_text("int two;")
    (folder / "notes.txt").write_text("no source")
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("BEVREADY_CACHE", str(tmp_path / "cache"))
    return Place(tmp_path / "cache", "BEVREADY_CACHE")


def test_the_variable_stands_alone(tmp_path: Path) -> None:
    assert [place.root for place in places({"BEVREADY_CACHE": "/some/where", "HOME": "/h"}, tmp_path)] == [
        Path("/some/where")
    ]


def test_without_it_home_comes_first_and_the_temporary_folder_last(tmp_path: Path) -> None:
    roots = [str(place.root) for place in places({"HOME": "/h"}, tmp_path)]
    assert roots[:2] == ["/h/.cache/bevready", f"{tmp_path}/build/cache"]
    assert "bevready-" in roots[2]
    assert str(places({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, tmp_path)[0].root) == "/x/bevready"


def test_a_home_that_cannot_be_written_leads_to_the_next_place(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, so that nothing can be made below it")
    found = writable(places({"HOME": str(tmp_path / "home")}, tmp_path / "checkout"))
    assert found.root == tmp_path / "checkout" / "build" / "cache"


def test_no_place_at_all_says_where_it_tried(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolchainError, match=r"file/cache \(BEVREADY_CACHE\): Not a directory; name a folder"):
        writable(places({"BEVREADY_CACHE": str(tmp_path / "file" / "cache")}, tmp_path))


@pytest.mark.parametrize(
    "variables", [{"BEVREADY_CACHE": "/c"}, {"HOME": "/h"}, {"HOME": "/h", "XDG_CACHE_HOME": "/x"}]
)
def test_both_sides_look_in_the_same_places(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BEVREADY_CACHE", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert built.folders() == tuple(place.ext for place in places(variables, ROOT))


def test_both_sides_name_sources_and_pointers_alike(sources: Path) -> None:
    assert built.source_digest(sources) == plan.source_digest(sources)
    assert built.pointer_name(TORCH, sources) == pointer_name(TORCH, sources)
    assert frozenset(built.SUFFIXES) == plan.SUFFIXES


def test_what_was_published_is_found(place: Place, sources: Path) -> None:
    library = put(place, "abc", sources)
    assert built.current(sources) == library
    assert built.find(sources).manifest["built"] == "today"


def test_changed_sources_are_no_build(place: Place, sources: Path) -> None:
    put(place, "abc", sources)
    (sources / "notes.txt").write_text("still no source")
    assert built.current(sources) is not None
    (sources / "device" / "kernel.cu").write_text("int three;")
    assert built.current(sources) is None
    assert "changed since the extension was built; make it: ./bevready build-ext" in built.find(sources).why


def test_the_build_of_another_torch_in_the_same_folder_is_none(place: Place, sources: Path) -> None:
    put(place, "abc", sources, version="2.0.0")
    assert f"was built for torch 2.0.0, this is {torch.__version__}" in built.find(sources).why


def test_an_empty_cache_says_what_to_type(place: Place, sources: Path) -> None:
    assert not place.root.exists()
    assert built.find(sources).why.endswith("make it: ./bevready build-ext")


@pytest.mark.parametrize("damage", ["{", "[]", '{"key": 3}', ""])
def test_a_damaged_pointer_or_manifest_is_no_build(place: Place, sources: Path, damage: str) -> None:
    put(place, "abc", sources)
    (place.ext / "abc" / "manifest.json").write_text(damage)
    assert manifest_of(place, "abc") is None
    pointer = place.ext / "current" / pointer_name(TORCH, sources)
    pointer.write_text(damage)
    assert pointed_at(place, pointer.name) is None
    assert built.current(sources) is None


def test_a_library_cut_short_is_no_build(place: Place, sources: Path) -> None:
    put(place, "abc", sources).write_bytes(b"co")
    assert manifest_of(place, "abc") is None
    assert built.find(sources).why.endswith("is gone or cut short; make it: ./bevready build-ext")


def test_what_a_killed_build_left_is_cleared_by_the_next(place: Place) -> None:
    left = place.ext / ".abc.left"
    left.mkdir(parents=True)
    with workshop(place, "abc") as room:
        assert room.parent == place.ext
        assert not left.exists()
    assert not room.exists()


def test_the_lock_is_held_by_one_process_at_a_time(place: Place) -> None:
    place.ext.mkdir(parents=True)
    program = (
        "import sys; from pathlib import Path; from doctor.build.cache import Place, locked\n"
        "with locked(Place(Path(sys.argv[1]), ''), 'abc', lambda: print('waits', flush=True)): print('has it')"
    )
    words = [sys.executable, "-c", program, str(place.root)]
    with locked(place, "abc", lambda: pytest.fail("nobody else has it")):
        other = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == "waits\n"
        assert other.poll() is None
    assert other.communicate(timeout=30)[0] == "has it\n"


def test_a_manifest_is_readable_json(place: Place, sources: Path) -> None:
    put(place, "abc", sources)
    assert json.loads((place.ext / "abc" / "manifest.json").read_text())["size"] == 4
