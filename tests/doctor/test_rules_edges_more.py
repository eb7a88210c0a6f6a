"""More edges that mutants passed by: of drivers and GPUs, of packages and symbols, of toolkits and indexes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from doctor.compat import drivers
from doctor.compat.mmcv import FIRST_OF_GENERATION_2, Window, generation
from doctor.compat.packages import DRIFTS, OPENCV, Drift
from doctor.compat.symbols import compiled_for, own_function
from doctor.compat.torch import FIRST_READ_FOR_AARCH64, archs_of, cxx11_abi
from doctor.facts import (
    GIB,
    BuildTools,
    BuildVariables,
    Cpu,
    CudaVariables,
    Driver,
    DriverLibraries,
    Extensions,
    Gpu,
    Gpus,
    HostCompiler,
    IndexAnswer,
    KernelModule,
    LibraryFiles,
    Memory,
    ModuleFile,
    ModulePolicy,
    Network,
    Packages,
    PciGpu,
    PciGpus,
    Place,
    Places,
    System,
    Toolkit,
    ToolkitFolder,
    Toolkits,
    Torch,
    dotted,
)
from doctor.finding import Goal
from doctor.rules import packages as rules_of_packages
from doctor.rules import toolkit as rules_of_toolkits
from doctor.rules.system import ROOM_FOR_BUILDS
from tests.doctor.asking import HEALTHY, judged

if TYPE_CHECKING:
    from doctor.facts.kernel import Flavour

BUILD = Goal("build-ext")
UBUNTU = System(kernel="6.8.0-45-generic", machine="x86_64", distribution="Ubuntu 22.04.5 LTS")
LOADED = KernelModule(loaded=(580, 95, 5))
ANSWERS = Driver(version=(580, 95, 5), cuda=(13, 0), source="NVML")
NO_DEVICE = DriverLibraries(nvml_code=0, cuda_code=100)
NVCC = Toolkit((12, 8, 93), "/usr/bin/nvcc")
CPU_TORCH = Torch(version="2.13.0+cpu", cuda=None)
CU121 = Torch(version="2.3.1+cu121", cuda=(12, 1))
L4 = Gpu("NVIDIA L4", (8, 9), 24 * GIB, free=20 * GIB, index=1)
FULL = replace(L4, free=0, index=0)


def installed(**found: str) -> Packages:
    return Packages("/venv/bin/python", (3, 10, 4), tuple((name.replace("_", "-"), v) for name, v in found.items()))


class TestGpus:
    @pytest.mark.parametrize("other", [replace(L4, index=None), replace(L4, free=None)], ids=["no index", "unknown"])
    def test_only_a_gpu_with_a_number_and_known_room_is_offered(self, other: Gpu) -> None:
        assert len(judged("DRV25", Gpus((FULL, other))).fix) == 1

    def test_a_gpu_with_room_is_offered(self) -> None:
        assert judged("DRV25", Gpus((FULL, L4))).fix[0].startswith("export CUDA_VISIBLE_DEVICES=1")

    def test_prohibited_alone_is_a_problem(self) -> None:
        assert judged("DRV26", Gpus((replace(L4, compute_mode="prohibited"),))).severity == "problem"

    def test_the_first_gpu_is_reset_where_no_number_is_known(self) -> None:
        bad = replace(L4, memory_errors=3, index=None)
        assert "-i 0 " in judged("DRV28", Gpus((bad,))).fix[1]


class TestDriver:
    @pytest.mark.parametrize(
        ("module", "flavour", "capability", "taken"),
        [
            ((580, 95, 5), "", (12, 0), True),
            ((580, 95, 5), "", (7, 0), True),
            ((580, 590), "", (7, 0), True),
            ((590, 48, 1), "", (7, 0), False),
            ((580, 95, 5), "proprietary", (12, 0), False),
        ],
    )
    def test_which_module_drives_which_gpu(
        self, module: tuple[int, ...], flavour: Flavour, capability: tuple[int, int], *, taken: bool
    ) -> None:
        assert drivers.drives(module, flavour, capability, "a GPU") == taken

    @pytest.mark.parametrize(
        ("name", "data_centre"),
        [("NVIDIA H100 80GB HBM3", True), ("NVIDIA GeForce RTX 4090", False), ("NVIDIA RTX A6000", False)],
    )
    def test_which_gpus_are_of_the_data_centre(self, name: str, *, data_centre: bool) -> None:
        assert drivers.is_data_centre(name) == data_centre

    def test_one_gpu_that_waits_for_the_fabric_is_enough(self) -> None:
        gpus = Gpus((replace(L4, fabric=1), replace(L4, fabric=3)))
        not_ready = DriverLibraries(nvml_code=0, cuda_code=802)
        assert judged("DRV06", not_ready, ANSWERS, LOADED, gpus) == HEALTHY

    def test_a_module_that_is_not_loaded_has_refused_no_gpu(self) -> None:
        pci = PciGpus((PciGpu("0000:01:00.0", "2684", "", "GeForce RTX 4090", (8, 9)),))
        assert judged("DRV06", NO_DEVICE, ANSWERS, KernelModule(loaded=None), pci).severity == "problem"

    def test_one_hidden_gpu_is_all_hidden_where_none_is_known(self) -> None:
        pci = PciGpus((PciGpu("0000:01:00.0", "2684", "nvidia", "GeForce RTX 4090", (8, 9)),))
        assert judged("DRV06", NO_DEVICE, ANSWERS, LOADED, pci, CudaVariables(visible="")) == HEALTHY

    def test_without_library_files_the_versions_are_not_compared(self) -> None:
        silent = DriverLibraries(nvml_code=9, cuda_code=100)
        assert judged("DRV03", silent, LOADED, LibraryFiles()) == HEALTHY

    def test_a_compat_library_is_named(self) -> None:
        path = "/usr/local/cuda/compat/libcuda.so.590.48.01"
        assert path in judged("DRV17", DriverLibraries(nvml_code=0, cuda_code=804, cuda_path=path)).saw

    @pytest.mark.parametrize(
        ("policy", "mode"),
        [(ModulePolicy(sig_enforce=True), "(sig_enforce)"), (ModulePolicy(lockdown="integrity"), "(lockdown")],
    )
    def test_what_demands_signatures_is_named(self, policy: ModulePolicy, mode: str) -> None:
        file = ModuleFile(path="/lib/modules/x/nvidia.ko", signed=False)
        found = judged("DRV14", policy, file, UBUNTU, KernelModule(loaded=None, built_for=(UBUNTU.kernel,)))
        assert mode in found.saw


class TestPackages:
    @pytest.mark.parametrize(
        ("text", "release"), [("1.0.0rc6", (1, 0, 0)), ("1.0", (1, 0, 0)), ("2", (2, 0, 0)), ("main", (0, 0, 0))]
    )
    def test_a_release_has_three_places(self, text: str, release: tuple[int, ...]) -> None:
        assert rules_of_packages._release(text) == release

    @pytest.mark.parametrize("row", [row for row in DRIFTS if row.first], ids=lambda row: f"{row.package}-{row.guest}")
    def test_a_row_of_the_table_holds_from_its_first_release_on(self, row: Drift) -> None:
        guest = Packages("/venv/bin/python", (3, 10, 4), ((row.guest, dotted(row.first)),))
        assert rules_of_packages._breaks(guest, row)

    def test_a_message_that_is_known_makes_it_sure(self) -> None:
        assert judged("PKG05", installed(yapf="0.40.2", mmcv_full="1.4.0")).confidence == "sure"

    def test_two_contributed_opencvs_keep_their_version(self) -> None:
        found = judged("PKG10", Packages("/venv/bin/python", (3, 10, 4), tuple((name, "4.8.1") for name in OPENCV[2:])))
        assert found.fix[1] == 'pip install "opencv-python-headless==4.8.1"'

    def test_an_mmcv_without_a_version_is_not_judged(self) -> None:
        assert judged("PKG04", installed(mmcv_full="main"), CU121, Extensions(())) == HEALTHY

    def test_an_mmcv_without_a_version_and_without_operators_is_the_lite_one(self) -> None:
        assert "without operators" in judged("EXT05", installed(mmcv="main"), Extensions(())).saw

    def test_a_window_is_read_in_three_places(self) -> None:
        window = Window("mmdet", (2, 14, 0), "mmcv", (1, 3, 8), (1, 5, 0))
        assert [window.accepts(version) for version in ((1, 5), (1, 5, 1), (1, 4), (1, 3, 8), (1,))] == [
            *(True, False, True, True, False)
        ]
        assert replace(window, low=(1, 0, 0), high=(1, 0, 0)).accepts((1,))

    @pytest.mark.parametrize("package", sorted(FIRST_OF_GENERATION_2))
    def test_the_second_generation_begins_with_its_first_release(self, package: str) -> None:
        assert generation(package, FIRST_OF_GENERATION_2[package]) == 2


class TestSymbols:
    @pytest.mark.parametrize(
        ("name", "function"), [("_Z3foo", "foo"), ("_Z1fv", "f"), ("_Z0foo", None), ("_Z9foo", None)]
    )
    def test_a_name_is_as_long_as_it_says(self, name: str, function: str | None) -> None:
        assert own_function(name) == function

    def test_one_symbol_among_many_tells(self) -> None:
        plain = "_ZN3c105ErrorD1Ev"
        cuda, string = "_ZN3c104cuda9SetDeviceEi", "_ZN3c106detail14torchCheckFailERKNSt7__cxx1112basic_stringIcE"
        on_cpu = compiled_for([plain, cuda], torch=(2, 9), cuda=False, cxx11_abi=None)
        assert on_cpu.startswith("a CUDA build of torch")
        old_abi = compiled_for([plain, string], torch=(2, 5), cuda=True, cxx11_abi=False)
        assert old_abi.startswith("a torch with the C++11 ABI")

    @pytest.mark.parametrize(("torch", "words"), [((2, 2), "torch 2.3 or newer"), ((2, 3), "another torch")])
    def test_a_clue_counts_below_its_release(self, torch: tuple[int, ...], words: str) -> None:
        missing = ["_ZN3c104cuda9SetDeviceEa"]
        assert compiled_for(missing, torch=torch, cuda=True, cxx11_abi=None) == words

    def test_the_first_release_read_for_aarch64_counts(self) -> None:
        assert archs_of(FIRST_READ_FOR_AARCH64, (12, 8), "aarch64") is not None or archs_of(
            FIRST_READ_FOR_AARCH64, (13, 0), "aarch64"
        )

    @pytest.mark.parametrize(
        ("version", "cuda", "new"),
        [((2, 5, 1), (12, 4), False), ((2, 6, 0), (12, 6), True), ((2, 6, 0), (12, 4), False), ((2, 7, 0), None, True)],
    )
    def test_when_the_abi_changed(self, version: tuple[int, ...], cuda: tuple[int, int] | None, *, new: bool) -> None:
        assert cxx11_abi(version, cuda) == new


class TestBuild:
    def test_a_missing_compiler_is_said_where_the_others_are_unknown(self) -> None:
        assert judged("CXX01", goal=BUILD).severity == "problem"

    def test_a_bad_pair_is_named_in_short(self) -> None:
        gcc = HostCompiler("gcc", (11, 4, 0), "/usr/bin/g++")
        found = judged("CXX06", Toolkit((11, 5, 119), "/usr/bin/nvcc"), gcc, goal=BUILD)
        assert found.saw == "g++ 11.4.0 at /usr/bin/g++ with nvcc 11.5"

    def test_a_ninja_that_path_does_not_reach_is_a_warning(self) -> None:
        assert judged("CXX08", BuildTools(hidden_ninja="/venv/bin/ninja"), goal=BUILD).severity == "warning"

    def test_cmake_4_is_the_first_to_refuse(self) -> None:
        assert judged("CXX09", BuildTools(cmake="/usr/bin/cmake", cmake_version=(4,)), goal=BUILD).severity == "note"

    def test_an_nvcc_whose_folder_is_unknown_hides_nothing(self) -> None:
        other = ToolkitFolder(root="/usr/local/cuda-12.8", kind="folder", version=(12, 8))
        assert judged("CUD07", Toolkit((11, 5), "/usr/bin/nvcc"), Toolkits(found=(other,))) == HEALTHY

    @pytest.mark.parametrize(
        ("torch", "best"),
        [(CU121, (12, 8)), (CPU_TORCH, (13, 0)), (Torch(version="1.9.1+cu111", cuda=(11, 1)), (13, 0))],
        ids=["torch's major", "the newest", "none of torch's major"],
    )
    def test_a_toolkit_whose_version_is_unknown_comes_last(self, torch: Torch, best: tuple[int, int]) -> None:
        versions: tuple[tuple[int, int] | None, ...] = ((12, 4), None, (12, 8), (13, 0))
        folders = [ToolkitFolder(root=f"/usr/local/{version}", kind="folder", version=version) for version in versions]
        assert rules_of_toolkits._best(folders, torch).version == best

    def test_without_a_toolkit_a_cpu_torch_is_told_of_the_newest(self) -> None:
        assert judged("CUD08", CPU_TORCH, goal=BUILD).severity == "note"

    def test_many_digits_are_no_number_of_jobs(self) -> None:
        variables, memory = BuildVariables(max_jobs="1000000"), Memory(64 * GIB, 60 * GIB)
        assert judged("SYS01", memory, Cpu(cores=2), variables, NVCC, goal=BUILD) == HEALTHY

    def test_a_temporary_folder_with_just_enough_room_is_not_called_full(self) -> None:
        place = Place(path="/tmp", writable=True, free=ROOM_FOR_BUILDS, noexec=True)  # noqa: S108 — a path to judge
        assert judged("SYS02", Places(temporary=place, home=None)).saw == "/tmp is mounted noexec"  # noqa: S108 — as above


@pytest.mark.parametrize(("code", "said"), [("NET02", "certificate"), ("NET03", "proxy")])
def test_an_index_that_cannot_be_asked_is_a_problem(code: str, said: str) -> None:
    answer = IndexAnswer(url="https://pypi.org/simple/", source="pip", said=said)  # type: ignore[arg-type]
    assert judged(code, Network(answers=(answer,))).severity == "problem"
