"""A build as a story: made once, found again, shared by ranks; whatever fails leaves the build before it in place."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doctor.build.cache import Place
from doctor.build.make import BuildError, build
from doctor.shell import LiveHost
from doctor.toolchain import ToolchainError
from repro.ops import built
from tests.build.builders import FIXTURES, key_in_use, needs_compiler, order, start, tiny

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(bool(needs_compiler()), reason=needs_compiler())
WRONG = 'extern "C" __attribute__((visibility("default"))) int answer() { return 41; }\n'
WRONG_SYNTAX = "int answer( { return 42; }\n"
UNDEFINED = (
    'namespace at { void no_such_function(int); }\nextern "C" int answer() { at::no_such_function(1); return 42; }\n'
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("BEVREADY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", "g++")
    return Place(tmp_path / "cache", "BEVREADY_CACHE")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    return tiny(tmp_path)


@pytest.fixture
def before(place: Place, sources: Path) -> str:
    """Return the key of a build that is in use."""
    key: str = build(LiveHost(), order(sources)).manifest["key"]
    assert key_in_use(place, sources) == key
    return key


def left_over(place: Place) -> Iterator[Path]:
    return place.ext.glob(".*")


class TestMade:
    def test_a_build_is_made_once_and_then_found(self, place: Place, sources: Path) -> None:
        first = build(LiveHost(), order(sources, force=False))
        second = build(LiveHost(), order(sources, force=False))
        assert (first.fresh, second.fresh) == (True, False)
        assert first.library == second.library == place.ext / first.manifest["key"] / "bevready_ops.so"
        assert built.current(sources) == first.library
        assert list(left_over(place)) == []

    def test_the_manifest_beside_it_says_what_it_was_made_of(self, place: Place, sources: Path) -> None:
        made = build(LiveHost(), order(sources))
        told = json.loads((made.library.parent / "manifest.json").read_text(encoding="utf-8"))
        assert told["sources"] == built.source_digest(sources)
        assert told["size"] == made.library.stat().st_size
        assert told["proof"]["lines"] == ["the answer is right"]
        assert {"archs", "built", "compiler", "cuda", "flags", "key", "seconds", "sha256", "torch"} <= told.keys()
        assert place.ext in made.library.parents

    def test_force_builds_anew(self, before: str, sources: Path) -> None:
        again = build(LiveHost(), order(sources))
        assert again.fresh
        assert again.manifest["key"] == before

    def test_other_sources_are_another_build_and_the_first_is_found_again(self, before: str, sources: Path) -> None:
        text = (sources / "tiny.cpp").read_text(encoding="utf-8")
        tiny(sources.parent, text + "// more\n")
        assert build(LiveHost(), order(sources)).manifest["key"] != before
        tiny(sources.parent, text)
        found = build(LiveHost(), order(sources, force=False))
        assert (found.fresh, found.manifest["key"]) == (False, before)
        assert built.current(sources) == found.library

    def test_finding_it_takes_less_than_a_second_of_work(self, before: str, sources: Path) -> None:
        started = time.process_time()
        assert build(LiveHost(), order(sources, force=False)).manifest["key"] == before
        assert time.process_time() - started < 1

    def test_ranks_that_start_at_once_build_once(self, place: Place, sources: Path) -> None:
        ranks = [start(sources, "--json") for _ in range(4)]
        answers = [json.loads(rank.communicate(timeout=120)[0]) for rank in ranks]
        assert [rank.returncode for rank in ranks] == [0, 0, 0, 0]
        assert sorted(answer["fresh"] for answer in answers) == [False, False, False, True]
        assert len({answer["file"] for answer in answers}) == 1
        assert list(left_over(place)) == []


class TestNotMade:
    def assert_still(self, key: str, place: Place, sources: Path) -> None:
        assert key_in_use(place, sources) == key
        assert (place.ext / key / "bevready_ops.so").is_file()
        assert list(left_over(place)) == []

    def test_what_does_not_compile_names_the_line_and_keeps_the_log(
        self, before: str, place: Place, sources: Path
    ) -> None:
        tiny(sources.parent, WRONG_SYNTAX)
        with pytest.raises(BuildError, match=r"compile tiny\.cpp failed \(exit 1\): .*tiny\.cpp:1:") as failed:
            build(LiveHost(), order(sources))
        assert "tiny.cpp:1:15: error: " in failed.value.words
        assert Path(failed.value.log).read_text(encoding="utf-8").count("error:") >= 1
        assert failed.value.fix[-1] == "until it builds, the reference runs: plain torch, slower"
        self.assert_still(before, place, sources)

    def test_a_cause_that_the_doctor_knows_is_named_instead_of_the_line(self, place: Place, sources: Path) -> None:
        tiny(sources.parent, "#include <cuda_runtime.h>\n")
        with pytest.raises(BuildError) as failed:
            build(LiveHost(), order(sources))
        assert "error: " not in failed.value.saw
        assert "cuda_runtime.h" in failed.value.saw
        assert not (place.ext / "current").exists()

    def test_what_computes_something_else_is_not_used(self, before: str, place: Place, sources: Path) -> None:
        tiny(sources.parent, WRONG)
        with pytest.raises(BuildError, match="does not agree with the reference: the answer is 41, not 42"):
            build(LiveHost(), order(sources))
        self.assert_still(before, place, sources)

    def test_symbols_that_this_torch_lacks_are_named(self, before: str, place: Place, sources: Path) -> None:
        tiny(sources.parent, UNDEFINED)
        with pytest.raises(BuildError, match=r"does not define 1 symbols, .*no_such_function"):
            build(LiveHost(), order(sources))
        self.assert_still(before, place, sources)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupt_ends_it_and_leaves_nothing(
        self, before: str, place: Place, sources: Path, tmp_path: Path, number: signal.Signals
    ) -> None:
        begun, text = tmp_path / "begun", (sources / "tiny.cpp").read_text(encoding="utf-8")
        tiny(tmp_path, text + "// more\n")
        proof = tmp_path / "prove.py"
        proof.write_text(f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(60)\n")
        other = start(sources, "--force", proof=proof)
        while not begun.exists():
            assert other.poll() is None
            time.sleep(0.02)
        other.send_signal(number)
        assert "interrupted; the build before it is still in place" in other.communicate(timeout=30)[1]
        assert other.returncode == 130
        self.assert_still(before, place, sources)

    def test_a_proof_that_crashes_is_a_failed_build(self, place: Place, sources: Path, tmp_path: Path) -> None:
        proof = tmp_path / "prove.py"
        proof.write_text("import os\nos.abort()\n")
        with pytest.raises(BuildError, match=r"prove it against the reference failed \(exit -6\)"):
            build(LiveHost(), order(sources, proof))
        assert key_in_use(place, sources) == ""

    def test_a_folder_without_sources_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ToolchainError, match=r"holds no \.cpp file; restore the sources"):
            build(LiveHost(), order(tmp_path))

    def test_an_interpreter_without_torch_is_refused(self, sources: Path, tmp_path: Path) -> None:
        lonely = tmp_path / "python"
        lonely.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
        lonely.chmod(0o755)
        program = start(sources, "--python", str(lonely))
        words = program.communicate(timeout=60)[1]
        assert program.returncode == 2
        assert "torch" in words
        assert "--python PATH" in words

    def test_where_no_compiler_is_it_says_what_runs_until_then(
        self, sources: Path, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CXX", "")
        monkeypatch.setenv("PATH", str(FIXTURES))
        with pytest.raises(ToolchainError, match="until then the reference runs: plain torch, slower"):
            build(LiveHost(), order(sources))
        assert not place.root.exists()
