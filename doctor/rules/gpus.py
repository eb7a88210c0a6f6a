"""DRV: CUDA may use every GPU: visible, not cut into nothing, not full, not closed, known. Defects: `health.py`."""

from doctor.compat import drivers
from doctor.compat import gpus as table
from doctor.facts import (
    GIB,
    CudaVariables,
    Gpu,
    Gpus,
    KernelModule,
    PciGpus,
    Unknown,
    dotted_driver,
    num_gpus,
)
from doctor.finding import Finding, Goal, Severity, rule
from doctor.words import say

FULL = 10  # a GPU is called full where less than one part in ten is free


@rule("DRV07", "the driver still supports every GPU in the machine", category="driver")
def driver_supports_gpus(pci: PciGpus, module: KernelModule) -> Finding | None:
    """Branch 580 is the last for Maxwell, Pascal and Volta, 470 the last for Kepler."""
    if module.loaded is None:
        return None
    for gpu in pci.found:
        last = drivers.last_branch_for(gpu.capability) if gpu.capability else None
        if last and module.loaded[0] > last:
            return Finding(
                saw=say("driver {version} no longer supports {gpu}", version=dotted_driver(module.loaded), gpu=gpu),
                expected=say("branch {branch} or older for this GPU", branch=last),
                fix=(f"sudo apt install nvidia-driver-{last} && sudo reboot",),
            )
    return None


@rule("DRV09", "no GPU is set aside for a virtual machine", category="driver")
def gpu_is_not_passed_through(pci: PciGpus, gpus: Gpus | Unknown) -> Finding | None:
    """vfio-pci holds a GPU so that a guest may have it; the host cannot use it meanwhile."""
    if not any(gpu.driver == "vfio-pci" for gpu in pci.found):
        return None
    return Finding(
        saw=say("{gpus} is held by vfio-pci", gpus=pci),
        expected="the driver nvidia",
        fix=("work in the guest, or give the GPU back to the host: sudo virsh nodedev-reattach DEVICE",),
        severity="problem" if isinstance(gpus, Unknown) else "note",
    )


@rule("DRV22", "every GPU in MIG mode has instances", category="driver")
def mig_has_instances(gpus: Gpus, module: KernelModule) -> Finding | None:
    """A GPU in MIG mode is used by its instances only; without one CUDA sees nothing of it."""
    if any(gpu.mig_instances for gpu in gpus.found) and not module.caps:
        return Finding(
            saw="MIG instances exist, and /dev/nvidia-caps does not",
            expected="the device files of the instances",
            fix=("sudo nvidia-modprobe -f /proc/driver/nvidia/capabilities/mig/config && nvidia-smi -L",),
            severity="warning",
            confidence="likely",
        )
    if not gpus.uncut:
        return None
    index = gpus.uncut[0].index or 0
    return Finding(
        saw=say("MIG is on without an instance: {gpus}", gpus=", ".join(gpu.label for gpu in gpus.uncut)),
        expected="instances, or MIG off",
        fix=(
            say("sudo nvidia-smi -i {index} -mig 0 # the whole GPU again", index=index),
            say(
                "sudo nvidia-smi mig -i {index} -cgi 0 -C # one of full size; nvidia-smi mig -lgip lists others",
                index=index,
            ),
        ),
        severity="problem" if gpus.uncut == gpus.found else "warning",
    )


@rule("DRV23", "CUDA_VISIBLE_DEVICES names GPUs that exist", category="driver")
def visible_devices_exist(
    variables: CudaVariables, gpus: Gpus | Unknown, pci: PciGpus | Unknown, goal: Goal
) -> Finding | None:
    """CUDA reads the list up to the first entry that names no GPU; an empty list hides every GPU."""
    count = num_gpus(gpus, pci)
    if variables.chosen is None or not count:
        return None
    left = variables.left_of(count)
    if left and left == len(variables.chosen):
        return None
    if not variables.chosen:
        saw: str = "CUDA_VISIBLE_DEVICES is set and empty: it hides every GPU"
    elif left:
        saw = say(
            "CUDA_VISIBLE_DEVICES={value} names {entry}, which is no GPU here (there are {count}): the list ends there",
            value=variables.visible,
            entry=variables.chosen[left],
            count=count,
        )
    else:
        saw = say("CUDA_VISIBLE_DEVICES={value} hides every GPU", value=variables.visible)
    hidden: Severity = "note" if goal.kind in {"build-ext", "docker"} else "problem"
    return Finding(
        saw=saw,
        expected=say("indices below {count}, or UUIDs of nvidia-smi -L", count=count),
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
    full = [(gpu, room) for gpu in gpus.found if (room := _room(gpu)) and _is_full(room)]
    if not full:
        return None
    words = ", ".join(f"{gpu.label} {free / GIB:.1f} / {whole / GIB:.0f} GiB" for gpu, (free, whole) in full)
    with_room = [gpu for gpu in gpus.found if (room := _room(gpu)) and not _is_full(room)]
    empty = [str(gpu.index) for gpu in with_room if gpu.index is not None]
    others = (say("export CUDA_VISIBLE_DEVICES={list} # the GPUs with room", list=",".join(empty)),) if empty else ()
    return Finding(
        saw=say("nearly all memory is taken (free / all): {gpus}", gpus=words),
        expected="room for a run; BEVFormer tiny trains in about 6.5 GiB",
        fix=(*others, "nvidia-smi # its last table names the processes; end those that are yours"),
        severity="note" if goal.kind in {"build-ext", "docker"} else "warning",
        evidence=tuple(f"{gpu.label}: {gpu.processes} processes" for gpu, _ in full if gpu.processes is not None),
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
        saw: str = say("the compute mode of {gpu} is Prohibited", gpu=first.label)
    else:
        saw = say("the compute mode of {gpu} is Exclusive_Process", gpu=first.label)
    return Finding(
        saw=saw,
        expected="the compute mode Default",
        fix=(f"sudo nvidia-smi -i {first.index or 0} -c DEFAULT",),
        severity="problem" if in_use else "note",
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


def _room(gpu: Gpu) -> tuple[int, int] | None:
    """Return a GPU's free and whole memory, None where one of them is not told."""
    return (gpu.free, gpu.memory) if gpu.free is not None and gpu.memory is not None else None


def _is_full(room: tuple[int, int]) -> bool:
    free, whole = room
    return free * FULL < whole


RULES = (
    driver_supports_gpus,
    gpu_is_not_passed_through,
    mig_has_instances,
    visible_devices_exist,
    order_is_fixed,
    memory_is_free,
    compute_mode_is_open,
    gpus_are_known,
)
