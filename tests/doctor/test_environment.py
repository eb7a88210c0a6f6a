"""How packages lie: the parsers on any text, and the child in environments made here, some of them broken."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.facts import Copy, Environment, Extensions, Unknown
from doctor.probes.environment import (
    cuda_libraries_in_the_way,
    libstdcxx,
    parse_environment,
    parse_libstdcxx,
    parse_requirement,
    prefixes_of,
)
from doctor.probes.extension import parse_extensions, parse_summary, parse_tag, probe_extensions
from doctor.probes.python import CHILDREN, probe_python
from doctor.record import Recorder, Subject
from doctor.replay import Replay, load
from doctor.shell import LiveHost

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
REAL = json.loads((FIXTURES / "machines" / "checkout_in_the_way" / "machine.json").read_text(encoding="utf-8"))
ANSWER = next("\n".join(row["out"]) for name, row in REAL["commands"].items() if name.endswith("--packages"))


class TestParsers:
    @pytest.mark.parametrize(
        ("line", "machine", "found"),
        [
            ('nvidia-cudnn-cu12==9.1.0.70; platform_system == "Linux"', "x86_64", ("nvidia-cudnn-cu12", "9.1.0.70")),
            ("nvidia_nccl_cu12 (==2.18.1) ; platform_system", "aarch64", ("nvidia-nccl-cu12", "2.18.1")),
            ('triton==3.1.0; platform_machine == "x86_64"', "x86_64", ("triton", "3.1.0")),
            ('triton==3.1.0; platform_machine == "x86_64"', "aarch64", None),
            ('triton==3.1.0; extra == "all"', "x86_64", None),
            ("triton>=3", "x86_64", None),
            ("", "x86_64", None),
        ],
    )
    def test_a_requirement_of_torch(self, line: str, machine: str, found: tuple[str, str] | None) -> None:
        assert parse_requirement(line, machine) == found

    @pytest.mark.parametrize(
        ("name", "version"),
        [("libstdc++.so.6.0.30", (3, 4, 30)), ("libstdc++.so.6", None), ("libc++.so.1.0", None)],
    )
    def test_the_cxx_library_s_name_tells_its_version(self, name: str, version: tuple[int, ...] | None) -> None:
        assert parse_libstdcxx(name) == version

    @pytest.mark.parametrize(
        ("path", "version"),
        [
            ("/x/_ext.cpython-38-x86_64-linux-gnu.so", (3, 8)),
            ("/x/_ext.cpython-311-aarch64-linux-gnu.so", (3, 11)),
            ("/x/_ext.cpython-37m-x86_64-linux-gnu.so", (3, 7)),
            ("/x/_C.so", None),
            ("/x/_C.abi3.so", None),
            ("/cpython-38-x/_C.so", None),
        ],
    )
    def test_the_file_name_tells_the_python(self, path: str, version: tuple[int, ...] | None) -> None:
        assert parse_tag(path) == version

    def test_an_answer_of_the_child(self) -> None:
        environment = parse_environment(ANSWER, "x86_64")
        assert environment is not None
        assert (environment.here, environment.shadows) == ("/home/user/FastBEV", ("mmdet3d", "tools", "projects"))
        assert environment.glibc == (2, 35)
        assert environment.torch is not None
        assert environment.torch.installer == "pip"
        assert parse_extensions(ANSWER) == (
            (
                "mmcv",
                "/home/user/miniconda3/envs/bev/lib/python3.8/site-packages/mmcv/_ext.cpython-38-x86_64-linux-gnu.so",
                "installed",
            ),
        )

    def test_an_answer_of_an_older_child(self) -> None:
        old = '{"version": "3.11.2", "packages": {}}'
        assert parse_environment(old, "x86_64") is None
        assert parse_extensions(old) is None
        assert prefixes_of(old) == ()

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        assert parse_environment(text, "x86_64") is None
        assert parse_extensions(text) is None
        assert prefixes_of(text) == ()
        parse_requirement(text, "x86_64")
        parse_libstdcxx(text)
        parse_tag(text)

    @given(st.data())
    def test_a_damaged_answer(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(ANSWER) - 1))
        changed = ANSWER[:at] + data.draw(st.sampled_from(['"', "{", "[", "null", "7", "", "\\"])) + ANSWER[at + 1 :]
        parse_environment(changed, "x86_64")
        parse_extensions(changed)
        prefixes_of(changed)

    @given(
        st.dictionaries(
            st.sampled_from(["prefix", "copies", "torch", "conda", "extensions", "editable", "folders", "modules"]),
            st.recursive(
                st.none() | st.integers() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["folder", "files"]), inner)
                ),
                max_leaves=8,
            ),
        )
    )
    def test_an_answer_of_other_types(self, row: dict[str, object]) -> None:
        text = json.dumps({"environment": {"prefix": "/env", **row}})
        assert isinstance(parse_environment(text, "x86_64"), Environment)
        parse_extensions(text)

    @given(
        st.dictionaries(
            st.sampled_from(["versions", "needed", "archs", "missing", "lacking", "problem", "compared_with"]),
            st.none() | st.integers() | st.text(max_size=4) | st.lists(st.text(max_size=4) | st.none(), max_size=3),
        )
    )
    def test_any_summary_of_a_shared_object(self, row: dict[str, object]) -> None:
        assert parse_summary(row, package="mmcv", path="/x/_ext.so", place="installed").package == "mmcv"


class TestFolders:
    def test_cuda_libraries_on_the_library_path(self) -> None:
        host = Replay(
            {
                "variables": {"LD_LIBRARY_PATH": "/a:/b/::"},
                "folders": {
                    "/a": ["libcudart.so.11.0", "libpng.so.16", "libcudart.so"],
                    "/b/": ["libcudart.so.12", "libcudnn.so.8.9.7"],
                },
            }
        )
        assert cuda_libraries_in_the_way(host) == ("/a/libcudart.so.11.0", "/b/libcudnn.so.8.9.7")
        assert cuda_libraries_in_the_way(Replay({})) == ()

    def test_the_environment_s_cxx_library_comes_before_the_system_s(self) -> None:
        system = {"/usr/lib/x86_64-linux-gnu/libstdc++.so.6": "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30"}
        conda = {"/conda/lib/libstdc++.so.6": "/conda/lib/libstdc++.so.6.0.29"}
        assert libstdcxx(Replay({"links": system}), ("/env",)) == (3, 4, 30)
        assert libstdcxx(Replay({"links": {**system, **conda}}), ("/env", "/conda")) == (3, 4, 29)
        assert libstdcxx(Replay({}), ()) is None


def environment_made(folder: Path) -> Path:
    """Make an interpreter without packages; return the folder for them."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return next((folder / "lib").glob("python3.*/site-packages"))


def looked_at(folder: Path, *asked: str) -> tuple[Environment, Extensions]:
    _, _, environment, extensions = probe_python(LiveHost(), str(folder / "bin" / "python"), deep=False, asked=asked)
    assert not isinstance(environment, Unknown)
    assert not isinstance(extensions, Unknown)
    return environment, extensions


class TestTheChild:
    def test_two_metadata_folders_leftovers_and_eggs(self, tmp_path: Path) -> None:
        site = environment_made(tmp_path)
        names = ("torch-2.9.1.dist-info", "torch-2.1.2.dist-info", "~orch-2.0.0.dist-info")
        for name in (*names, "Other_Op-1.0-py3.11-linux-x86_64.egg", "numpy-1.26.4.dist-info"):
            (site / name).mkdir()
        environment, _ = looked_at(tmp_path)
        assert sorted(environment.copies, key=str) == sorted(
            [
                Copy("other-op", "1.0", str(site), "Other_Op-1.0-py3.11-linux-x86_64.egg"),
                Copy("torch", "2.1.2", str(site), "torch-2.1.2.dist-info"),
                Copy("torch", "2.9.1", str(site), "torch-2.9.1.dist-info"),
                Copy("~orch", "2.0.0", str(site), "~orch-2.0.0.dist-info"),
            ],
            key=str,
        )

    def test_metadata_without_a_package(self, tmp_path: Path) -> None:
        site = environment_made(tmp_path)
        (site / "torch-2.9.1.dist-info").mkdir()
        packages, torch, environment, _ = probe_python(LiveHost(), str(tmp_path / "bin" / "python"), deep=False)
        assert torch == Unknown("of torch 2.9.1 only the metadata is there")
        assert not isinstance(packages, Unknown)
        assert not isinstance(environment, Unknown)
        assert environment.torch is not None
        assert environment.torch.folder == ""

    def test_torch_s_files_and_wishes(self, tmp_path: Path) -> None:
        site = environment_made(tmp_path)
        (site / "torch" / "lib").mkdir(parents=True)
        (site / "torch" / "__init__.py").touch()
        (site / "torch" / "lib" / "libc10.so").touch()
        meta = site / "torch-2.9.1.dist-info"
        meta.mkdir()
        (meta / "METADATA").write_text("Name: torch\nRequires-Dist: triton==3.5.1; platform_system == 'Linux'\n")
        (meta / "INSTALLER").write_text("uv\n")
        environment, _ = looked_at(tmp_path)
        assert environment.torch is not None
        assert environment.torch.files == ("__init__.py",)
        assert environment.torch.libraries == ("libc10.so",)
        assert (environment.torch.requires, environment.torch.installer) == ((("triton", "3.5.1"),), "uv")

    def test_links_into_a_checkout(self, tmp_path: Path) -> None:
        site = environment_made(tmp_path)
        meta = site / "mmdet3d-1.4.0.dist-info"
        meta.mkdir()
        (meta / "direct_url.json").write_text(json.dumps({"dir_info": {"editable": True}, "url": f"file://{tmp_path}"}))
        (site / "Old_Op.egg-link").write_text("/no/such/folder\n.\n")
        environment, _ = looked_at(tmp_path)
        assert environment.editable == (("mmdet3d", str(tmp_path)), ("old-op", "/no/such/folder"))
        assert environment.dead_links == (("old-op", "/no/such/folder"),)

    def test_a_checkout_s_folders_and_its_build(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        environment_made(tmp_path / "env")
        here = tmp_path / "BEVFormer"
        built = here / "models" / "ops" / "build" / "lib.linux-x86_64-3.8"
        for folder in ("tools", "projects", "mmdet3d"):
            (here / folder).mkdir(parents=True)
        built.mkdir(parents=True)
        shutil.copy(FIXTURES / "extensions" / "extension.so", built / "MultiScaleDeformableAttention.so")
        monkeypatch.chdir(here)
        monkeypatch.setenv("PYTHONPATH", f"{here}:/opt/ros")
        environment, extensions = looked_at(tmp_path / "env")
        assert environment.shadows == ("mmdet3d", "tools", "projects")
        assert environment.pythonpath == (str(here), "/opt/ros")
        assert [(found.package, found.place) for found in extensions.found] == [
            ("MultiScaleDeformableAttention", "checkout")
        ]

    def test_a_checkout_may_be_named_instead(self, tmp_path: Path) -> None:
        environment_made(tmp_path / "env")
        (tmp_path / "MapTR" / "mmdet3d").mkdir(parents=True)
        python, here = str(tmp_path / "env" / "bin" / "python"), str(tmp_path / "MapTR")
        environment = probe_python(LiveHost(), python, deep=False, checkout=here)[2]
        assert not isinstance(environment, Unknown)
        assert (environment.here, environment.shadows) == (here, ("mmdet3d",))

    def test_installed_extensions_wherever_they_lie(self, tmp_path: Path) -> None:
        site = environment_made(tmp_path)
        for place in ("mmcv", "mmdet3d/ops/iou3d", "Op-1.0-py3.11-linux-x86_64.egg", "detectron2"):
            (site / place).mkdir(parents=True)
        files = {
            "mmcv/_ext.cpython-38-x86_64-linux-gnu.so": "mmcv",
            "mmdet3d/ops/iou3d/iou3d_cuda.so": "mmdet3d",
            "Op-1.0-py3.11-linux-x86_64.egg/MultiScaleDeformableAttention.so": "MultiScaleDeformableAttention",
            "detectron2/_C.so": "detectron2",
        }
        for name in files:
            shutil.copy(FIXTURES / "extensions" / "extension.so", site / name)
        _, extensions = looked_at(tmp_path)
        assert {found.path: found.package for found in extensions.found} == {
            str(site / name): package for name, package in files.items()
        }
        assert [found.python for found in extensions.of("mmcv")] == [(3, 8)]
        assert {found.archs for found in extensions.found} == {("sm_80", "sm_90", "sm_90a", "sm_100f", "compute_90")}

    def test_a_torch_that_no_table_knows_is_judged_by_its_own_library(self, tmp_path: Path) -> None:
        site = environment_made(tmp_path)
        (site / "torch" / "lib").mkdir(parents=True)
        (site / "torch" / "__init__.py").touch()
        (site / "torch-2.6.0a0+nv25.1.dist-info").mkdir()
        shutil.copy(FIXTURES / "extensions" / "extension.so", site / "torch" / "lib" / "libtorch_cuda.so")
        archs = {}
        for version, cuda in (("2.6.0a0+nv25.1", "12.8"), ("2.6.0+cu126", "12.6"), ("2.6.0+cpu", None)):
            text = f"__version__ = '{version}'\ncuda = {cuda!r}\n"
            (site / "torch" / "version.py").write_text(text, encoding="utf-8")
            torch = probe_python(LiveHost(), str(tmp_path / "bin" / "python"), deep=False)[1]
            assert not isinstance(torch, Unknown)
            archs[version] = torch.archs
        assert archs.pop("2.6.0a0+nv25.1") == ("sm_80", "sm_90", "sm_90a", "sm_100f", "compute_90")
        assert [isinstance(unread, Unknown) for unread in archs.values()] == [True, True]

    def test_a_file_named_by_hand(self, tmp_path: Path) -> None:
        environment_made(tmp_path)
        _, extensions = looked_at(tmp_path, str(FIXTURES / "extensions" / "extension.so"))
        assert [(found.package, found.place) for found in extensions.found] == [("extension", "asked")]


@pytest.mark.parametrize("script", ["python_facts.py", "torch_facts.py"])
def test_the_scripts_for_other_interpreters_are_written_in_python_3_6(script: str) -> None:
    ast.parse((CHILDREN / script).read_text(encoding="utf-8"), feature_version=(3, 6))


def test_what_was_in_a_shared_object_survives_a_recording(tmp_path: Path) -> None:
    path = str(FIXTURES / "extensions" / "extension.so")
    recorder = Recorder(LiveHost())
    seen = probe_extensions(recorder, "{}", Unknown("not asked"), (path,))
    recorder.save(tmp_path, Subject(sys.executable, "/", extensions=(path,)))
    replay = load(tmp_path)
    named = replay.subject().extensions
    assert len(named) == 1
    again = probe_extensions(replay, "{}", Unknown("not asked"), named)
    assert not isinstance(seen, Unknown)
    assert not isinstance(again, Unknown)
    assert [found.archs for found in again.found] == [found.archs for found in seen.found]


def test_an_older_recording_has_no_extensions_and_that_is_no_fault() -> None:
    assert probe_extensions(Replay({}), "{}", Unknown("old")) == Unknown("this recording is older than the question")
    assert Replay({}).inspect("/x.so", ()) == {"problem": "it was not recorded"}
