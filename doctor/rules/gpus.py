"""DRV: GPU by GPU, CUDA may use it: visible, not cut into nothing, not full, not lost, its fabric set up."""

from doctor.compat import drivers
from doctor.compat import gpus as table
from doctor.facts import (
    GIB,
    CudaVariables,
    DriverLibraries,
    Fabric,
    Gpu,
    Gpus,
    KernelModule,
    PciGpus,
    System,
    Unknown,
    dotted_driver,
)
from doctor.finding import Finding, Goal, Severity, rule
from doctor.words import say

FABRIC_NOT_STARTED, FABRIC_IN_PROGRESS = 1, 2  # nvml.h
SERVICE = "nvidia-fabricmanager"
FULL = 10  # a GPU is called full where less than one part in ten is free


@rule("DRV21", "the fabric manager runs where NVSwitches join the GPUs", category="driver")
def fabric_is_up(
    fabric: Fabric | Unknown, gpus: Gpus | Unknown, module: KernelModule, libraries: DriverLibraries | Unknown
) -> Finding | None:
    """Until it has set up the switches, cuInit returns 802 on every GPU, although nvidia-smi shows them all."""
    severity: Severity = "warning" if isinstance(libraries, DriverLibraries) and libraries.cuda_code == 0 else "problem"
    known = fabric if isinstance(fabric, Fabric) else None
    waiting = [gpu for gpu in gpus.found if _is_waiting(gpu)] if isinstance(gpus, Gpus) else []
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
            saw=say("{count} NVSwitches are on the PCI bus, and the fabric manager does not run", count=known.switches),
            expected="nvidia-fabricmanager active, of exactly the driver's version",
            fix=(
                f"sudo systemctl enable --now {SERVICE}",
                f"where it is not installed: sudo apt install {SERVICE}-{branch}",
                f"journalctl -u {SERVICE} | tail",
            ),
            severity=severity,
        )
    if not waiting:
        return None
    return Finding(
        saw=say("the NVLink fabric of {count} GPUs is not set up yet", count=len(waiting)),
        expected="the state Completed",
        fix=("nvidia-smi -q | grep -A 2 Fabric # In Progress: wait a minute", f"sudo systemctl restart {SERVICE}"),
        severity=severity,
        confidence="likely",
    )


@rule("DRV22", "every GPU in MIG mode has instances", category="driver")
def mig_has_instances(gpus: Gpus) -> Finding | None:
    """A GPU in MIG mode is used by its instances only; without one CUDA sees nothing of it."""
    if not gpus.uncut:
        return None
    index = gpus.uncut[0].index or 0
    return Finding(
        saw=say("MIG is on without an instance: {gpus}", gpus=", ".join(map(_named, gpus.uncut))),
        expected="instances, or MIG off",
        fix=(
            f"sudo nvidia-smi -i {index} -mig 0 # the whole GPU again",
            f"sudo nvidia-smi mig -i {index} -cgi 0 -C # one instance of full size; nvidia-smi mig -lgip lists others",
        ),
        severity="problem" if gpus.uncut == gpus.found else "warning",
    )


@rule("DRV23", "CUDA_VISIBLE_DEVICES names GPUs that exist", category="driver")
def visible_devices_exist(
    variables: CudaVariables, gpus: Gpus | Unknown, pci: PciGpus | Unknown, goal: Goal
) -> Finding | None:
    """CUDA reads the list up to the first entry that names no GPU; an empty list hides every GPU."""
    count = _count(gpus, pci)
    if variables.chosen is None or not count:
        return None
    left = variables.left_of(count)
    if left and left == len(variables.chosen):
        return None
    if not variables.chosen:
        saw: str = say("CUDA_VISIBLE_DEVICES is set and empty: it hides all {count} GPUs", count=count)
    elif left:
        saw = say(
            "CUDA_VISIBLE_DEVICES={value} names {entry}, which is none of the {count} GPUs: it ends there",
            value=variables.visible,
            entry=variables.chosen[left],
            count=count,
        )
    else:
        saw = say("CUDA_VISIBLE_DEVICES={value} hides all {count} GPUs", value=variables.visible, count=count)
    hidden: Severity = "note" if goal.kind in {"build-ext", "docker"} else "problem"
    return Finding(
        saw=saw,
        expected=say("indices from 0 to {last}, or UUIDs of nvidia-smi -L", last=count - 1),
        fix=("unset CUDA_VISIBLE_DEVICES", "grep -rn CUDA_VISIBLE_DEVICES ~/.bashrc ~/.profile /etc/environment"),
        severity=hidden if left == 0 else "warning",
    )


@rule("DRV24", "GPU numbers mean the same to CUDA and to nvidia-smi", category="driver")
def order_is_fixed(gpus: Gpus, variables: CudaVariables) -> Finding | None:
    """CUDA numbers GPUs by speed, nvidia-smi by their place on the bus; on a mixed machine index 0 may be two GPUs."""
    names = dict.fromkeys(gpu.name for gpu in gpus.found)
    if len(names) < 2 or variables.order == "PCI_BUS_ID":
        return None
    by_index = any(entry.isdigit() for entry in variables.chosen or ())
    return Finding(
        saw=say("{gpus}, and CUDA_DEVICE_ORDER is not PCI_BUS_ID", gpus=", ".join(names)),
        expected="one numbering, on a machine with different GPUs",
        fix=("export CUDA_DEVICE_ORDER=PCI_BUS_ID",),
        severity="warning" if by_index else "note",
    )


@rule("DRV25", "every GPU has free memory", category="cuda-oom")
def memory_is_free(gpus: Gpus, goal: Goal) -> Finding | None:
    """What another process holds, this one cannot have: the first batch ends in `CUDA out of memory`."""
    full = [gpu for gpu in gpus.found if _is_full(gpu)]
    if not full:
        return None
    words = "; ".join(_use(gpu) for gpu in full)
    empty = [str(gpu.index) for gpu in gpus.found if gpu.index is not None and gpu.free and not _is_full(gpu)]
    others = (f"export CUDA_VISIBLE_DEVICES={','.join(empty)} # the GPUs with room",) if empty else ()
    return Finding(
        saw=say("nearly all memory is taken: {gpus}", gpus=words),
        expected="room for a run; BEVFormer tiny trains in about 6.5 GiB",
        fix=(*others, "nvidia-smi # its last table names the processes; end those that are yours"),
        severity="note" if goal.kind in {"build-ext", "docker"} else "warning",
    )


@rule("DRV26", "every GPU lets a program in", category="driver")
def compute_mode_is_open(gpus: Gpus) -> Finding | None:
    """In the mode Prohibited no program gets a context, in Exclusive_Process only one: others get error 46."""
    closed = [gpu for gpu in gpus.found if gpu.compute_mode == "prohibited"]
    taken = [gpu for gpu in gpus.found if gpu.compute_mode == "exclusive"]
    if not closed and not taken:
        return None
    first = (closed or taken)[0]
    in_use = bool(closed) or any(gpu.processes for gpu in taken)
    if closed:
        saw: str = say("the compute mode of {gpu} is Prohibited", gpu=_named(first))
    else:
        saw = say("the compute mode of {gpu} is Exclusive_Process", gpu=_named(first))
    return Finding(
        saw=saw,
        expected="the compute mode Default",
        fix=(f"sudo nvidia-smi -i {first.index or 0} -c DEFAULT",),
        severity="problem" if in_use else "note",
    )


@rule("DRV27", "every GPU that the driver holds answers", category="driver")
def all_gpus_answer(gpus: Gpus, pci: PciGpus | Unknown, system: System) -> Finding | None:
    """A GPU that fell off the bus (Xid 79) or needs a reset takes programs down that count on it."""
    held = [gpu for gpu in pci.found if gpu.driver == "nvidia"] if isinstance(pci, PciGpus) else []
    absent = len(held) - len(gpus.found) if gpus.source != "libcuda" and not system.container else 0
    if not gpus.lost and absent <= 0:
        return None
    if gpus.lost:
        saw: str = say("{count} GPUs do not answer, NVML code {codes}", count=len(gpus.lost), codes=_codes(gpus.lost))
    else:
        saw = say(
            "the driver holds {held} GPUs on the PCI bus and shows {shown}", held=len(held), shown=len(gpus.found)
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
        saw=say("uncorrected memory errors, or a row to be remapped: {gpus}", gpus=", ".join(map(_named, bad))),
        expected="none since the driver was loaded",
        fix=(
            "nvidia-smi -q -d ECC,ROW_REMAPPER",
            f"sudo nvidia-smi --gpu-reset -i {bad[0].index or 0} # no program may use it; if they come back: replace it",
        ),
        severity="warning",
    )


@rule("DRV29", "the doctor's table knows every GPU on the PCI bus", category="driver")
def gpus_are_known(pci: PciGpus) -> Finding | None:
    """Without the driver a GPU is known by its PCI id only; of one that is not in the table nothing can be judged."""
    new = [gpu for gpu in pci.found if gpu.capability is None]
    if not new:
        return None
    return Finding(
        saw=say(
            "{gpus} is not in the table of PCI ids of {date}",
            gpus=", ".join(f"10de:{gpu.device_id}" for gpu in new),
            date=table.AS_OF,
        ),
        expected="a GPU from Kepler on that was sold before that date",
        fix=("nothing to do where the driver runs: it names the GPU and its compute capability itself",),
        severity="note",
    )


@rule("DRV30", "data-centre GPUs stay awake between programs", category="driver")
def persistence_is_on(gpus: Gpus) -> Finding | None:
    """Without persistence the driver lets an idle GPU go: each program's start takes seconds longer."""
    asleep = [gpu for gpu in gpus.found if gpu.persistence is False and drivers.is_data_centre(gpu.name)]
    if not asleep:
        return None
    return Finding(
        saw=say("persistence mode is off: {gpus}", gpus=", ".join(map(_named, asleep))),
        expected="on, on a server",
        fix=("sudo systemctl enable --now nvidia-persistenced", "or until the next reboot: sudo nvidia-smi -pm 1"),
        severity="note",
    )


def _count(gpus: Gpus | Unknown, pci: PciGpus | Unknown) -> int:
    """Return how many GPUs there are; libcuda counts only the visible ones, so it is not asked."""
    if isinstance(gpus, Gpus) and gpus.source != "libcuda":
        return len(gpus.found)
    return sum(gpu.driver == "nvidia" for gpu in pci.found) if isinstance(pci, PciGpus) else 0


def _is_waiting(gpu: Gpu) -> bool:
    return gpu.fabric in {FABRIC_NOT_STARTED, FABRIC_IN_PROGRESS}


def _is_full(gpu: Gpu) -> bool:
    return gpu.memory is not None and gpu.free is not None and gpu.free * FULL < gpu.memory


def _named(gpu: Gpu) -> str:
    return gpu.name if gpu.index is None else f"GPU {gpu.index} {gpu.name}"


def _use(gpu: Gpu) -> str:
    free, whole = (gpu.free or 0) / GIB, (gpu.memory or 0) / GIB
    if gpu.processes is None:
        return say("{gpu}: {free} of {whole} GiB free", gpu=_named(gpu), free=f"{free:.1f}", whole=f"{whole:.0f}")
    return say(
        "{gpu}: {free} of {whole} GiB free, {count} processes",
        gpu=_named(gpu),
        free=f"{free:.1f}",
        whole=f"{whole:.0f}",
        count=gpu.processes,
    )


def _codes(codes: tuple[int, ...]) -> str:
    return ", ".join(map(str, dict.fromkeys(codes)))


RULES = (
    fabric_is_up,
    mig_has_instances,
    visible_devices_exist,
    order_is_fixed,
    memory_is_free,
    compute_mode_is_open,
    all_gpus_answer,
    memory_is_sound,
    gpus_are_known,
    persistence_is_on,
)
