"""A whole extension for the installed torch: a C++ operator, device code inside, read back without loading it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch

from doctor.build.info import describe
from doctor.build.look import plan_for
from doctor.build.make import Built, build
from doctor.build.menu import main
from doctor.build.proof import shortcomings
from doctor.inspect import inspect
from doctor.shell import LiveHost
from doctor.toolchain import ToolchainError
from repro.ops import built
from tests.build.builders import FIXTURES, needs_compiler, order

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(needs_compiler()), reason=needs_compiler())
DOUBLE, PROOF = FIXTURES / "double", FIXTURES / "prove_double.py"
ARCHS = "8.6,9.0" if torch.version.cuda else ""
TARGETS = ["sm_86", "sm_90", "compute_90"] if ARCHS else []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Return a build of fixtures/double in a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BEVREADY_CACHE", str(tmp_path_factory.mktemp("cache")))
        return build(LiveHost(), order(DOUBLE, PROOF, arch=ARCHS))


def test_it_holds_the_device_code_that_was_asked_for(made: Built) -> None:
    told = describe(made.library)
    assert [image["target"] for image in told["images"]] == TARGETS
    assert all(image["kernels"] == ["double_bf16"] for image in told["images"])
    assert list(inspect(str(made.library))["archs"]) == TARGETS


def test_it_tells_what_it_was_made_of(made: Built) -> None:
    inside = describe(made.library)["manifest"]
    beside = json.loads((made.library.parent / "manifest.json").read_text(encoding="utf-8"))
    assert inside.items() <= beside.items()
    assert inside["torch"]["version"] == torch.__version__
    assert inside["archs"] == TARGETS


def test_it_needs_torch_and_no_library_of_cuda_or_python(made: Built) -> None:
    needed = describe(made.library)["needed"]
    assert {"libtorch_cpu.so", "libc10.so"} <= set(needed)
    assert not [name for name in needed if "cuda" in name or "nvrtc" in name or "python" in name]


def test_it_was_proven_in_a_child_process(made: Built) -> None:
    assert made.manifest["proof"]["lines"] == ["double agrees"]


def test_code_for_another_architecture_than_asked_is_seen(made: Built, tmp_path: Path) -> None:
    if not ARCHS:
        pytest.skip("the installed torch is a CPU-only build")
    plan, _ = plan_for(LiveHost(), sys.executable, "7.5,9.0", DOUBLE)
    found = shortcomings(made.library, plan)
    assert "no sm_75 code of double.cu is in the file" in found
    assert "its manifest is missing or of another build" in found
    exact, _ = plan_for(LiveHost(), sys.executable, ARCHS, DOUBLE)
    assert shortcomings(made.library, exact) == ()
    renamed = tmp_path / "renamed.so"
    cubin = made.library.read_bytes()
    row = cubin.index(b"BEVIMG01") + 16 + 4  # the architecture of the first image
    renamed.write_bytes(cubin[:row] + (80).to_bytes(4, "little") + cubin[row + 4 :])
    assert "double.cu for sm_80 is code for machine 190, sm_86" in shortcomings(renamed, exact)


def test_info_prints_what_is_inside(made: Built, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--info", str(made.library)]) == 0
    words = capsys.readouterr().out
    assert f"for torch {torch.__version__}, key {made.manifest['key']}" in words
    assert f"GPU code: {', '.join(TARGETS) or 'none'}" in words
    assert main(["--info", str(made.library), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["manifest"]["key"] == made.manifest["key"]


def test_info_without_a_file_tells_of_the_build_in_use(
    made: Built, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BEVREADY_CACHE", str(made.library.parents[2]))
    assert main(["--info", "--sources", str(DOUBLE), "--python", sys.executable]) == 0
    assert str(made.library) in capsys.readouterr().out
    assert built.current(DOUBLE) == made.library


def test_info_without_any_build_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BEVREADY_CACHE", str(tmp_path))
    assert main(["--info", "--sources", str(DOUBLE), "--python", sys.executable]) == 2
    assert f"no build for torch {torch.__version__} in {tmp_path}/ext" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no library", b"\x7fELF" + bytes(20)])
def test_info_of_something_else_is_an_error_with_the_way_out(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "some.so").write_bytes(content)
    assert main(["--info", str(tmp_path / "some.so")]) == 2
    assert "--info FILE.so" in capsys.readouterr().err
    assert main(["--info", str(tmp_path / "none.so"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2


def test_wrong_architectures_are_refused_before_anything_is_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--arch", "ampere", "--sources", str(DOUBLE), "--python", sys.executable]) == 2
    assert "build-ext: " in capsys.readouterr().err


def test_the_key_names_sources_architectures_and_torch() -> None:
    if not ARCHS:
        pytest.skip("the installed torch is a CPU-only build")
    plans = [plan_for(LiveHost(), sys.executable, arch, DOUBLE)[0] for arch in ("8.6", "8.6", "9.0")]
    assert plans[0].key == plans[1].key != plans[2].key
    assert plans[0].targets == ("sm_86", "compute_86")


def test_all_architectures_are_those_of_the_stack() -> None:
    if torch.version.cuda != "13.0":
        pytest.skip("the installed torch is not of the cu130 stack")
    plan, why = plan_for(LiveHost(), sys.executable, "all", DOUBLE)
    assert {"sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"} <= set(plan.targets)
    assert why.startswith("asked for: sm_75")


def test_an_interpreter_that_does_not_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="--python PATH"):
        plan_for(LiveHost(), str(tmp_path / "python"), "", DOUBLE)


def test_the_builder_never_imports_torch() -> None:
    program = "import sys, doctor.build.menu; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
