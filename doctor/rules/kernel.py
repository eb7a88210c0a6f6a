"""DRV: NVIDIA's kernel module is built, accepted (`signing.py`), of the right kind, and holds the GPU."""

from doctor.compat import drivers
from doctor.facts import (
    Dkms,
    Flavour,
    KernelModule,
    ModuleFile,
    ModulePolicy,
    PciGpu,
    PciGpus,
    System,
    Unknown,
    Version,
)
from doctor.finding import Finding, rule
from doctor.rules.signing import OF_RED_HAT, lockdown_lets_it_in, secure_boot_lets_it_in
from doctor.words import say

INSTALL_DRIVER = "Debian: sudo apt install nvidia-driver; Ubuntu: sudo ubuntu-drivers install; then reboot"
BLACKLIST_NOUVEAU = (
    "where the NVIDIA driver is installed: printf 'blacklist nouveau\\noptions nouveau modeset=0\\n'"
    " | sudo tee /etc/modprobe.d/nouveau.conf && sudo update-initramfs -u && sudo reboot"
)
KIND = {"open": "the open kernel module", "proprietary": "the proprietary kernel module"}
OLDER_COMPILER = "unrecognized command"  # the kernel was built by a newer GCC than the one that builds the module


@rule("DRV01", "the NVIDIA kernel module is loaded where there is an NVIDIA GPU", category="driver")
def module_is_loaded(
    pci: PciGpus, module: KernelModule, system: System, dkms: Dkms | Unknown, policy: ModulePolicy | Unknown
) -> Finding | None:
    """Without the module nothing of CUDA works. The usual cause is a kernel update for which no module was built."""
    if not pci.found or module.loaded or module.nouveau or system.wsl or system.container or _held(pci, "vfio-pci"):
        return None
    on_disk = system.kernel in module.built_for
    known = policy if isinstance(policy, ModulePolicy) else ModulePolicy()
    if on_disk and ((system.secure_boot and not known.shim_off) or known.demands_signature):
        return None  # DRV10 and DRV14 say it better
    if _is_switched_off(module, system) or (not on_disk and isinstance(dkms, Dkms)):
        return None  # so do DRV16 and DRV12
    if on_disk:
        saw: str = say(
            "{gpus} is on the PCI bus, a module for kernel {kernel} is on disk, but it is not loaded",
            gpus=pci,
            kernel=system.kernel,
        )
        fix = ["sudo modprobe nvidia && nvidia-smi", "sudo dmesg | grep -i -E 'nvrm|nvidia' | tail"]
    elif module.built_for:
        saw = say(
            "{gpus} is on the PCI bus; the driver was built for {others}, not for {kernel}",
            gpus=pci,
            others=", ".join(module.built_for),
            kernel=system.kernel,
        )
        fix = [_build(system), "or boot the older kernel"]
    else:
        saw, fix = say("{gpus} is on the PCI bus, but no NVIDIA driver is installed", gpus=pci), [INSTALL_DRIVER]
    return Finding(saw=saw, expected="the module nvidia in /proc/modules", fix=tuple(fix))


@rule("DRV02", "nouveau does not hold the GPU", category="driver")
def nouveau_is_away(pci: PciGpus, module: KernelModule, system: System, dkms: Dkms | Unknown) -> Finding | None:
    """The kernel's own driver cannot run CUDA, and while it holds the GPU NVIDIA's cannot take it."""
    if module.loaded or not (_held(pci, "nouveau") or (pci.found and module.nouveau)):
        return None
    if isinstance(dkms, Dkms) and system.kernel not in module.built_for:
        return None  # nouveau only filled the gap: DRV12
    return Finding(
        saw=say("{gpus} is held by the driver nouveau", gpus=pci),
        expected="the driver nvidia",
        fix=(INSTALL_DRIVER, BLACKLIST_NOUVEAU),
    )


@rule("DRV12", "DKMS has built the NVIDIA module for the running kernel", category="driver")
def dkms_has_built_it(pci: PciGpus, module: KernelModule, system: System, dkms: Dkms) -> Finding | None:
    """A kernel update makes DKMS build anew; without headers, or with the wrong compiler, it fails and says little."""
    if not pci.found or module.loaded or system.container or system.kernel in module.built_for:
        return None
    built = "; ".join(map(str, dkms.builds))
    if dkms.built_for(system.kernel):
        saw: str = say(
            "DKMS built the module for {kernel}, but did not install it: {builds}", kernel=system.kernel, builds=built
        )
    elif dkms.headers:
        saw = say("DKMS has {builds}; nothing for the running kernel {kernel}", builds=built, kernel=system.kernel)
    else:
        saw = say(
            "DKMS has {builds}; nothing for the running kernel {kernel}, whose headers are not installed",
            builds=built,
            kernel=system.kernel,
        )
    newest = dkms.builds[-1]
    log = f"/var/lib/dkms/{newest.module}/{newest.version}/build/make.log"
    fix = [
        f"sudo dkms install -m {newest.module} -v {newest.version} -k {system.kernel}"
        if dkms.headers
        else _build(system),
        f"grep -n -m 3 'error:' {log}",
        "or boot the older kernel",
    ]
    if OLDER_COMPILER in dkms.error:
        fix.insert(
            0, "sudo apt install gcc-12 # or the GCC that /proc/version names: the module needs the kernel's own"
        )
    return Finding(
        saw=saw,
        expected=say("{module}, {kernel}: installed", module=f"{newest.module}/{newest.version}", kernel=system.kernel),
        fix=tuple(fix),
        evidence=(dkms.error,) if dkms.error else (),
    )


@rule("DRV13", "DKMS finds the headers of the running kernel", category="driver")
def headers_are_there(dkms: Dkms, module: KernelModule, system: System) -> Finding | None:
    """The module that is loaded works; the next update of the driver cannot be built."""
    if dkms.headers or module.loaded is None or system.container or system.wsl:
        return None
    return Finding(
        saw=say("DKMS keeps the NVIDIA module, and /lib/modules/{kernel}/build is missing", kernel=system.kernel),
        expected="the headers of the running kernel",
        fix=(f"sudo {_headers(system)}",),
        severity="note",
    )


@rule("DRV15", "the kernel module is of the kind that every GPU needs", category="driver")
def flavour_fits(pci: PciGpus, module: KernelModule, file: ModuleFile | Unknown) -> Finding | None:
    """Blackwell and Grace Hopper work with NVIDIA's open module only, GPUs before Turing with the proprietary one."""
    on_disk = file if isinstance(file, ModuleFile) else None
    flavour = module.flavour or (on_disk.flavour if on_disk else "")
    version = module.loaded or (on_disk.version if on_disk else None)
    if not flavour:
        return None
    for gpu in pci.found:
        needed = _needs(gpu)
        if not needed or needed == flavour or _is_dropped(version, gpu.capability):
            continue
        other = next((one for one in pci.found if _needs(one) not in {"", needed}), None)
        if other:
            return Finding(
                saw=say(
                    "{gpu} needs {kind}, {other} needs {its}",
                    gpu=gpu,
                    kind=KIND[needed],
                    other=other,
                    its=KIND[_needs(other)],
                ),
                expected="GPUs that one kernel module drives",
                fix=("only one of the two kinds can be loaded: take one of these GPUs out, or do without it",),
            )
        branch = version[0] if version else drivers.NEWEST_BRANCH
        package = f"nvidia-driver-{branch}" + ("-open" if needed == "open" else "")
        return Finding(
            saw=say("{gpu} has {kind}", gpu=gpu, kind=KIND[flavour]),
            expected=KIND[needed],
            fix=(
                f"sudo apt install {package} && sudo reboot",
                "sudo dmesg | grep -i nvrm # 'requires use of the NVIDIA open kernel modules' confirms it"
                if needed == "open"
                else "modinfo -F license nvidia # NVIDIA: proprietary; Dual MIT/GPL: open",
            ),
        )
    return None


@rule("DRV16", "nothing on this machine forbids the NVIDIA module", category="driver")
def module_is_not_switched_off(module: KernelModule, system: System, pci: PciGpus | Unknown) -> Finding | None:
    """On laptops `prime-select intel` switches the NVIDIA GPU off; a blacklist in modprobe.d does so anywhere."""
    if module.loaded or system.container or not _is_switched_off(module, system):
        return None
    if isinstance(pci, PciGpus) and _held(pci, "vfio-pci"):
        return None
    if module.prime == "off":
        return Finding(
            saw="prime-select has chosen the integrated graphics: /etc/prime-discrete says off",
            expected="on-demand or on",
            fix=("sudo prime-select on-demand && sudo reboot",),
        )
    return Finding(
        saw=say("{file} forbids the module nvidia", file=module.blacklisted_in),
        expected="no such line",
        fix=(
            say("take the line about nvidia out of {file}", file=module.blacklisted_in),
            "sudo update-initramfs -u && sudo reboot # Fedora, RHEL: sudo dracut --force",
        ),
        severity="problem" if isinstance(pci, PciGpus) and pci.found else "note",
    )


def _held(pci: PciGpus, driver: str) -> bool:
    return any(gpu.driver == driver for gpu in pci.found)


def _is_switched_off(module: KernelModule, system: System) -> bool:
    """Whether a module that is there may not load; where there is none, a left-over setting is not the cause."""
    return system.kernel in module.built_for and (module.prime == "off" or bool(module.blacklisted_in))


def _needs(gpu: PciGpu) -> Flavour:
    return drivers.needed_flavour(gpu.capability, gpu.name) if gpu.capability else ""


def _is_dropped(version: Version | None, capability: tuple[int, int] | None) -> bool:
    """Whether this branch does not know the GPU any more, which is DRV07's to say."""
    last = drivers.last_branch_for(capability) if capability else None
    return bool(version and last and version[0] > last)


def _build(system: System) -> str:
    return f"sudo {_headers(system)} && sudo dkms autoinstall"


def _headers(system: System) -> str:
    """Return the command that installs the running kernel's headers on this distribution."""
    if system.distribution.startswith(OF_RED_HAT):
        return f"dnf install kernel-devel-{system.kernel}"
    return f"apt install linux-headers-{system.kernel}"


RULES = (
    module_is_loaded,
    nouveau_is_away,
    secure_boot_lets_it_in,
    dkms_has_built_it,
    headers_are_there,
    lockdown_lets_it_in,
    flavour_fits,
    module_is_not_switched_off,
)
