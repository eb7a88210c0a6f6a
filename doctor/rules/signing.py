"""DRV: Secure Boot and the kernel's lockdown let NVIDIA's module in; `kernel.py` lists these rules among its own."""

from doctor.compat import drivers
from doctor.facts import KernelModule, ModuleFile, ModulePolicy, PciGpus, System, Unknown
from doctor.finding import Finding, rule
from doctor.words import say

ENROL = "sudo mokutil --import /var/lib/shim-signed/mok/MOK.der # then reboot and enrol the key in the blue screen"
ENROL_DKMS = "sudo mokutil --import /var/lib/dkms/mok.pub # then reboot and enrol the key in the blue screen"
OF_RED_HAT = ("Red Hat", "Rocky", "AlmaLinux", "CentOS", "Fedora", "Oracle", "Amazon")


@rule("DRV10", "Secure Boot lets the NVIDIA module in", category="secure-boot")
def secure_boot_lets_it_in(
    pci: PciGpus, module: KernelModule, system: System, file: ModuleFile | Unknown, policy: ModulePolicy | Unknown
) -> Finding | None:
    """With Secure Boot the kernel loads only modules signed with a key that the firmware or the user enrolled."""
    rejected = system.secure_boot and system.kernel in module.built_for and not module.loaded and not module.nouveau
    if isinstance(policy, ModulePolicy) and policy.shim_off:
        return None
    if not pci.found or not rejected or system.container:
        return None
    return Finding(
        saw=say(
            "Secure Boot is on, a module for kernel {kernel} is on disk ({signature}), and it is not loaded",
            kernel=system.kernel,
            signature=_signature(file),
        ),
        expected="a module signed with an enrolled key",
        fix=(
            "sudo modprobe nvidia # 'Key was rejected by service' confirms it",
            *_how_to_sign(file, system),
            "or switch Secure Boot off in the firmware",
        ),
        confidence="sure" if isinstance(file, ModuleFile) and file.signed is False else "likely",
    )


@rule("DRV14", "the kernel's lockdown lets the NVIDIA module in", category="secure-boot")
def lockdown_lets_it_in(module: KernelModule, system: System, policy: ModulePolicy, file: ModuleFile) -> Finding | None:
    """Lockdown and sig_enforce refuse unsigned modules also where Secure Boot is off or cannot be seen."""
    refused = policy.demands_signature and not module.loaded and not module.nouveau
    if not refused or system.secure_boot or system.container or system.wsl:
        return None
    return Finding(
        saw=say(
            "the kernel demands signed modules ({mode}); NVIDIA's is on disk ({signature}) and not loaded",
            mode="sig_enforce" if policy.sig_enforce else f"lockdown {policy.lockdown}",
            signature=_signature(file),
        ),
        expected="a signed module, or a kernel that does not demand one",
        fix=(
            "sudo modprobe nvidia; sudo dmesg | grep -i -E 'lockdown|signature|rejected' | tail",
            *_how_to_sign(file, system),
            "or take lockdown= and module.sig_enforce out of the kernel's command line",
        ),
        confidence="guess" if file.signed else "likely" if file.signed is None else "sure",
    )


def _signature(file: ModuleFile | Unknown) -> str:
    if isinstance(file, Unknown) or file.signed is None:
        return "whether it is signed cannot be told"
    if not file.signed:
        return "not signed"
    if file.signer:
        return say("signed by {signer}; whether that key is enrolled, only mokutil can say", signer=file.signer)
    return "signed; whether the key is enrolled, only mokutil can say"


def _how_to_sign(file: ModuleFile | Unknown, system: System) -> tuple[str, ...]:
    if system.distribution.startswith(OF_RED_HAT):
        return ("sudo dkms autoinstall # DKMS signs with a key of its own", ENROL_DKMS)
    if isinstance(file, ModuleFile) and file.signed is False:
        branch = file.version[0] if file.version else drivers.NEWEST_BRANCH
        return (
            say("sudo apt install linux-modules-nvidia-{branch}-generic # Ubuntu: signed by Canonical", branch=branch),
            "sudo update-secureboot-policy --new-key && sudo dkms autoinstall",
            "sudo update-secureboot-policy --enroll-key # then reboot",
        )
    return (ENROL,)
