"""WSL: each rule fires on its fault and stays silent beside it."""

from __future__ import annotations

import pytest

from doctor.facts import DriverLibraries, System, Unknown, Wsl
from doctor.rules import wsl

KERNEL = (6, 6, 87, 2)
WSL2 = System(kernel="6.6.87.2-microsoft-standard-WSL2", machine="x86_64", distribution="Ubuntu", wsl=True, dxg=True)
NO_DXG = System(kernel="6.6.87.2-microsoft-standard-WSL2", machine="x86_64", distribution="Ubuntu", wsl=True)
LINUX = System(kernel="6.8.0-87-generic", machine="x86_64", distribution="Ubuntu")
WELL = DriverLibraries(nvml_code=0, cuda_code=0)
NO_LIBRARY = DriverLibraries(nvml_code=None, cuda_code=None)
REFUSED = DriverLibraries(nvml_code=9, cuda_code=100)
HEALTHY = Wsl(generation=2, kernel=KERNEL, has_library=True)
BARE = Wsl(generation=2, kernel=KERNEL)
FIRST = Wsl(generation=1, kernel=(4, 4, 0))
MIXED = Wsl(
    generation=2, kernel=KERNEL, has_library=True, intruders=("/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05",)
)
NOTHING = Unknown("nothing there")


class TestReach:
    @pytest.mark.parametrize("libraries", [NO_LIBRARY, WELL], ids=["no libcuda", "a libcuda"])
    def test_no_dxg(self, libraries: DriverLibraries) -> None:
        for known in (HEALTHY, BARE, NOTHING):
            found = wsl.wsl_reaches_windows(system=NO_DXG, libraries=libraries, wsl=known)
            assert found is not None
            assert (found.severity, found.saw) == ("warning", "there is no /dev/dxg")

    def test_libcuda_is_there_and_the_loader_does_not_find_it(self) -> None:
        found = wsl.wsl_reaches_windows(system=WSL2, libraries=NO_LIBRARY, wsl=HEALTHY)
        assert found is not None
        assert found.saw == "libcuda.so.1 cannot be loaded"

    @pytest.mark.parametrize("known", [FIRST, MIXED, BARE], ids=["WSL02", "WSL01", "WSL03"])
    def test_gives_way_to_the_rule_that_knows_the_cause(self, known: Wsl) -> None:
        assert wsl.wsl_reaches_windows(system=WSL2, libraries=NO_LIBRARY, wsl=known) is None

    @pytest.mark.parametrize("known", [FIRST, MIXED], ids=["WSL02", "WSL01"])
    def test_gives_way_without_dxg_too(self, known: Wsl) -> None:
        assert wsl.wsl_reaches_windows(system=NO_DXG, libraries=NO_LIBRARY, wsl=known) is None

    def test_silent(self) -> None:
        assert wsl.wsl_reaches_windows(system=WSL2, libraries=WELL, wsl=HEALTHY) is None
        assert wsl.wsl_reaches_windows(system=LINUX, libraries=NO_LIBRARY, wsl=NOTHING) is None


class TestLinuxDriver:
    @pytest.mark.parametrize(
        ("libraries", "severity"), [(WELL, "warning"), (REFUSED, "problem"), (NOTHING, "problem")], ids=str
    )
    def test_is_installed_inside(self, libraries: DriverLibraries | Unknown, severity: str) -> None:
        found = wsl.no_linux_driver_inside(wsl=MIXED, libraries=libraries)
        assert found is not None
        assert found.severity == severity
        assert "libcuda.so.580.95.05" in found.saw

    def test_silent(self) -> None:
        assert wsl.no_linux_driver_inside(wsl=HEALTHY, libraries=REFUSED) is None


class TestKernel:
    def test_the_first_generation_has_no_gpu(self) -> None:
        found = wsl.kernel_knows_cuda(wsl=FIRST)
        assert found is not None
        assert (found.severity, found.saw) == ("problem", "this is WSL 1")

    def test_an_early_kernel_of_the_second(self) -> None:
        found = wsl.kernel_knows_cuda(wsl=Wsl(generation=2, kernel=(5, 10, 43, 2)))
        assert found is not None
        assert (found.severity, found.saw) == ("warning", "the kernel of WSL is 5.10.43.2")
        assert found.expected == "5.10.43.3 or newer"

    @pytest.mark.parametrize("kernel", [(5, 10, 43, 3), (5, 15, 90, 1), KERNEL])
    def test_silent(self, kernel: tuple[int, ...]) -> None:
        assert wsl.kernel_knows_cuda(wsl=Wsl(generation=2, kernel=kernel)) is None


class TestWindowsDriver:
    def test_is_not_there(self) -> None:
        found = wsl.windows_brings_libcuda(wsl=BARE, system=WSL2, libraries=NO_LIBRARY)
        assert found is not None
        assert "install the NVIDIA driver for Windows" in found.fix[0]

    @pytest.mark.parametrize(
        ("known", "system", "libraries"),
        [(HEALTHY, WSL2, NO_LIBRARY), (FIRST, WSL2, NO_LIBRARY), (BARE, NO_DXG, NO_LIBRARY), (BARE, WSL2, WELL)],
        ids=["there", "WSL 1", "no dxg is DRV11's", "libcuda loads"],
    )
    def test_silent(self, known: Wsl, system: System, libraries: DriverLibraries) -> None:
        assert wsl.windows_brings_libcuda(wsl=known, system=system, libraries=libraries) is None
