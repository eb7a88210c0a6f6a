"""EXT: what is inside compiled extensions fits torch, the GPUs and the C library. Their files: `extension_files.py`."""

import re

from doctor.compat.archs import coverage
from doctor.compat.symbols import compiled_for, is_torch_symbol, own_function
from doctor.compat.torch import cxx11_abi, torch_row
from doctor.facts import (
    Environment,
    Extension,
    Extensions,
    Gpus,
    Packages,
    Torch,
    Unknown,
    Version,
    dotted,
)
from doctor.finding import Finding, Severity, rule
from doctor.versions import parse_version
from doctor.words import say

REBUILD = (
    "build it again for this torch: pip uninstall -y {package}; rm -rf build *.egg-info; "
    "pip install --no-cache-dir --no-build-isolation -v ."
)
AGAIN = "pip install --force-reinstall --no-deps --no-cache-dir --no-build-isolation {package}"
COMES_BY_PIP = {
    "flash_attn_2_cuda": "flash-attn",
    "flash_attn_3_cuda": "flash-attn-3",
    "torchvision": "torchvision",
    "xformers": "xformers",
}
WITH_CUDA = "export FORCE_CUDA=1 MMCV_WITH_OPS=1 # and TORCH_CUDA_ARCH_LIST where no GPU is visible"
OURS = "or ./bevready build-ext: bevready's own operator needs none of it"
KNOWN_LIBRARY = re.compile(
    r"(lib(c10|torch|caffe2|shm|cud|cu[a-z]+|nv[a-z]|nccl|stdc|gcc|gomp|c|m|pthread|dl|rt|python)[^/]*|ld-[^/]*)"
    r"\.so(\..*)?"
)
NEEDS_ITS_KERNELS = {"mmcv", "MultiScaleDeformableAttention", "detectron2", "torchvision", "flash_attn_2_cuda"}
NEWER_LIBRARIES = (
    "use the container: ./bevready docker-run",
    "or build it here, or take a release made for an older distribution",
)


@rule("EXT01", "compiled extensions belong to the installed torch", category="ext-abi-mismatch")
def belongs_to_torch(extensions: Extensions, torch: Torch, packages: Packages) -> Finding | None:
    """An extension names torch's functions with their argument types; another torch has others: undefined symbol."""
    for extension in extensions.loadable(packages.version):
        lost = [name for name in extension.missing if is_torch_symbol(name)]
        if not lost:
            continue
        release = parse_version(torch.version)
        abi = cxx11_abi(release, torch.cuda) if torch.cxx11_abi is None else torch.cxx11_abi
        return Finding(
            saw=say(
                "{file} asks for {symbol}, which torch {version} does not have: it was compiled for {other}",
                file=extension.path,
                symbol=lost[0],
                version=torch.version,
                other=compiled_for(lost, torch=release, cuda=torch.cuda is not None, cxx11_abi=abi),
            ),
            expected=say("symbols of torch {version} only", version=torch.version),
            fix=(rebuild(extension, torch=release), OURS),
            severity=weight(extension),
            evidence=tuple(lost[:8]),
        )
    return None


@rule("EXT02", "compiled extensions carry code for every GPU", category="gpu-arch-unsupported")
def covers_gpus(extensions: Extensions, gpus: Gpus, packages: Packages) -> Finding | None:
    """Some operators only print `no kernel image` and go on with wrong numbers: Deformable-DETR issue 88."""
    found = [
        (how, extension, str(gpu))
        for extension in extensions.loadable(packages.version)
        for gpu in gpus.found
        if extension.archs and (how := coverage(extension.archs, gpu.capability)) != "native"
    ]
    if not found:
        return None
    how, extension, gpu = min(found, key=lambda row: (row[0], weight(row[1])))  # "none" comes before "ptx"
    words = {"file": extension.path, "archs": " ".join(extension.archs), "gpu": gpu}
    if how == "ptx":
        return Finding(
            saw=say("{file} carries {archs}; {gpu} runs from PTX: the first start takes long", **words),
            expected="code of its own major version",
            fix=("let the first start finish; its result stays in ~/.nv/ComputeCache",),
            severity="note",
        )
    capability = next(g.capability for g in gpus.found if str(g) == gpu)
    return Finding(
        saw=say("{file} carries {archs}; {gpu} gets none of it", **words),
        expected="code of its major version, or PTX",
        fix=(
            say("export TORCH_CUDA_ARCH_LIST={capability} # before building it again", capability=dotted(capability)),
            rebuild(extension),
            OURS,
        ),
        severity=weight(extension),
    )


@rule("EXT03", "compiled extensions were compiled with CUDA", category="ext-missing-or-cpu-only")
def has_its_kernels(extensions: Extensions, torch: Torch, gpus: Gpus | Unknown, packages: Packages) -> Finding | None:
    """Built where no GPU was seen, an operator has no CUDA half: `not compiled with GPU support`, a missing symbol."""
    for extension in extensions.loadable(packages.version):
        lost = next(filter(None, map(own_function, extension.missing)), None) if _is_closed(extension) else None
        no_code = isinstance(gpus, Gpus) and torch.cuda is not None and _has_no_kernels(extension)
        if lost is None and not no_code:
            continue
        return Finding(
            saw=say("{file} lacks its own function {function}", file=extension.path, function=lost)
            if lost
            else say("{file} carries no GPU code", file=extension.path),
            expected="both halves, C++ and CUDA",
            fix=(rebuild(extension),) if extension.package in COMES_BY_PIP else (WITH_CUDA, rebuild(extension), OURS),
            severity=weight(extension),
            confidence="likely",
        )
    return None


@rule("EXT04", "compiled extensions find a C and C++ library new enough", category="glibc-or-libstdcxx")
def runtime_is_new_enough(extensions: Extensions, environment: Environment, packages: Packages) -> Finding | None:
    """A binary made on a newer distribution says `version GLIBC_2.32 not found`; conda may bring an old libstdc++."""
    for extension in extensions.loadable(packages.version):
        if _newer(extension.glibc, environment.glibc):
            return Finding(
                saw=say(
                    "{file} needs GLIBC {needed}; here is {version}",
                    file=extension.path,
                    needed=dotted(extension.glibc or ()),
                    version=dotted(environment.glibc or ()),
                ),
                expected="a binary made on this distribution or an older one",
                fix=NEWER_LIBRARIES,
                severity=weight(extension),
            )
        if _newer(extension.glibcxx, environment.libstdcxx):
            return Finding(
                saw=say(
                    "{file} needs GLIBCXX {needed}; the libstdc++ of {prefix} ends at {version}",
                    file=extension.path,
                    needed=dotted(extension.glibcxx or ()),
                    prefix=environment.prefix,
                    version=dotted(environment.libstdcxx or ()),
                ),
                expected="a libstdc++ at least as new",
                fix=('in conda: conda install -c conda-forge "libstdcxx-ng>=12"', *NEWER_LIBRARIES),
                severity=weight(extension),
                confidence="likely",
            )
    return None


@rule("EXT08", "compiled extensions use torch's CUDA", category="toolkit-torch-mismatch")
def uses_torch_cuda(extensions: Extensions, torch: Torch, packages: Packages) -> Finding | None:
    """Two CUDA runtimes of different major versions in one process do not share memory or streams."""
    for extension in extensions.loadable(packages.version):
        runtime = _runtime(extension)
        broken = any(map(is_torch_symbol, extension.missing))  # EXT01 says more
        if runtime is None or torch.cuda is None or runtime == torch.cuda[0] or broken:
            continue
        return Finding(
            saw=say(
                "{file} loads CUDA {other}'s runtime; torch {version} is of CUDA {cuda}",
                file=extension.path,
                other=runtime,
                version=torch.version,
                cuda=dotted(torch.cuda),
            ),
            expected=say("CUDA {major} in both", major=torch.cuda[0]),
            fix=(rebuild(extension), OURS),
            severity=weight(extension),
        )
    return None


def weight(extension: Extension) -> Severity:
    """Return how bad it is: what lies in a checkout may be a leftover that nothing imports."""
    return "warning" if extension.place == "checkout" else "problem"


def rebuild(extension: Extension, *, torch: Version = ()) -> str:
    """Return how to make the extension anew: from the index where it comes from there, else from its sources."""
    name = COMES_BY_PIP.get(extension.package)
    row = torch_row(torch) if extension.package == "torchvision" else None
    if row:
        name = f'"torchvision=={dotted(row.torchvision)}.*"'
    return say(AGAIN, package=name) if name else say(REBUILD, package=extension.package)


def _is_closed(extension: Extension) -> bool:
    """Return whether nothing but torch and the system's libraries could define what it lacks."""
    return extension.compared and all(KNOWN_LIBRARY.fullmatch(name) for name in extension.needed)


def _has_no_kernels(extension: Extension) -> bool:
    return extension.package in NEEDS_ITS_KERNELS and not extension.archs and not extension.problem


def _newer(needed: Version | None, here: Version | None) -> bool:
    return needed is not None and here is not None and needed > here


def _runtime(extension: Extension) -> int | None:
    """Return the major version of the CUDA runtime it loads, None where it names none."""
    found = [re.fullmatch(r"libcudart\.so\.([0-9]{1,3})(\..*)?", name, re.ASCII) for name in extension.needed]
    return next((int(match[1]) for match in found if match), None)


RULES = (belongs_to_torch, covers_gpus, has_its_kernels, runtime_is_new_enough, uses_torch_cuda)
