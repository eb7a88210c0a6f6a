"""DRV: the NVIDIA driver is loaded, whole, usable by this user, and known. What PyTorch asks of it: `torch.py`."""

from doctor.compat import drivers
from doctor.facts import Driver, DriverLibraries, Gpus, KernelModule, PciGpus, System, Unknown, dotted_driver
from doctor.finding import Finding, rule

NVML_DRIVER_NOT_LOADED, NVML_MISMATCH = 9, 18  # nvml.h
CUDA_NOT_READY, CUDA_MISMATCH, CUDA_UNKNOWN = 802, 803, 999  # cuda.h
INSTALL_DRIVER = "Debian: sudo apt install nvidia-driver; Ubuntu: sudo ubuntu-drivers install; then reboot"


@rule("DRV01", "the NVIDIA kernel module is loaded where there is an NVIDIA GPU", category="driver")
def module_is_loaded(pci: PciGpus, module: KernelModule, system: System) -> Finding | None:
    """Without the module nothing of CUDA works. The usual cause is a kernel update for which no module was built."""
    if not pci.found or module.loaded or module.nouveau or system.wsl or system.container or _held(pci, "vfio-pci"):
        return None
    on_disk = system.kernel in module.built_for
    if on_disk and system.secure_boot:
        return None  # DRV10 says it better
    if on_disk:
        saw = f"{pci} is on the PCI bus, a module for kernel {system.kernel} is on disk, but it is not loaded"
        fix: tuple[str, ...] = ("sudo modprobe nvidia && nvidia-smi", "sudo dmesg | grep -i -E 'nvrm|nvidia' | tail")
    elif module.built_for:
        saw = (
            f"{pci} is on the PCI bus; the driver was built for {', '.join(module.built_for)}, not for {system.kernel}"
        )
        fix = (f"sudo apt install linux-headers-{system.kernel} && sudo dkms autoinstall", "or boot the older kernel")
    else:
        saw, fix = f"{pci} is on the PCI bus, but no NVIDIA driver is installed", (INSTALL_DRIVER,)
    return Finding(saw=saw, expected="the module nvidia in /proc/modules", fix=fix)


@rule("DRV02", "nouveau does not hold the GPU", category="driver")
def nouveau_is_away(pci: PciGpus, module: KernelModule) -> Finding | None:
    """The kernel's own driver cannot run CUDA, and while it holds the GPU NVIDIA's cannot take it."""
    if module.loaded or not (_held(pci, "nouveau") or (pci.found and module.nouveau)):
        return None
    blacklist = "printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' | sudo tee /etc/modprobe.d/nouveau.conf"
    return Finding(
        saw=f"{pci} is held by the driver nouveau",
        expected="the driver nvidia",
        fix=(
            INSTALL_DRIVER,
            f"where the NVIDIA driver is installed: {blacklist} && sudo update-initramfs -u && sudo reboot",
        ),
    )


@rule("DRV03", "the driver's library and kernel module have the same version", category="driver")
def library_matches_module(libraries: DriverLibraries, module: KernelModule) -> Finding | None:
    """After an update of the driver packages the old module stays loaded until a reboot, and every call is refused."""
    told = libraries.nvml_code == NVML_MISMATCH or libraries.cuda_code == CUDA_MISMATCH
    seen = module.loaded and libraries.version and _differ(module.loaded, libraries.version)
    if not told and not (seen and libraries.nvml_code != 0):
        return None
    loaded = dotted_driver(module.loaded) if module.loaded else "another version"
    library = dotted_driver(libraries.version) if libraries.version else "another version"
    return Finding(
        saw=f"the loaded kernel module is {loaded}, the library is {library}",
        expected="one version of both",
        fix=("sudo reboot", "later: sudo apt-mark hold nvidia-driver-* so that updates wait for you"),
        evidence=(f"nvmlInit returned {libraries.nvml_code}, cuInit returned {libraries.cuda_code}",),
    )


@rule("DRV04", "the driver's library is there where the module is", category="driver")
def library_is_there(libraries: DriverLibraries, module: KernelModule, system: System) -> Finding | None:
    """libcuda.so.1 comes with the driver, not with CUDA; server packages split it off."""
    if module.loaded is None or libraries.cuda_code is not None or system.container:
        return None
    branch = module.loaded[0]
    return Finding(
        saw=f"kernel module {dotted_driver(module.loaded)} is loaded, but libcuda.so.1 cannot be loaded",
        expected="libcuda.so.1 of the same version",
        fix=(f"sudo apt install libnvidia-compute-{branch} (Debian: libcuda1)", "ldconfig -p | grep libcuda"),
    )


@rule("DRV05", "this user may open the NVIDIA device files", category="driver")
def nodes_are_open(module: KernelModule, system: System) -> Finding | None:
    """They are made at the first use by root; on servers they may belong to a group."""
    if module.loaded is None or system.wsl or system.container:
        return None
    if module.closed_nodes:
        return Finding(
            saw=f"this user cannot open {', '.join(module.closed_nodes)}",
            expected="read and write permission",
            fix=(f"ls -l {module.closed_nodes[0]} # then: sudo usermod -aG GROUP $USER, and log in again",),
        )
    absent = [node for node in ("/dev/nvidiactl", "/dev/nvidia-uvm") if node not in module.nodes]
    if not absent:
        return None
    return Finding(
        saw=f"the module is loaded without {' and '.join(absent)}",
        expected="device files for the loaded module",
        fix=("sudo nvidia-modprobe -u -c=0", "sudo modprobe nvidia-uvm"),
        severity="problem" if "/dev/nvidiactl" in absent else "warning",
        confidence="likely",
    )


@rule("DRV06", "CUDA starts on the driver that is loaded", category="driver")
def cuda_starts(libraries: DriverLibraries, driver: Driver) -> Finding | None:
    """NVML (and nvidia-smi) may look healthy while CUDA itself refuses."""
    code = libraries.cuda_code
    if code is None or code in {0, CUDA_MISMATCH}:
        return None
    fixes = {
        100: ("echo $CUDA_VISIBLE_DEVICES; nvidia-smi -L # MIG on without instances, or devices hidden",),
        CUDA_NOT_READY: ("sudo systemctl start nvidia-fabricmanager # of exactly the driver's version",),
        CUDA_UNKNOWN: (
            "sudo modprobe -r nvidia_uvm && sudo modprobe nvidia_uvm # usual after suspend",
            "else: sudo reboot",
        ),
    }
    return Finding(
        saw=f"{driver} answers, but cuInit returns {code}",
        expected="0",
        fix=fixes.get(code, ("sudo dmesg | grep -i -E 'nvrm|xid' | tail", "sudo reboot")),
        confidence="sure" if code in fixes else "guess",
    )


@rule("DRV07", "the driver still supports every GPU in the machine", category="driver")
def driver_supports_gpus(pci: PciGpus, module: KernelModule) -> Finding | None:
    """Branch 580 is the last for Maxwell, Pascal and Volta, 470 the last for Kepler."""
    if module.loaded is None:
        return None
    for gpu in pci.found:
        last = drivers.last_branch_for(gpu.capability) if gpu.capability else None
        if last and module.loaded[0] > last:
            return Finding(
                saw=f"driver {dotted_driver(module.loaded)} no longer supports {gpu}",
                expected=f"branch {last} or older for this GPU",
                fix=(f"install the driver of branch {last}, for example: sudo apt install nvidia-driver-{last}",),
            )
    return None


@rule("DRV08", "the driver is one that the doctor's table knows", category="driver")
def driver_is_known(driver: Driver) -> Finding | None:
    """Newer drivers run everything that older ones did; only what they add cannot be judged."""
    if not drivers.is_newer_than_table(driver.version):
        return None
    return Finding(
        saw=f"driver {dotted_driver(driver.version)} is newer than the table of {drivers.AS_OF}",
        expected=f"a branch up to {drivers.NEWEST_BRANCH}",
        fix=("nothing to do: a newer driver runs all older CUDA",),
        severity="note",
    )


@rule("DRV09", "no GPU is set aside for a virtual machine", category="driver")
def gpu_is_not_passed_through(pci: PciGpus, gpus: Gpus | Unknown) -> Finding | None:
    """vfio-pci holds a GPU so that a guest may have it; the host cannot use it meanwhile."""
    if not _held(pci, "vfio-pci"):
        return None
    return Finding(
        saw=f"{pci} is held by vfio-pci",
        expected="the driver nvidia",
        fix=("work in the guest, or give the GPU back to the host: sudo virsh nodedev-reattach DEVICE",),
        severity="problem" if isinstance(gpus, Unknown) else "note",
    )


@rule("DRV10", "Secure Boot lets the NVIDIA module in", category="secure-boot")
def secure_boot_lets_it_in(pci: PciGpus, module: KernelModule, system: System) -> Finding | None:
    """With Secure Boot the kernel loads only modules signed with a key that the firmware or the user enrolled."""
    rejected = system.secure_boot and system.kernel in module.built_for and not module.loaded and not module.nouveau
    if not pci.found or not rejected or system.container:
        return None
    return Finding(
        saw=f"Secure Boot is on, a module for kernel {system.kernel} is on disk, and it is not loaded",
        expected="a module signed with an enrolled key",
        fix=(
            "sudo modprobe nvidia # 'Key was rejected by service' confirms it",
            "sudo mokutil --import /var/lib/shim-signed/mok/MOK.der # then reboot and enrol the key in the blue screen",
            "or switch Secure Boot off in the firmware",
        ),
        confidence="likely",
    )


@rule("DRV11", "WSL reaches the Windows driver", category="wsl")
def wsl_reaches_windows(system: System, libraries: DriverLibraries) -> Finding | None:
    """In WSL 2 the GPU comes through /dev/dxg and libcuda of /usr/lib/wsl/lib; a Linux driver inside breaks both."""
    if not system.wsl or (system.dxg and libraries.cuda_code is not None):
        return None
    if not system.dxg:
        saw, fix = (
            "there is no /dev/dxg",
            ("wsl --update # in Windows, then: wsl --shutdown", "install the Windows driver"),
        )
    else:
        saw = "libcuda.so.1 cannot be loaded"
        fix = ("ls /usr/lib/wsl/lib # libcuda.so.1 there?", "export LD_LIBRARY_PATH=/usr/lib/wsl/lib:$LD_LIBRARY_PATH")
    return Finding(saw=saw, expected="/dev/dxg and /usr/lib/wsl/lib/libcuda.so.1", fix=fix, severity="warning")


def _held(pci: PciGpus, driver: str) -> bool:
    return any(gpu.driver == driver for gpu in pci.found)


def _differ(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Return whether two versions differ as far as both go: a file name may carry fewer places."""
    places = min(len(one), len(other))
    return one[:places] != other[:places]


RULES = (
    module_is_loaded,
    nouveau_is_away,
    library_matches_module,
    library_is_there,
    nodes_are_open,
    cuda_starts,
    driver_supports_gpus,
    driver_is_known,
    gpu_is_not_passed_through,
    secure_boot_lets_it_in,
    wsl_reaches_windows,
)
