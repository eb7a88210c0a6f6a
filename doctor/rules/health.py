"""DRV: no GPU is lost, damaged or asleep, and the fabric between them is set up."""

from doctor.compat import drivers
from doctor.facts import (
    CudaVariables,
    DriverLibraries,
    Fabric,
    Gpus,
    KernelModule,
    PciGpu,
    PciGpus,
    System,
    Unknown,
    dotted_driver,
)
from doctor.finding import Finding, Severity, rule
from doctor.words import say

SERVICE = "nvidia-fabricmanager"


@rule("DRV21", "the fabric manager runs where NVSwitches join the GPUs", category="driver")
def fabric_is_up(
    fabric: Fabric | Unknown, gpus: Gpus | Unknown, module: KernelModule, libraries: DriverLibraries | Unknown
) -> Finding | None:
    """Until it has set up the switches, cuInit returns 802 on every GPU, although nvidia-smi shows them all."""
    works = isinstance(libraries, DriverLibraries) and libraries.cuda_code == 0
    severity: Severity = "warning" if works else "problem"
    known = fabric if isinstance(fabric, Fabric) else None
    waiting = [gpu for gpu in gpus.found if gpu.fabric_waits] if isinstance(gpus, Gpus) else []
    branch = module.loaded[0] if module.loaded else drivers.NEWEST_BRANCH
    if known and module.loaded and known.version and known.version != module.loaded:
        return Finding(
            saw=say(
                "the fabric manager is {version}, the driver {driver}",
                version=dotted_driver(known.version),
                driver=dotted_driver(module.loaded),
            ),
            expected="exactly one version of both",
            fix=(f"sudo apt install --reinstall {SERVICE}-{branch} && sudo systemctl restart {SERVICE}",),
            severity=severity,
        )
    if known and known.active is False:
        return Finding(
            saw=say("NVSwitches on the PCI bus: {count}; the fabric manager does not run", count=known.switches),
            expected="nvidia-fabricmanager active, of exactly the driver's version",
            fix=(
                f"sudo systemctl enable --now {SERVICE}",
                say("where it is not installed: sudo apt install nvidia-fabricmanager-{branch}", branch=branch),
                f"journalctl -u {SERVICE} | tail",
            ),
            severity=severity,
        )
    if works or not waiting:
        return None
    return Finding(
        saw=say("the NVLink fabric is not set up yet: {gpus}", gpus=", ".join(gpu.label for gpu in waiting)),
        expected="the state Completed",
        fix=("nvidia-smi -q | grep -A 2 Fabric # In Progress: wait a minute", f"sudo systemctl restart {SERVICE}"),
        severity=severity,
        confidence="likely",
    )


@rule("DRV27", "every GPU that the driver holds answers", category="driver")
def all_gpus_answer(
    gpus: Gpus, pci: PciGpus | Unknown, module: KernelModule, system: System, variables: CudaVariables
) -> Finding | None:
    """A GPU that fell off the bus (Xid 79) or needs a reset takes programs down that count on it."""
    held = [gpu for gpu in pci.found if _is_driven(gpu, module)] if isinstance(pci, PciGpus) else []
    confined = gpus.source == "libcuda" or system.container or variables.in_job
    if not gpus.lost and (confined or len(held) <= len(gpus.found)):
        return None
    if gpus.lost:
        saw: str = say(
            "the driver counts GPUs that it cannot open: {count} (NVML code {codes})",
            count=len(gpus.lost),
            codes=_codes(gpus.lost),
        )
    else:
        saw = say(
            "the driver holds {held} of the GPUs on the PCI bus and shows {shown}",
            held=len(held),
            shown=len(gpus.found),
        )
    return Finding(
        saw=saw,
        expected="every GPU answers",
        fix=(
            "sudo dmesg | grep -i -E 'xid|fallen off|nvrm' | tail # Xid 79: power, heat or the slot",
            "sudo nvidia-smi --gpu-reset, else switch the machine off and on: a warm reboot may not bring it back",
        ),
        severity="problem" if gpus.lost else "warning",
        confidence="sure" if gpus.lost else "likely",
    )


@rule("DRV28", "no GPU reports uncorrected memory errors", category="driver")
def memory_is_sound(gpus: Gpus) -> Finding | None:
    """An uncorrected error ends the program that meets it; a row that waits to be remapped needs a reset."""
    bad = [gpu for gpu in gpus.found if gpu.memory_errors or gpu.remap_pending]
    if not bad:
        return None
    return Finding(
        saw=say("uncorrected memory errors, or a row to be remapped: {gpus}", gpus=", ".join(gpu.label for gpu in bad)),
        expected="none since the driver was loaded",
        fix=(
            "nvidia-smi -q -d ECC,ROW_REMAPPER",
            say("sudo nvidia-smi --gpu-reset -i {index} # while no program uses it", index=bad[0].index or 0),
            "if they come back after a reset: have the GPU replaced",
        ),
        severity="warning",
    )


@rule("DRV30", "data-centre GPUs stay awake between programs", category="driver")
def persistence_is_on(gpus: Gpus) -> Finding | None:
    """Without persistence the driver lets an idle GPU go: each program's start takes seconds longer."""
    asleep = [gpu for gpu in gpus.found if gpu.persistence is False and drivers.is_data_centre(gpu.name)]
    if not asleep:
        return None
    return Finding(
        saw=say("persistence mode is off: {gpus}", gpus=", ".join(gpu.label for gpu in asleep)),
        expected="on, on a server",
        fix=("sudo systemctl enable --now nvidia-persistenced", "or until the next reboot: sudo nvidia-smi -pm 1"),
        severity="note",
    )


def _is_driven(gpu: PciGpu, module: KernelModule) -> bool:
    """Whether the driver holds this GPU and is one that can use it; else DRV07 or DRV15 speak."""
    if gpu.driver != "nvidia" or module.loaded is None:
        return False
    return gpu.capability is None or drivers.drives(module.loaded, module.flavour, gpu.capability, gpu.name)


def _codes(codes: tuple[int, ...]) -> str:
    return ", ".join(map(str, dict.fromkeys(codes)))


RULES = (fabric_is_up, all_gpus_answer, memory_is_sound, persistence_is_on)
