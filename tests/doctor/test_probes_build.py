"""The probes of CUDA toolkits on small recorded worlds."""

from __future__ import annotations

import pytest

from doctor.facts import (
    CudaHome,
    Toolkit,
    ToolkitFolder,
    Toolkits,
    Unknown,
)
from doctor.probes.toolkits import probe_cuda_home, probe_toolkit, probe_toolkits
from tests.doctor.worlds import there, whole, world

PYTHON = "/usr/bin/python3"
CUDA = "/usr/local/cuda-12.8"
NVCC_128 = {"code": 0, "out": ["Cuda compilation tools, release 12.8, V12.8.93"]}


class TestToolkit:
    def test_a_file_tells_the_version_and_nvcc_is_not_started(self) -> None:
        host = world(
            programs={"nvcc": f"{CUDA}/bin/nvcc"},
            access=whole(CUDA),
            folders={CUDA: ["bin", "include"]},
            files={f"{CUDA}/version.json": '{"cuda_nvcc": {"version": "12.8.93"}}'},
        )
        assert probe_toolkit(host) == Toolkit((12, 8, 93), f"{CUDA}/bin/nvcc")

    def test_an_old_one_has_a_text_file(self) -> None:
        host = world(
            variables={"CUDA_PATH": "/opt/cuda"},
            access=there("/opt/cuda/bin/nvcc"),
            files={"/opt/cuda/version.txt": "CUDA Version 10.2.89"},
        )
        assert probe_toolkit(host) == Toolkit((10, 2, 89), "/opt/cuda/bin/nvcc", "CUDA_HOME")

    def test_nvcc_is_asked_where_no_file_tells(self) -> None:
        host = world(
            access=there("/usr/local/cuda/bin/nvcc"), commands={"/usr/local/cuda/bin/nvcc --version": NVCC_128}
        )
        assert probe_toolkit(host) == Toolkit((12, 8, 93), "/usr/local/cuda/bin/nvcc", "/usr/local/cuda")

    def test_the_distributions_own_is_asked_too(self) -> None:
        host = world(
            programs={"nvcc": "/usr/bin/nvcc"},
            access=there("/usr/bin/nvcc"),
            files={"/usr/version.json": '{"cuda_nvcc": {"version": "13.5.1"}}'},
            commands={"/usr/bin/nvcc --version": NVCC_128},
        )
        assert probe_toolkit(host) == Toolkit((12, 8, 93), "/usr/bin/nvcc")

    def test_one_that_does_not_answer_could_not_be_looked_at(self) -> None:
        host = world(access=there("/usr/local/cuda/bin/nvcc"))
        why = "/usr/local/cuda/bin/nvcc cannot be started: it was not there"
        assert probe_toolkit(host) == Unknown(f"/usr/local/cuda/bin/nvcc --version: {why}", looked=False)

    def test_one_that_says_something_else(self) -> None:
        nvcc = "/usr/local/cuda/bin/nvcc"
        host = world(access=there(nvcc), commands={f"{nvcc} --version": {"code": 0, "out": ["hello"]}})
        assert probe_toolkit(host) == Unknown(f"{nvcc} --version: names no version", looked=False)

    @pytest.mark.parametrize(
        ("variables", "why"),
        [
            ({}, "no nvcc in CUDA_HOME, on PATH or in /usr/local/cuda"),
            ({"CUDA_HOME": "/gone"}, "/gone/bin/nvcc does not exist"),
        ],
    )
    def test_none(self, variables: dict[str, str], why: str) -> None:
        assert probe_toolkit(world(variables=variables)) == Unknown(why)

    def test_what_it_lacks(self) -> None:
        host = world(
            programs={"nvcc": f"{CUDA}/bin/nvcc"},
            access={
                **there(f"{CUDA}/bin/nvcc", f"{CUDA}/targets/x86_64-linux/include/cuda_runtime.h"),
                **there(f"{CUDA}/include/cccl/thrust/version.h", f"{CUDA}/targets/x86_64-linux/lib/libcudart.so"),
                **there(f"{CUDA}/targets/x86_64-linux/include/cccl/cub/version.cuh"),
            },
            folders={CUDA: ["bin"]},
            files={f"{CUDA}/version.json": '{"cuda_nvcc": {"version": "12.8.93"}}'},
        )
        found = probe_toolkit(host)
        assert isinstance(found, Toolkit)
        assert found.lacks == ("cublas_v2.h", "cusparse.h", "cusolverDn.h")

    def test_other_numbered_folders_are_named(self) -> None:
        other, broken = "/usr/local/cuda-11.8", "/usr/local/cuda-12.1"
        host = world(
            programs={"nvcc": "/usr/local/cuda/bin/nvcc"},
            access=there("/usr/local/cuda/bin/nvcc", f"{CUDA}/bin/nvcc", f"{other}/bin/nvcc"),
            links={"/usr/local/cuda": CUDA, CUDA: CUDA, other: other, broken: broken},
            folders={"/usr/local": ["bin", "cuda", "cuda-11.8", "cuda-12.1", "cuda-12.8", "cuda-samples"]},
            commands={"/usr/local/cuda/bin/nvcc --version": NVCC_128},
        )
        found = probe_toolkit(host)
        assert isinstance(found, Toolkit)
        assert found.others == (other,)

    def test_cuda_home(self) -> None:
        assert probe_cuda_home(world()) == Unknown("CUDA_HOME is not set")
        host = world(variables={"CUDA_PATH": "/opt/cuda"}, access=there("/opt/cuda/bin/nvcc"))
        assert probe_cuda_home(host) == CudaHome("/opt/cuda", has_nvcc=True)
        assert probe_cuda_home(world(variables={"CUDA_HOME": "/gone"})) == CudaHome("/gone", has_nvcc=False)


class TestToolkits:
    def test_every_kind_is_found(self) -> None:
        conda, venv = "/home/user/conda", "/home/user/venv"
        site = f"{venv}/lib/python3.11/site-packages"
        host = world(
            variables={"CONDA_PREFIX": conda},
            programs={"nvcc": f"{conda}/bin/nvcc"},
            access=there(
                *(f"{root}/bin/nvcc" for root in (conda, CUDA, "/usr/local/cuda", "/opt/cuda", "/usr")),
                f"{site}/nvidia/cu13/bin/nvcc",
            ),
            links={"/usr/local/cuda": CUDA, CUDA: CUDA},
            folders={
                "/usr/local": ["cuda", "cuda-12.8"],
                f"{conda}/conda-meta": ["cuda-nvcc-11.8.89-0.json"],
                f"{site}/nvidia": ["cu13", "cudnn"],
                site: ["nvidia", "nvidia_cuda_nvcc-13.0.88.dist-info"],
            },
        )
        assert probe_toolkits(host, f"{venv}/bin/python") == Toolkits(
            found=(
                ToolkitFolder(root=conda, kind="conda", version=(11, 8, 89)),
                ToolkitFolder(root=CUDA, kind="folder", version=(12, 8)),
                ToolkitFolder(root="/opt/cuda", kind="folder"),
                ToolkitFolder(root="/usr", kind="distribution"),
                ToolkitFolder(root=f"{site}/nvidia/cu13", kind="wheels", version=(13, 0, 88)),
            ),
            taken=conda,
            on_path=conda,
        )

    def test_a_file_tells_more_than_a_name(self) -> None:
        file = {f"{CUDA}/version.json": '{"cuda_nvcc": {"version": "12.8.93"}}'}
        host = world(access=there(f"{CUDA}/bin/nvcc"), folders={"/usr/local": ["cuda-12.8"]}, files=file)
        only = ToolkitFolder(root=CUDA, kind="folder", version=(12, 8, 93))
        assert probe_toolkits(host, PYTHON) == Toolkits(found=(only,))

    def test_a_variable_that_is_not_set_is_not_the_root_folder(self) -> None:
        assert probe_toolkits(world(access=there("/bin/nvcc")), PYTHON) == Unknown("no CUDA toolkit on this machine")

    def test_none(self) -> None:
        assert probe_toolkits(world(), PYTHON) == Unknown("no CUDA toolkit on this machine")

    def test_one_that_nothing_leads_to(self) -> None:
        host = world(access=there(f"{CUDA}/bin/nvcc"), folders={"/usr/local": ["cuda-12.8"]})
        only = ToolkitFolder(root=CUDA, kind="folder", version=(12, 8))
        assert probe_toolkits(host, PYTHON) == Toolkits(found=(only,))

    def test_they_read_as_text(self) -> None:
        found = (
            ToolkitFolder(root=CUDA, kind="folder", version=(12, 8)),
            ToolkitFolder(root="/usr", kind="distribution"),
        )
        assert str(Toolkits(found=found)) == f"CUDA 12.8 at {CUDA}, CUDA of an unknown version at /usr"
