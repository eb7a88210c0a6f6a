"""WSL: the Windows driver reaches Linux, and no Linux driver stands in its way. DRV11 is older than this room."""

from doctor.compat import drivers
from doctor.facts import DriverLibraries, System, Unknown, Wsl, dotted
from doctor.finding import Finding, rule
from doctor.words import say

UPDATE = "wsl --update && wsl --shutdown # in a Windows terminal"


@rule("DRV11", "WSL reaches the Windows driver", category="wsl")
def wsl_reaches_windows(system: System, libraries: DriverLibraries, wsl: Wsl | Unknown) -> Finding | None:
    """In WSL 2 the GPU comes through /dev/dxg and libcuda of /usr/lib/wsl/lib; a Linux driver inside breaks both."""
    if not system.wsl or (system.dxg and libraries.cuda_code is not None):
        return None
    if isinstance(wsl, Wsl) and (wsl.generation == 1 or wsl.intruders or (system.dxg and not wsl.has_library)):
        return None  # WSL01, WSL02 and WSL03 say it better
    if not system.dxg:
        saw, fix = "there is no /dev/dxg", (UPDATE, "install the NVIDIA driver for Windows")
    else:
        saw = "libcuda.so.1 cannot be loaded"
        fix = ("ls /usr/lib/wsl/lib # libcuda.so.1 there?", "export LD_LIBRARY_PATH=/usr/lib/wsl/lib:$LD_LIBRARY_PATH")
    return Finding(saw=saw, expected="/dev/dxg and /usr/lib/wsl/lib/libcuda.so.1", fix=fix, severity="warning")


@rule("WSL01", "no Linux driver is installed inside WSL", category="wsl")
def no_linux_driver_inside(wsl: Wsl, libraries: DriverLibraries | Unknown) -> Finding | None:
    """Its libcuda is found before the one that Windows brings, and it looks for a kernel module that WSL has not."""
    if not wsl.intruders:
        return None
    works = isinstance(libraries, DriverLibraries) and libraries.cuda_code == 0
    return Finding(
        saw=say("a Linux driver is installed in WSL: {files}", files=", ".join(wsl.intruders)),
        expected="only the libraries in /usr/lib/wsl/lib",
        fix=(
            "sudo apt purge 'nvidia-*' 'libnvidia-*' 'cuda-drivers*' && sudo apt autoremove && sudo ldconfig",
            "for nvcc install cuda-toolkit-X-Y: the packages cuda and nvidia-cuda-toolkit may bring a driver along",
        ),
        severity="warning" if works else "problem",
    )


@rule("WSL02", "WSL is of the second generation and its kernel knows CUDA", category="wsl")
def kernel_knows_cuda(wsl: Wsl) -> Finding | None:
    """WSL 1 has no GPU at all; early kernels of WSL 2 lack what the Windows driver needs."""
    if wsl.generation == 1:
        return Finding(
            saw="this is WSL 1",
            expected="WSL 2",
            fix=("wsl --set-version DISTRIBUTION 2 # in a Windows terminal; wsl -l -v lists the names",),
        )
    if wsl.kernel >= drivers.WSL_KERNEL:
        return None
    return Finding(
        saw=say("the kernel of WSL is {kernel}", kernel=dotted(wsl.kernel)),
        expected=say("{kernel} or newer", kernel=dotted(drivers.WSL_KERNEL)),
        fix=(UPDATE,),
        severity="warning",
    )


@rule("WSL03", "Windows has a driver with CUDA for WSL", category="wsl")
def windows_brings_libcuda(wsl: Wsl, system: System, libraries: DriverLibraries) -> Finding | None:
    """The Windows driver puts libcuda into /usr/lib/wsl/lib; nothing inside WSL can replace it."""
    if wsl.generation == 1 or not system.dxg or wsl.has_library or libraries.cuda_code is not None:
        return None
    return Finding(
        saw="there is a /dev/dxg, but no libcuda.so.1 in /usr/lib/wsl/lib",
        expected="the libraries of the Windows driver",
        fix=("install the NVIDIA driver for Windows, not one for Linux", UPDATE),
    )


RULES = (wsl_reaches_windows, no_linux_driver_inside, kernel_knows_cuda, windows_brings_libcuda)
