"""DRV: the driver's libraries are there, whole, of one version, and CUDA starts on them. GPU by GPU: `gpus.py`."""

from doctor.compat import drivers
from doctor.facts import (
    CudaVariables,
    Disagreements,
    Driver,
    DriverLibraries,
    Fabric,
    Gpus,
    KernelModule,
    LibraryFiles,
    PciGpus,
    System,
    Unknown,
    Version,
    dotted_driver,
    num_gpus,
)
from doctor.finding import Finding, rule
from doctor.words import say

NVML_MISMATCH = 18  # nvml.h
CUDA_STUB, CUDA_NO_DEVICE = 34, 100  # cuda.h
ABOUT_GPUS = {"number of GPUs", "names of the GPUs"}
CUDA_NOT_READY, CUDA_MISMATCH, CUDA_NO_COMPAT, CUDA_UNKNOWN = 802, 803, 804, 999


@rule("DRV03", "the driver's library and kernel module have the same version", category="driver")
def library_matches_module(
    libraries: DriverLibraries, module: KernelModule, files: LibraryFiles | Unknown
) -> Finding | None:
    """After an update of the driver packages the old module stays loaded until a reboot, and every call is refused."""
    if libraries.is_compat or libraries.is_stub:
        return None  # DRV17 and DRV18 say it better
    on_disk = files.versions if isinstance(files, LibraryFiles) and len(files.versions) == 1 else (None,)
    version = libraries.version or on_disk[0]
    told = libraries.nvml_code == NVML_MISMATCH or libraries.cuda_code == CUDA_MISMATCH
    seen = module.loaded and version and _differ(module.loaded, version)
    if not told and not (seen and libraries.nvml_code != 0):
        return None
    return Finding(
        saw=say(
            "the loaded kernel module is {module}, the library is {library}",
            module=_version(module.loaded),
            library=_version(version),
        ),
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
        saw=say(
            "kernel module {version} is loaded, but libcuda.so.1 cannot be loaded", version=dotted_driver(module.loaded)
        ),
        expected="libcuda.so.1 of the same version",
        fix=(f"sudo apt install libnvidia-compute-{branch} # Debian: libcuda1", "ldconfig -p | grep libcuda"),
    )


@rule("DRV05", "this user may open the NVIDIA device files", category="driver")
def nodes_are_open(module: KernelModule, system: System) -> Finding | None:
    """They are made at the first use by root; on servers they may belong to a group."""
    if module.loaded is None or system.wsl or system.container:
        return None
    if module.closed_nodes:
        return Finding(
            saw=say("this user cannot open {nodes}", nodes=", ".join(module.closed_nodes)),
            expected="read and write permission",
            fix=(
                say("ls -l {node} # then: sudo usermod -aG GROUP $USER, and log in again", node=module.closed_nodes[0]),
            ),
        )
    absent = [node for node in ("/dev/nvidiactl", "/dev/nvidia-uvm") if node not in module.nodes]
    if not absent:
        return None
    return Finding(
        saw=say("the module is loaded without {nodes}", nodes=", ".join(absent)),
        expected="device files for the loaded module",
        fix=("sudo nvidia-modprobe -u -c=0", "sudo modprobe nvidia-uvm"),
        severity="problem" if "/dev/nvidiactl" in absent else "warning",
        confidence="likely",
    )


@rule("DRV06", "CUDA starts on the driver that is loaded", category="driver")
def cuda_starts(
    *,
    libraries: DriverLibraries,
    driver: Driver,
    gpus: Gpus | Unknown,
    variables: CudaVariables,
    fabric: Fabric | Unknown,
    pci: PciGpus | Unknown,
    module: KernelModule,
) -> Finding | None:
    """NVML (and nvidia-smi) may look healthy while CUDA itself refuses."""
    code = libraries.cuda_code
    if code is None or code in {0, CUDA_STUB, CUDA_MISMATCH, CUDA_NO_COMPAT}:
        return None
    if code == CUDA_NO_DEVICE and (_all_uncut(gpus) or _all_hidden(variables, gpus, pci) or _all_refused(pci, module)):
        return None  # DRV22, DRV23, and DRV07 or DRV15 say it better
    if code == CUDA_NOT_READY and _fabric_is_down(fabric, gpus):
        return None  # so does DRV21
    fixes = {
        CUDA_NO_DEVICE: ("nvidia-smi -L; sudo dmesg | grep -i -E 'nvrm|xid' | tail # does the driver see the GPU?",),
        CUDA_NOT_READY: ("sudo systemctl start nvidia-fabricmanager # of exactly the driver's version",),
        CUDA_UNKNOWN: (
            "sudo modprobe -r nvidia_uvm && sudo modprobe nvidia_uvm # usual after suspend",
            "else: sudo reboot",
        ),
    }
    return Finding(
        saw=say(
            "driver {version} answers, but cuInit returns {code}", version=dotted_driver(driver.version), code=code
        ),
        expected="0",
        fix=fixes.get(code, ("sudo dmesg | grep -i -E 'nvrm|xid' | tail", "sudo reboot")),
        confidence="sure" if code in fixes else "guess",
    )


@rule("DRV08", "the driver is one that the doctor's table knows", category="driver")
def driver_is_known(driver: Driver) -> Finding | None:
    """Newer drivers run everything that older ones did; only what they add cannot be judged."""
    if not drivers.is_newer_than_table(driver.version):
        return None
    return Finding(
        saw=say(
            "driver {version} is newer than the table of {date}",
            version=dotted_driver(driver.version),
            date=drivers.AS_OF,
        ),
        expected=say("a branch up to {branch}", branch=drivers.NEWEST_BRANCH),
        fix=("nothing to do: a newer driver runs all older CUDA",),
        severity="note",
    )


@rule("DRV17", "a forward-compatibility libcuda fits GPU and driver", category="driver")
def compat_fits(
    libraries: DriverLibraries, gpus: Gpus | Unknown, pci: PciGpus | Unknown, files: LibraryFiles | Unknown
) -> Finding | None:
    """The package cuda-compat lets an older driver run a newer CUDA, on data-centre GPUs only."""
    code = libraries.cuda_code
    if code != CUDA_NO_COMPAT and not (libraries.is_compat and code not in {0, None}):
        return None
    folders = files.compat_folders if isinstance(files, LibraryFiles) else ()
    where = libraries.cuda_path or ", ".join(folders) or "libcuda.so.1"
    names = [gpu.name for gpu in gpus.found] if isinstance(gpus, Gpus) else []
    names = names or ([gpu.name for gpu in pci.found] if isinstance(pci, PciGpus) else [])
    consumer = next((name for name in names if drivers.is_consumer(name)), "")
    if consumer:
        saw: str = say(
            "libcuda is {path}, of a forward-compatibility package; {gpu} cannot use one (cuInit: {code})",
            path=where,
            gpu=consumer,
            code=code,
        )
    else:
        saw = say(
            "libcuda is {path}, of a forward-compatibility package, and refuses this driver or GPU (cuInit: {code})",
            path=where,
            code=code,
        )
    return Finding(
        saw=saw,
        expected="the driver's own libcuda",
        fix=(
            "take the compat folder out of LD_LIBRARY_PATH, or out of /etc/ld.so.conf.d and run: sudo ldconfig",
            "sudo apt remove 'cuda-compat-*'",
            "or install a newer driver, which needs no such package",
        ),
        confidence="sure" if code == CUDA_NO_COMPAT else "likely",
    )


@rule("DRV18", "programs do not load the toolkit's stub in place of libcuda", category="driver")
def libcuda_is_no_stub(libraries: DriverLibraries | Unknown, files: LibraryFiles | Unknown) -> Finding | None:
    """A stubs folder is for the linker; a program that loads the stub gets error 34 from every call."""
    folders = files.stub_folders if isinstance(files, LibraryFiles) else ()
    loaded = isinstance(libraries, DriverLibraries) and (libraries.is_stub or libraries.cuda_code == CUDA_STUB)
    if not loaded and not folders:
        return None
    if loaded:
        saw: str = "libcuda.so.1 is the stub of a toolkit: CUDA answers 34"
    else:
        saw = say("LD_LIBRARY_PATH holds {folders}", folders=", ".join(folders))
    return Finding(
        saw=saw,
        expected="libcuda.so.1 of the driver; a stubs folder only in LIBRARY_PATH, for the linker",
        fix=(
            "export LD_LIBRARY_PATH=$(printf %s \"$LD_LIBRARY_PATH\" | tr : '\\n' | grep -v stubs | paste -sd:)",
            "where a link was made: rm the file libcuda.so.1 in the stubs folder",
        ),
        severity="problem" if loaded else "warning",
    )


@rule("DRV19", "the driver libraries on disk are of one version", category="driver")
def one_version_is_installed(files: LibraryFiles, system: System) -> Finding | None:
    """A driver of NVIDIA's .run installer beside the distribution's leaves a mixture that breaks at some update."""
    if system.wsl or len(files.versions) < 2:
        return None
    return Finding(
        saw=say("driver libraries of several versions: {files}", files=", ".join(map(str, files.found))),
        expected="one version",
        fix=(
            say("dpkg -S {file} || rpm -qf {file} # no package: from a .run installer", file=files.found[0].path),
            "sudo nvidia-uninstall # removes what the .run installer brought; then reinstall the distribution's driver",
        ),
        severity="warning",
        confidence="likely",
    )


@rule("DRV20", "the sources about the driver agree", category="driver")
def sources_agree(
    *,
    disagreements: Disagreements,
    gpus: Gpus | Unknown,
    libraries: DriverLibraries | Unknown,
    system: System,
    variables: CudaVariables,
) -> Finding | None:
    """NVML, libcuda, nvidia-smi and the kernel should tell one story; where they do not, parts of two drivers mix."""
    confined = system.container or variables.in_job  # the kernel lists the GPUs of others too
    lost = isinstance(gpus, Gpus) and gpus.lost  # DRV27 says it better
    explained = ABOUT_GPUS if confined or lost else set()
    if isinstance(libraries, DriverLibraries) and libraries.is_compat:
        explained = explained | {"newest CUDA"}  # that is what forward compatibility is for
    found = [one for one in disagreements.found if one.what not in explained]
    if not found:
        return None
    first = found[0]
    answers = ", ".join(f"{answer} ({source})" for source, answer in first.answers)
    return Finding(
        saw=say("{what}: {answers}", what=first.what, answers=answers),
        expected="one answer to each question",
        fix=("ldconfig -p | grep -E 'libcuda|libnvidia-ml'; echo $LD_LIBRARY_PATH; which -a nvidia-smi", "sudo reboot"),
        severity="warning",
        confidence="likely",
        evidence=tuple(map(str, found[1:])),
    )


def _fabric_is_down(fabric: Fabric | Unknown, gpus: Gpus | Unknown) -> bool:
    down = isinstance(fabric, Fabric) and fabric.active is False
    return down or (isinstance(gpus, Gpus) and any(gpu.fabric_waits for gpu in gpus.found))


def _all_uncut(gpus: Gpus | Unknown) -> bool:
    return isinstance(gpus, Gpus) and gpus.uncut == gpus.found


def _all_hidden(variables: CudaVariables, gpus: Gpus | Unknown, pci: PciGpus | Unknown) -> bool:
    count = num_gpus(gpus, pci)
    return count > 0 and variables.left_of(count) == 0


def _all_refused(pci: PciGpus | Unknown, module: KernelModule) -> bool:
    """Whether the loaded module takes none of the GPUs on the bus."""
    if module.loaded is None or isinstance(pci, Unknown) or not pci.found:
        return False
    return not any(
        gpu.capability is None or drivers.drives(module.loaded, module.flavour, gpu.capability, gpu.name)
        for gpu in pci.found
    )


def _version(version: Version | None) -> str:
    return dotted_driver(version) if version else "another version"


def _differ(one: Version, other: Version) -> bool:
    """Return whether two versions differ as far as both go: a file name may carry fewer places."""
    places = min(len(one), len(other))
    return one[:places] != other[:places]


RULES = (
    library_matches_module,
    library_is_there,
    nodes_are_open,
    cuda_starts,
    driver_is_known,
    compat_fits,
    libcuda_is_no_stub,
    one_version_is_installed,
    sources_agree,
)
