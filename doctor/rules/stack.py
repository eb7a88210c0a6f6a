"""STK: the machine can carry a pinned stack: driver, GPU, Python, C library, room. Choosing: `advise.py`."""

from doctor.compat.archs import coverage
from doctor.compat.drivers import last_branch_for
from doctor.compat.recipes import need_of
from doctor.facts import (
    GIB,
    Disk,
    Driver,
    Gpus,
    Memory,
    Packages,
    PciGpus,
    Pythons,
    System,
    Unknown,
    Version,
    dotted,
    dotted_driver,
)
from doctor.finding import Finding, Goal, rule
from doctor.stacks import Stacks
from doctor.words import say

MEMORY_OF_SMOKE_RUN = 8 * GIB


@rule("STK01", "the driver is new enough for a pinned stack", category="driver-too-old-for-cuda")
def driver_runs_a_stack(driver: Driver, gpus: Gpus | Unknown, stacks: Stacks) -> Finding | None:
    """Within one CUDA major any driver of that major runs the code, so few are too old."""
    if any(driver.reaches(stack.min_driver, stack.cuda) for stack in stacks.known):
        return None
    needed = min(stack.min_driver for stack in stacks.known)
    return Finding(
        saw=say("{driver} is older than every pinned stack needs", driver=driver),
        expected=say("{version} or newer", version=dotted_driver(needed)),
        fix=(
            _newer_driver(gpus, needed),
            "or work on the CPU: BEVREADY_STACK=cu130 ./bevready repro …",
        ),
    )


@rule("STK02", "a pinned stack carries code for every GPU", category="gpu-arch-unsupported")
def stack_covers_gpus(gpus: Gpus, system: System, stacks: Stacks) -> Finding | None:
    """A GPU without code of its own major version and without PTX says `no kernel image is available`."""
    for gpu in gpus.found:
        if all(coverage(stack.archs_for(system.machine), gpu.capability) == "none" for stack in stacks.known):
            return Finding(
                saw=say("no pinned stack has code for {gpu} on {machine}", gpu=gpu, machine=system.machine),
                expected=say(
                    "one of: {archs}",
                    archs="; ".join(f"{s.name}: {' '.join(s.archs_for(system.machine))}" for s in stacks.known),
                ),
                fix=(
                    "hide this GPU: export CUDA_VISIBLE_DEVICES=…",
                    "or work on the CPU: BEVREADY_STACK=cu130 ./bevready …",
                ),
                severity="problem" if len(gpus.found) == 1 else "warning",
            )
    return None


@rule("STK03", "there is a GPU to run on", category="other")
def there_is_a_gpu(pci: PciGpus | Unknown, gpus: Gpus | Unknown) -> Finding | None:
    """Everything runs without one, but training BEVFormer takes months on a CPU."""
    if not isinstance(gpus, Unknown) or not gpus.looked or (isinstance(pci, PciGpus) and pci.found):
        return None
    return Finding(
        saw="no NVIDIA GPU is attached to this machine",
        expected="one, for training",
        fix=("nothing for trying out: the stack cu130 runs on the CPU", "for training: take a machine with a GPU"),
        severity="note",
    )


@rule("STK04", "a Python that the stacks support is installed", category="python-version")
def python_is_in_range(pythons: Pythons, stacks: Stacks) -> Finding | None:
    """Wheels exist only for the Pythons they were built for."""
    low = min(stack.python_min for stack in stacks.known)
    high = max(stack.python_max for stack in stacks.known)
    if any(low <= python.version[:2] <= high for python in pythons.found):
        return None
    return Finding(
        saw=say("found Python {pythons}", pythons=pythons),
        expected=say("Python {low} to {high}", low=dotted(low), high=dotted(high)),
        fix=("sudo apt install python3 python3-venv", "or, without root: uv python install 3.11"),
    )


@rule("STK05", "Python can make virtual environments", category="python-version")
def python_has_venv(pythons: Pythons, stacks: Stacks) -> Finding | None:
    """Debian and Ubuntu split venv and ensurepip off into a package of their own."""
    low = min(stack.python_min for stack in stacks.known)
    high = max(stack.python_max for stack in stacks.known)
    fitting = [python for python in pythons.found if low <= python.version[:2] <= high]
    if not fitting or any(python.has_venv for python in fitting):
        return None
    version = dotted(fitting[0].version[:2])
    return Finding(
        saw=say("{python} lacks the modules venv or ensurepip", python=fitting[0]),
        expected="both modules",
        fix=(f"sudo apt install python{version}-venv",),
    )


@rule("STK06", "the C library is new enough for the wheels", category="glibc-or-libstdcxx")
def glibc_is_new_enough(pythons: Pythons, stacks: Stacks) -> Finding | None:
    """The wheels are manylinux_2_28: on an older glibc, or on musl, pip finds none and says nothing of the reason."""
    needed = min(stack.glibc_min for stack in stacks.known)
    own = pythons.found[0]
    if own.glibc is not None and own.glibc >= needed:
        return None
    return Finding(
        saw=say("the C library is glibc {version}", version=dotted(own.glibc))
        if own.glibc
        else "the C library is not glibc",
        expected=say("glibc {needed} or newer (Debian 10, Ubuntu 18.10, RHEL 8 or newer)", needed=dotted(needed)),
        fix=("use the container: ./bevready docker-run needs only a driver on the host", "or a newer distribution"),
    )


@rule("STK07", "the disk has room for a stack", category="other")
def disk_has_room(disk: Disk, packages: Packages | Unknown, stacks: Stacks) -> Finding | None:
    """PyTorch with its CUDA libraries unpacks to about 6 GB, and pip keeps the wheels it fetched."""
    installed = isinstance(packages, Packages) and packages.of("torch") is not None
    needed = min(stack.disk for stack in stacks.known)
    if installed or disk.free >= needed:
        return None
    return Finding(
        saw=say("{free} GiB free at {path}", free=f"{disk.free / GIB:.1f}", path=disk.path),
        expected=say("{needed} GiB to install a stack", needed=f"{needed / GIB:.0f}"),
        fix=(
            "free some room: pip cache purge; docker system prune",
            "or elsewhere: BEVREADY_VENV=/big/disk/venv ./bevready …",
        ),
    )


@rule("STK08", "there is memory for the smoke run", category="other")
def memory_is_enough(memory: Memory) -> Finding | None:
    """The smoke run of bevformer_tiny peaks below 8 GiB; the kernel ends what asks for more, with the word `Killed`."""
    if memory.available >= MEMORY_OF_SMOKE_RUN:
        return None
    return Finding(
        saw=say("{free} GiB of memory available", free=f"{memory.available / GIB:.1f}"),
        expected="8 GiB",
        fix=("close what else runs", "raise the container's limit: docker run --memory=16g …"),
        severity="warning",
    )


@rule("STK09", "the CPU is one that the wheels exist for", category="other")
def cpu_is_supported(system: System) -> Finding | None:
    """The locked packages come as wheels for x86_64 and aarch64 only."""
    if system.machine in {"x86_64", "aarch64"}:
        return None
    return Finding(
        saw=say("this CPU is {machine}", machine=system.machine),
        expected="x86_64 or aarch64",
        fix=("use another machine: PyTorch publishes no wheels for this one",),
    )


@rule("STK10", "the installed packages are those of a pinned stack", category="dependency-pin")
def environment_is_pinned(packages: Packages, stacks: Stacks, goal: Goal) -> Finding | None:
    """A number is reproduced in a known environment or not at all."""
    torch = packages.of("torch")
    if torch is None or any(torch.split("+")[0] == stack.torch for stack in stacks.known):
        return None
    return Finding(
        saw=say("torch {torch} is installed for {python}", torch=torch, python=packages.python),
        expected=say("torch {known}", known=", ".join(f"{stack.torch} ({stack.name})" for stack in stacks.known)),
        fix=("./bevready repro … installs a pinned stack into .venv and uses that",),
        severity="warning" if goal.kind == "recipe" else "note",
        repair=(("recreate",),),
    )


@rule("STK11", "a GPU has the memory that training the recipe takes", category="cuda-oom")
def memory_trains_recipe(gpus: Gpus, goal: Goal) -> Finding | None:
    """24 GB cards cannot train bevformer_base in fp32; evaluating it takes a fraction."""
    need = need_of(goal.recipe) if goal.kind == "recipe" else None
    sizes = [gpu.memory for gpu in gpus.found if gpu.memory]
    if need is None or not sizes or max(sizes) >= need.training:
        return None
    return Finding(
        saw=str(gpus),
        expected=say("{need} GiB on one GPU to train {recipe}", need=f"{need.training / GIB:.1f}", recipe=goal.recipe),
        fix=("evaluate only: --eval-only --checkpoint FILE", "or train a smaller recipe: bevformer_tiny takes 6.3 GiB"),
        severity="warning",
        confidence="likely",
    )


def _newer_driver(gpus: Gpus | Unknown, needed: Version) -> str:
    """Return how to get a newer driver, or that the GPU's last one came before it."""
    for gpu in gpus.found if isinstance(gpus, Gpus) else ():
        last = last_branch_for(gpu.capability)
        if last and last < needed[0]:
            return say(
                "keep this driver: {branch} is the last branch for {gpu}; another GPU is needed", branch=last, gpu=gpu
            )
    return "install a newer driver (Ubuntu: sudo ubuntu-drivers install; Debian: sudo apt install nvidia-driver)"


RULES = (
    driver_runs_a_stack,
    stack_covers_gpus,
    there_is_a_gpu,
    python_is_in_range,
    python_has_venv,
    glibc_is_new_enough,
    disk_has_room,
    memory_is_enough,
    cpu_is_supported,
    environment_is_pinned,
    memory_trains_recipe,
)
