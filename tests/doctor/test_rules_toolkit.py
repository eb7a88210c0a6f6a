"""CUD: both sides of each rule, and how the goal moves severity (disputes F5 and F6 of other doctors)."""

from __future__ import annotations

import pytest

from doctor.facts import CudaHome, Gpu, Gpus, Toolkit, ToolkitFolder, Toolkits, Torch, Unknown
from doctor.finding import Goal
from doctor.rules import toolkit

RUN, BUILD = Goal("run"), Goal("build-ext")
CU128 = Torch(version="2.9.1+cu128", cuda=(12, 8))
RTX_5090 = Gpus((Gpu("NVIDIA GeForce RTX 5090", (12, 0)),))


def nvcc(*version: int) -> Toolkit:
    return Toolkit(version, "/usr/local/cuda/bin/nvcc")


class TestToolkit:
    def test_cuda_home_that_leads_nowhere(self) -> None:
        found = toolkit.cuda_home_is_real(home=CudaHome("/usr/local/cuda-9.2", has_nvcc=False), goal=BUILD)
        assert found is not None
        assert found.severity == "warning"

    def test_cuda_home_that_is_right(self) -> None:
        assert toolkit.cuda_home_is_real(home=CudaHome("/usr/local/cuda", has_nvcc=True), goal=BUILD) is None

    def test_f5_a_minor_difference_is_harmless(self) -> None:
        assert toolkit.nvcc_matches_torch(toolkit=nvcc(12, 6, 85), torch=CU128, goal=BUILD) is None

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_f6_a_major_difference_counts_when_building(self, goal: Goal, severity: str) -> None:
        found = toolkit.nvcc_matches_torch(toolkit=nvcc(13, 0, 88), torch=CU128, goal=goal)
        assert found is not None
        assert found.severity == severity
        assert found.fix[0] == "install the CUDA 12.8 toolkit"

    def test_a_fitting_toolkit_next_door_is_named(self) -> None:
        both = Toolkit(
            (13, 0, 88), "/usr/local/cuda/bin/nvcc", "PATH", ("/usr/local/cuda-11.8", "/usr/local/cuda-12.8")
        )
        found = toolkit.nvcc_matches_torch(toolkit=both, torch=CU128, goal=BUILD)
        assert found is not None
        assert found.fix[0].startswith("export CUDA_HOME=/usr/local/cuda-12.8 ")

    def test_a_cpu_torch_has_nothing_to_match(self) -> None:
        assert (
            toolkit.nvcc_matches_torch(
                toolkit=nvcc(13, 0, 88), torch=Torch(version="2.13.0+cpu", cuda=None), goal=BUILD
            )
            is None
        )

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_the_ubuntu_package_does_not_know_blackwell(self, goal: Goal, severity: str) -> None:
        found = toolkit.nvcc_knows_gpus(toolkit=nvcc(11, 5, 119), gpus=RTX_5090, goal=goal)
        assert found is not None
        assert found.severity == severity
        assert found.expected.startswith("CUDA 12.8")

    def test_cuda_13_dropped_volta(self) -> None:
        volta = Gpus((Gpu("Tesla V100-SXM2-16GB", (7, 0)),))
        assert toolkit.nvcc_knows_gpus(toolkit=nvcc(13, 0, 88), gpus=volta, goal=BUILD) is not None

    def test_a_gpu_of_the_future(self) -> None:
        future = Gpus((Gpu("NVIDIA Next", (14, 0)),))
        found = toolkit.nvcc_knows_gpus(toolkit=nvcc(13, 0, 88), gpus=future, goal=BUILD)
        assert found is not None
        assert found.expected == "a newer toolkit"

    def test_a_toolkit_that_knows_it(self) -> None:
        assert toolkit.nvcc_knows_gpus(toolkit=nvcc(12, 8, 93), gpus=RTX_5090, goal=BUILD) is None
        assert toolkit.nvcc_knows_gpus(toolkit=nvcc(14, 0, 1), gpus=RTX_5090, goal=BUILD) is None

    def test_newer_than_the_table_is_its_own_answer(self) -> None:
        found = toolkit.nvcc_is_known(toolkit=nvcc(13, 6, 1))
        assert found is not None
        assert found.severity == "note"
        assert toolkit.nvcc_is_known(toolkit=nvcc(13, 5, 37)) is None

    def test_the_boundary_of_the_table(self) -> None:
        assert toolkit.nvcc_is_known(toolkit=nvcc(13, 5)) is None


LOCAL = ToolkitFolder(root="/usr/local/cuda-12.8", kind="folder", version=(12, 8, 93))
OLDER = ToolkitFolder(root="/usr/local/cuda-11.8", kind="folder", version=(11, 8, 89))
NEWER = ToolkitFolder(root="/usr/local/cuda-13.0", kind="folder", version=(13, 0, 88))
UBUNTUS = ToolkitFolder(root="/usr", kind="distribution")
CONDAS = ToolkitFolder(root="/home/user/conda/envs/bev", kind="conda", version=(11, 8, 89))
WHEELS = ToolkitFolder(root="/venv/lib/python3.11/site-packages/nvidia/cu13", kind="wheels", version=(13, 0, 88))
NO_TORCH = Unknown("torch is not installed")
CPU_TORCH = Torch(version="2.11.0+cpu", cuda=None)
NO_TOOLKITS = Unknown("no CUDA toolkit on this machine")
NO_NVCC = Unknown("no nvcc in CUDA_HOME, on PATH or in /usr/local/cuda")
HOME_UNSET = Unknown("CUDA_HOME is not set")


def lacking(*names: str, root: str = "/usr/local/cuda-12.8", version: tuple[int, ...] = (12, 8, 93)) -> Toolkit:
    return Toolkit(version, f"{root}/bin/nvcc", "PATH", (), names)


class TestWhole:
    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_a_header_is_missing(self, goal: Goal, severity: str) -> None:
        here = Toolkits(found=(LOCAL,), taken=LOCAL.root)
        found = toolkit.toolkit_is_whole(toolkit=lacking("cusparse.h", "cublas_v2.h"), toolkits=here, goal=goal)
        assert found is not None
        assert found.saw.endswith("lacks cusparse.h, cublas_v2.h")
        assert (found.fix[0], found.severity) == ("sudo apt install cuda-toolkit-12-8", severity)

    def test_another_toolkit_is_the_first_remedy(self) -> None:
        wrapper = ToolkitFolder(root="/usr/local", kind="folder")
        here = Toolkits(found=(wrapper, OLDER, LOCAL), taken="/usr/local")
        found = toolkit.toolkit_is_whole(toolkit=lacking("cuda_runtime.h"), toolkits=here, goal=BUILD)
        assert found is not None
        assert found.fix[0] == "export CUDA_HOME=/usr/local/cuda-12.8 PATH=/usr/local/cuda-12.8/bin:$PATH"

    @pytest.mark.parametrize(
        ("folder", "command"), [(CONDAS, "conda install -c nvidia cuda-toolkit=12.8"), (WHEELS, "pip install ")]
    )
    def test_each_kind_has_its_own_installer(self, folder: ToolkitFolder, command: str) -> None:
        here = Toolkits(found=(folder,), taken=folder.root)
        found = toolkit.toolkit_is_whole(toolkit=lacking("cusparse.h"), toolkits=here, goal=BUILD)
        assert found is not None
        assert found.fix[0].startswith(command)

    def test_nothing_is_missing(self) -> None:
        assert toolkit.toolkit_is_whole(toolkit=lacking(), toolkits=NO_TOOLKITS, goal=BUILD) is None

    def test_the_link_that_wheels_lack_has_a_rule_of_its_own(self) -> None:
        here = Toolkits(found=(WHEELS,), taken=WHEELS.root)
        assert toolkit.toolkit_is_whole(toolkit=lacking("libcudart.so"), toolkits=here, goal=BUILD) is None
        whole = Toolkits(found=(LOCAL,), taken=LOCAL.root)
        assert toolkit.toolkit_is_whole(toolkit=lacking("libcudart.so"), toolkits=whole, goal=BUILD) is not None

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_wheels_need_a_link(self, goal: Goal, severity: str) -> None:
        here = Toolkits(found=(WHEELS,), taken=WHEELS.root)
        assembled = lacking("libcudart.so", root=WHEELS.root, version=(13, 0, 88))
        found = toolkit.wheels_link(toolkit=assembled, toolkits=here, goal=goal)
        assert found is not None
        assert found.severity == severity
        assert found.fix[0] == f"ln -s libcudart.so.13 {WHEELS.root}/lib/libcudart.so"

    def test_wheels_silent(self) -> None:
        here = Toolkits(found=(WHEELS,), taken=WHEELS.root)
        assert toolkit.wheels_link(toolkit=lacking("cusparse.h"), toolkits=here, goal=BUILD) is None
        other = Toolkits(found=(LOCAL, WHEELS), taken=LOCAL.root)
        assert toolkit.wheels_link(toolkit=lacking("libcudart.so"), toolkits=other, goal=BUILD) is None
        nowhere = Toolkits(found=(LOCAL,), taken="/gone")
        assert toolkit.wheels_link(toolkit=lacking("libcudart.so"), toolkits=nowhere, goal=BUILD) is None


class TestWays:
    HOME = CudaHome("/usr/local/cuda-12.8", has_nvcc=True)

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_cuda_home_and_path_disagree(self, goal: Goal, severity: str) -> None:
        here = Toolkits(found=(LOCAL, OLDER), taken=LOCAL.root, on_path=OLDER.root)
        found = toolkit.home_agrees_with_path(home=self.HOME, toolkit=nvcc(12, 8, 93), toolkits=here, goal=goal)
        assert found is not None
        assert found.saw == (
            "CUDA_HOME=/usr/local/cuda-12.8 is CUDA 12.8, but nvcc on PATH is CUDA 11.8 at /usr/local/cuda-11.8"
        )
        assert (found.fix, found.severity) == (("export PATH=/usr/local/cuda-12.8/bin:$PATH",), severity)

    def test_one_of_an_unknown_version_disagrees(self) -> None:
        here = Toolkits(found=(LOCAL, UBUNTUS), taken=LOCAL.root, on_path="/usr")
        assert (
            toolkit.home_agrees_with_path(home=self.HOME, toolkit=nvcc(12, 8, 93), toolkits=here, goal=RUN) is not None
        )

    @pytest.mark.parametrize(
        ("home", "toolkits"),
        [
            (HOME, Toolkits(found=(LOCAL,), taken=LOCAL.root, on_path=LOCAL.root)),
            (HOME, Toolkits(found=(LOCAL,), taken=LOCAL.root)),
            (
                HOME,
                Toolkits(
                    found=(LOCAL, ToolkitFolder(root="/opt/cuda", kind="folder", version=(12, 8, 61))),
                    taken=LOCAL.root,
                    on_path="/opt/cuda",
                ),
            ),
            (CudaHome("/usr", has_nvcc=True), Toolkits(found=(UBUNTUS,), taken="/usr", on_path="/usr")),
            (CudaHome("/gone", has_nvcc=False), Toolkits(found=(OLDER,), on_path=OLDER.root)),
        ],
        ids=["same", "none on PATH", "same release", "same of no version", "CUDA_HOME leads nowhere"],
    )
    def test_they_agree(self, home: CudaHome, toolkits: Toolkits) -> None:
        judged = toolkit.home_agrees_with_path(home=home, toolkit=nvcc(12, 8, 93), toolkits=toolkits, goal=BUILD)
        assert judged is None

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_ubuntus_nvcc_shadows(self, goal: Goal, severity: str) -> None:
        here = Toolkits(found=(UBUNTUS, OLDER, LOCAL, NEWER), taken="/usr", on_path="/usr")
        ubuntus = Toolkit((11, 5, 119), "/usr/bin/nvcc")
        found = toolkit.nothing_shadows(toolkit=ubuntus, toolkits=here, torch=CU128, goal=goal)
        assert found is not None
        assert found.severity == severity
        assert found.fix[0].startswith("export CUDA_HOME=/usr/local/cuda-12.8 ")
        assert found.fix[1] == "sudo apt remove nvidia-cuda-toolkit"

    @pytest.mark.parametrize("torch", [NO_TORCH, CPU_TORCH])
    def test_without_torchs_cuda_the_newest_is_named(self, torch: Torch | Unknown) -> None:
        here = Toolkits(found=(CONDAS, NEWER, LOCAL), taken=CONDAS.root, on_path=CONDAS.root)
        condas = Toolkit((11, 8, 89), f"{CONDAS.root}/bin/nvcc")
        found = toolkit.nothing_shadows(toolkit=condas, toolkits=here, torch=torch, goal=RUN)
        assert found is not None
        assert found.fix == ("export CUDA_HOME=/usr/local/cuda-13.0 PATH=/usr/local/cuda-13.0/bin:$PATH",)

    @pytest.mark.parametrize(
        ("taken", "found", "found_by"),
        [
            (UBUNTUS, (UBUNTUS,), "PATH"),
            (UBUNTUS, (LOCAL,), "PATH"),
            (UBUNTUS, (UBUNTUS, LOCAL), "CUDA_HOME"),
            (LOCAL, (LOCAL, OLDER), "PATH"),
            (UBUNTUS, (UBUNTUS, CONDAS), "PATH"),
            (UBUNTUS, (UBUNTUS, ToolkitFolder(root="/opt/cuda", kind="folder")), "PATH"),
            (CONDAS, (CONDAS, ToolkitFolder(root="/opt/cuda", kind="folder", version=(12, 1, 105))), "PATH"),
        ],
        ids=[
            "alone",
            "not listed",
            "chosen",
            "NVIDIA's own",
            "other is conda's",
            "other of no version",
            "same release",
        ],
    )
    def test_nothing_shadows(self, taken: ToolkitFolder, found: tuple[ToolkitFolder, ...], found_by: str) -> None:
        here = Toolkits(found=found, taken=taken.root, on_path=taken.root)
        one = Toolkit((12, 1, 66), f"{taken.root}/bin/nvcc", found_by)
        assert toolkit.nothing_shadows(toolkit=one, toolkits=here, torch=CU128, goal=BUILD) is None


class TestFound:
    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_a_toolkit_that_nothing_leads_to(self, goal: Goal, severity: str) -> None:
        found = toolkit.a_build_finds_one(
            toolkit=NO_NVCC, toolkits=Toolkits(found=(OLDER, LOCAL)), home=HOME_UNSET, torch=CU128, goal=goal
        )
        assert found is not None
        assert found.severity == severity
        assert found.saw.startswith("CUDA 12.8 at /usr/local/cuda-12.8 is here, but neither")
        assert found.fix[0].startswith("export CUDA_HOME=/usr/local/cuda-12.8 ")

    @pytest.mark.parametrize(
        ("torch", "command"),
        [
            (CU128, "sudo apt install cuda-toolkit-12-8"),
            (Torch(version="2.11.0", cuda=(13, 0)), "pip install nvidia-cuda-nvcc==13.0.* nvidia-nvvm==13.0.* "),
            (NO_TORCH, "pip install nvidia-cuda-nvcc==13.5.* "),
            (CPU_TORCH, "pip install nvidia-cuda-nvcc==13.5.* "),
        ],
    )
    def test_none_at_all(self, torch: Torch | Unknown, command: str) -> None:
        found = toolkit.a_build_finds_one(
            toolkit=NO_NVCC, toolkits=NO_TOOLKITS, home=HOME_UNSET, torch=torch, goal=BUILD
        )
        assert found is not None
        assert found.severity == "note"
        assert found.fix[1].startswith(command)

    def test_none_at_all_matters_only_to_a_build(self) -> None:
        judged = toolkit.a_build_finds_one(
            toolkit=NO_NVCC, toolkits=NO_TOOLKITS, home=HOME_UNSET, torch=CU128, goal=RUN
        )
        assert judged is None

    @pytest.mark.parametrize(
        ("one", "home"),
        [
            (nvcc(12, 8, 93), HOME_UNSET),
            (Unknown("/gone/bin/nvcc does not exist"), CudaHome("/gone", has_nvcc=False)),
            (Unknown("nvcc gave no answer in 4 s", looked=False), HOME_UNSET),
        ],
        ids=["found", "CUDA_HOME has a rule of its own", "it hangs"],
    )
    def test_silent(self, one: Toolkit | Unknown, home: CudaHome | Unknown) -> None:
        judged = toolkit.a_build_finds_one(
            toolkit=one, toolkits=Toolkits(found=(LOCAL,)), home=home, torch=CU128, goal=BUILD
        )
        assert judged is None
