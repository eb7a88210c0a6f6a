"""TOR: the installed PyTorch imports, reaches the GPUs, and fits its neighbours. Which to install: `advise.py`."""

from doctor.compat import drivers
from doctor.compat.archs import coverage
from doctor.compat.torch import AS_OF, NEWEST, archs_of, torch_row
from doctor.facts import Driver, Gpus, Packages, PciGpus, System, Torch, Unknown, dotted, dotted_driver
from doctor.finding import Finding, rule
from doctor.stacks import Stacks
from doctor.versions import find_version, parse_version
from doctor.words import say

NUMPY_2 = (2,)
PINNED = "./bevready repro … installs a pinned stack into .venv and uses that"


@rule("TOR01", "torch imports", category="other")
def torch_imports(torch: Torch) -> Finding | None:
    """Only `--deep` tries; an installation cut short, or two mixed into one folder, fails here."""
    if torch.imported is not False:
        return None
    return Finding(
        saw=say("import torch fails: {error}", error=torch.import_error),
        expected="an import without words",
        fix=(
            "remove the environment and run ./bevready again",
            "elsewhere: pip install --force-reinstall --no-cache-dir torch",
        ),
        repair=(("recreate",),),
    )


@rule("TOR02", "torch is a CUDA build where there is a GPU", category="torch-cpu-only-build")
def torch_is_a_cuda_build(
    *,
    torch: Torch,
    gpus: Gpus | Unknown,
    pci: PciGpus | Unknown,
    system: System,
    driver: Driver | Unknown,
    packages: Packages,
    stacks: Stacks,
) -> Finding | None:
    """Resolvers take a CPU wheel silently; torch.cuda.is_available() is False and training crawls."""
    has_gpu = not isinstance(gpus, Unknown) or (isinstance(pci, PciGpus) and bool(pci.found))
    if torch.cuda is not None or not has_gpu:
        return None
    return Finding(
        saw=say(
            "torch {version} is a CPU-only build; here is {gpus}",
            version=torch.version,
            gpus=gpus if isinstance(gpus, Gpus) else pci,
        ),
        expected="a CUDA build",
        fix=(PINNED, *_reinstall(gpus if isinstance(gpus, Gpus) else pci, system, driver, packages, stacks)),
        repair=(("recreate",),),
    )


@rule("TOR03", "torch carries code for every GPU", category="gpu-arch-unsupported")
def torch_covers_gpus(
    *, torch: Torch, gpus: Gpus, system: System, driver: Driver | Unknown, packages: Packages, stacks: Stacks
) -> Finding | None:
    """Code of the same major version and an equal or lower minor runs; PTX is compiled at first use."""
    archs = _archs(torch, system)
    if archs is None:
        return None
    for gpu in gpus.found:
        reached = coverage(archs, gpu.capability)
        if reached == "native":
            continue
        words = {"version": torch.version, "archs": " ".join(archs), "gpu": gpu}
        if reached == "ptx":
            return Finding(
                saw=say("torch {version} carries {archs}; {gpu} runs from PTX: the first start takes minutes", **words),
                expected="code of its own major version",
                fix=("let the first start finish; its result stays in ~/.nv/ComputeCache",),
                severity="note",
            )
        return Finding(
            saw=say("torch {version} carries {archs}; {gpu} gets none of it", **words),
            expected="code of its major version, or PTX",
            fix=(PINNED, *_reinstall(gpus, system, driver, packages, stacks)),
        )
    return None


@rule("TOR04", "the driver is new enough for torch's CUDA", category="driver-too-old-for-cuda")
def driver_runs_torch(torch: Torch, driver: Driver) -> Finding | None:
    """From CUDA 11 on one driver runs every minor version of its major; what CUDA nvcc has does not matter here."""
    if torch.cuda is None:
        return None
    needed = drivers.min_driver(torch.cuda)
    if needed is None or driver.reaches(needed, torch.cuda):
        return None
    return Finding(
        saw=say(
            "torch {version} was built with CUDA {cuda}; {driver}",
            version=torch.version,
            cuda=dotted(torch.cuda),
            driver=driver,
        ),
        expected=say("driver {needed} or newer", needed=dotted_driver(needed)),
        fix=(
            "python3 -m doctor stack # names the pinned stack that this driver runs",
            "or a newer driver; on data-centre GPUs the package cuda-compat also does",
        ),
    )


@rule("TOR05", "torchvision belongs to this torch", category="ext-abi-mismatch")
def torchvision_matches(torch: Torch, packages: Packages) -> Finding | None:
    """Torchvision's operators are compiled against one torch; else `operator torchvision::nms does not exist`."""
    installed = packages.of("torchvision")
    row = torch_row(parse_version(torch.version))
    version = find_version(installed or "")
    if version is None or row is None or version[:2] == row.torchvision:
        return None
    wanted = dotted(row.torchvision)
    return Finding(
        saw=say("torchvision {installed} with torch {version}", installed=installed, version=torch.version),
        expected=say("torchvision {wanted}", wanted=wanted),
        fix=(f'pip install --force-reinstall --no-deps "torchvision=={wanted}.*"{_same_index(torch)}',),
    )


@rule("TOR06", "NumPy is one that torch and the nuScenes devkit were built for", category="dependency-pin")
def numpy_is_old_enough(packages: Packages) -> Finding | None:
    """Extensions compiled for NumPy 1 say `_ARRAY_API not found` on NumPy 2; nuscenes-devkit asks for NumPy below 2."""
    numpy = find_version(packages.of("numpy") or "")
    if numpy is None or numpy < NUMPY_2:
        return None
    row = torch_row(find_version(packages.of("torch") or "") or ())
    guests = [f"torch {packages.of('torch')}"] if row and not row.numpy2 else []
    guests += [f"nuscenes-devkit {packages.of('nuscenes-devkit')}"] if packages.of("nuscenes-devkit") else []
    if not guests:
        return None
    return Finding(
        saw=say("numpy {numpy} with {guests}", numpy=dotted(numpy), guests=", ".join(guests)),
        expected="numpy below 2",
        fix=('pip install "numpy<2"',),
        severity="problem" if row and not row.numpy2 else "warning",
    )


@rule("TOR07", "torch is one that the doctor's table knows", category="other")
def torch_is_known(torch: Torch) -> Finding | None:
    """What is newer than the table cannot be judged by it, and is not called wrong."""
    if parse_version(torch.version)[:2] <= NEWEST:
        return None
    return Finding(
        saw=say("torch {version} is newer than the table of {date}", version=torch.version, date=AS_OF),
        expected=say("a release up to {newest}", newest=dotted(NEWEST)),
        fix=("python3 -m doctor --deep # asks this torch itself",),
        severity="note",
    )


@rule("TOR08", "a tensor lands on every GPU", category="driver")
def tensors_land(torch: Torch, gpus: Gpus) -> Finding | None:
    """The proof of the pudding; only `--deep` eats it."""
    if torch.usable_gpus is None or torch.cuda is None or torch.usable_gpus >= len(gpus.found):
        return None
    return Finding(
        saw=say(
            "torch computes on {usable} of {all} GPUs: {error}"
            if torch.import_error
            else "torch computes on {usable} of {all} GPUs",
            usable=torch.usable_gpus,
            all=len(gpus.found),
            error=torch.import_error,
        ),
        expected="all of them",
        fix=("echo $CUDA_VISIBLE_DEVICES", "nvidia-smi # a GPU in exclusive mode or taken by MIG is not usable"),
        confidence="likely",
    )


@rule("TOR09", "torch has wheels for this Python", category="python-version")
def torch_fits_python(torch: Torch, packages: Packages) -> Finding | None:
    """A torch copied from another interpreter, or found through PYTHONPATH, does not load."""
    row = torch_row(parse_version(torch.version))
    if row is None or row.python_min <= packages.version[:2] <= row.python_max:
        return None
    return Finding(
        saw=say(
            "torch {version} in Python {python} ({path})",
            version=torch.version,
            python=dotted(packages.version),
            path=packages.python,
        ),
        expected=say("Python {low} to {high}", low=dotted(row.python_min), high=dotted(row.python_max)),
        fix=("echo $PYTHONPATH # another environment's folder there?", "install into a fresh environment: ./bevready"),
        confidence="likely",
        severity="warning",
    )


def _reinstall(
    gpus: Gpus | PciGpus | Unknown, system: System, driver: Driver | Unknown, packages: Packages, stacks: Stacks
) -> tuple[str, ...]:
    """Return the command for an environment of one's own: a build for every GPU, this driver and this Python.

    pip's own choice is the newest build, which older drivers and GPUs cannot use. Empty where no pinned build fits.
    """
    capabilities = [gpu.capability for gpu in gpus.found if gpu.capability] if not isinstance(gpus, Unknown) else []
    for stack in stacks.known:
        archs = stack.archs_for(system.machine)
        if any(coverage(archs, capability) != "native" for capability in capabilities):
            continue
        if isinstance(driver, Driver) and not driver.reaches(stack.min_driver, stack.cuda):
            continue
        if not stack.python_min <= packages.version[:2] <= stack.python_max:
            continue
        index = f"https://download.pytorch.org/whl/{stack.name}"
        wanted = f"torch=={stack.torch} torchvision=={stack.torchvision}"
        words = "{python} -m pip install --force-reinstall {wanted} --index-url {index}"
        return (say(words, python=packages.python, wanted=wanted, index=index),)
    return ()


def _same_index(torch: Torch) -> str:
    """Return where torch's own build comes from: PyPI has torchvision for one CUDA only."""
    tag = torch.version.partition("+")[2]
    is_official = tag == "cpu" or (tag.startswith("cu") and tag[2:].isdigit())
    return f" --index-url https://download.pytorch.org/whl/{tag}" if is_official else ""


def _archs(torch: Torch, system: System) -> tuple[str, ...] | None:
    """Return what the build says of itself, else what the table says of the official build for this CPU."""
    if isinstance(torch.archs, tuple):
        return torch.archs
    return archs_of(parse_version(torch.version), torch.cuda, system.machine) if torch.cuda else None


RULES = (
    torch_imports,
    torch_is_a_cuda_build,
    torch_covers_gpus,
    driver_runs_torch,
    torchvision_matches,
    numpy_is_old_enough,
    torch_is_known,
    tensors_land,
    torch_fits_python,
)
