"""EXT: compiled extensions are there, belong to this Python, torch and C library, and carry code for the GPUs."""

import re

from doctor.compat.archs import coverage
from doctor.compat.symbols import compiled_for, is_torch_symbol, own_function
from doctor.compat.torch import cxx11_abi
from doctor.facts import (
    Environment,
    Extension,
    Extensions,
    Gpus,
    Packages,
    System,
    Torch,
    Unknown,
    Version,
    dotted,
)
from doctor.finding import Finding, Severity, rule
from doctor.versions import find_version, parse_version
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
    for extension in _loadable(extensions, packages):
        lost = [name for name in extension.missing if is_torch_symbol(name)]
        if not lost:
            continue
        release = parse_version(torch.version)
        abi = cxx11_abi(release, torch.cuda)
        return Finding(
            saw=say(
                "{file} asks for {symbol}, which torch {version} does not have: it was compiled for {other}",
                file=extension.path,
                symbol=lost[0],
                version=torch.version,
                other=compiled_for(lost, torch=release, cuda=torch.cuda is not None, cxx11_abi=abi),
            ),
            expected=say("symbols of torch {version} only", version=torch.version),
            fix=(_rebuild(extension), OURS),
            severity=_weight(extension),
            evidence=tuple(lost[:8]),
        )
    return None


@rule("EXT02", "compiled extensions carry code for every GPU", category="gpu-arch-unsupported")
def covers_gpus(extensions: Extensions, gpus: Gpus, packages: Packages) -> Finding | None:
    """Some operators only print `no kernel image` and go on with wrong numbers: Deformable-DETR issue 88."""
    found = [
        (how, extension, str(gpu))
        for extension in _loadable(extensions, packages)
        for gpu in gpus.found
        if extension.archs and (how := coverage(extension.archs, gpu.capability)) != "native"
    ]
    if not found:
        return None
    how, extension, gpu = min(found)  # "none" comes before "ptx"
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
            f"export TORCH_CUDA_ARCH_LIST={dotted(capability)} # before building it again",
            _rebuild(extension),
            OURS,
        ),
        severity=_weight(extension),
    )


@rule("EXT03", "compiled extensions were compiled with CUDA", category="ext-missing-or-cpu-only")
def has_its_kernels(extensions: Extensions, torch: Torch, gpus: Gpus | Unknown, packages: Packages) -> Finding | None:
    """Built where no GPU was seen, an operator has no CUDA half: `not compiled with GPU support`, a missing symbol."""
    for extension in _loadable(extensions, packages):
        lost = next(filter(None, map(own_function, extension.missing)), None) if _is_closed(extension) else None
        no_code = isinstance(gpus, Gpus) and torch.cuda is not None and _has_no_kernels(extension)
        if lost is None and not no_code:
            continue
        return Finding(
            saw=say("{file} lacks its own function {function}", file=extension.path, function=lost)
            if lost
            else say("{file} carries no GPU code", file=extension.path),
            expected="both halves, C++ and CUDA",
            fix=(
                "export FORCE_CUDA=1 MMCV_WITH_OPS=1 # and TORCH_CUDA_ARCH_LIST where no GPU is visible",
                _rebuild(extension),
                OURS,
            ),
            severity=_weight(extension),
            confidence="likely",
        )
    return None


@rule("EXT04", "compiled extensions find a C and C++ library new enough", category="glibc-or-libstdcxx")
def runtime_is_new_enough(extensions: Extensions, environment: Environment, packages: Packages) -> Finding | None:
    """A binary made on a newer distribution says `version GLIBC_2.32 not found`; conda may bring an old libstdc++."""
    for extension in _loadable(extensions, packages):
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
                severity=_weight(extension),
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
                severity=_weight(extension),
                confidence="likely",
            )
    return None


@rule("EXT05", "mmcv has its compiled operators", category="ext-missing-or-cpu-only")
def mmcv_has_operators(extensions: Extensions, packages: Packages) -> Finding | None:
    """The lite package, a source folder or a failed build have none: `No module named mmcv._ext`."""
    name = next((name for name in ("mmcv-full", "mmcv", "mmcv-lite") if packages.of(name)), None)
    if name is None or extensions.of("mmcv"):
        return None
    version = find_version(packages.of(name) or "") or ()
    lite = name == "mmcv-lite" or (name == "mmcv" and version < (2,))
    wanted = [guest for guest in ("mmdet", "mmdet3d", "mmsegmentation") if packages.of(guest)]
    return Finding(
        saw=say(
            "{name} {version} has no mmcv/_ext*.so: the package without operators", name=name, version=packages.of(name)
        )
        if lite
        else say("{name} {version} has no mmcv/_ext*.so", name=name, version=packages.of(name)),
        expected="mmcv-full (1.x) or mmcv (2.x) with its operators",
        fix=(
            "pip uninstall -y mmcv mmcv-lite mmcv-full",
            "MMCV_WITH_OPS=1 pip install --no-cache-dir --no-build-isolation mmcv-full==1.4.0 # or mmcv 2.x",
            OURS,
        ),
        severity="problem" if wanted or not lite else "warning",
    )


@rule("EXT06", "compiled extensions are for this Python", category="ext-abi-mismatch")
def is_for_this_python(extensions: Extensions, packages: Packages) -> Finding | None:
    """The import passes over a file for another Python without a word and says `No module named …`."""
    usable = {extension.package for extension in _loadable(extensions, packages)}
    for extension in extensions.found:
        if extension.python is None or extension.loads_in(packages.version) or extension.package in usable:
            continue
        return Finding(
            saw=say(
                "{file} is for Python {other}; here is {version}",
                file=extension.path,
                other=dotted(extension.python),
                version=dotted(packages.version),
            ),
            expected=say("a file for Python {version}", version=dotted(packages.version[:2])),
            fix=(_rebuild(extension), OURS),
            severity=_weight(extension),
        )
    return None


@rule("EXT07", "no old egg lies beside a newer build", category="ext-abi-mismatch")
def no_stale_egg(extensions: Extensions, environment: Environment) -> Finding | None:
    """`setup.py install` leaves its eggs in the path: the one that is found first may be years old."""
    eggs = {extension.package: extension for extension in extensions.found if extension.place == "egg"}
    twice = [egg for package, egg in eggs.items() if len(extensions.of(package)) > 1]
    copies = [copy for copy in environment.copies if copy.is_egg]
    names = [copy.name for copy in copies]
    stale = twice[0].path if twice else next((f"{c.folder}/{c.file}" for c in copies if names.count(c.name) > 1), None)
    if stale is None:
        return None
    return Finding(
        saw=say("{file} is not the only build of its package", file=stale),
        expected="one build",
        fix=(f"rm -r {_egg_of(stale)}", "and the lines that name it: grep -n egg easy-install.pth"),
        severity="warning",
    )


@rule("EXT08", "compiled extensions use torch's CUDA", category="toolkit-torch-mismatch")
def uses_torch_cuda(extensions: Extensions, torch: Torch, packages: Packages) -> Finding | None:
    """Two CUDA runtimes of different major versions in one process do not share memory or streams."""
    for extension in _loadable(extensions, packages):
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
            fix=(_rebuild(extension), OURS),
            severity=_weight(extension),
        )
    return None


@rule("EXT09", "compiled extensions can be read and are for this CPU", category="other")
def can_be_read(extensions: Extensions, system: System | Unknown) -> Finding | None:
    """A download cut short, a Git LFS pointer or a file for another CPU ends in `invalid ELF header`."""
    for extension in extensions.found:
        machine = system.machine if isinstance(system, System) else extension.machine
        if not extension.problem and extension.machine in {machine, ""}:
            continue
        return Finding(
            saw=say("{file}: {problem}", file=extension.path, problem=extension.problem)
            if extension.problem
            else say(
                "{file} is for {other}; this is {machine}",
                file=extension.path,
                other=extension.machine,
                machine=machine,
            ),
            expected="a shared object for this CPU",
            fix=(_rebuild(extension),),
            severity=_weight(extension),
        )
    return None


def _loadable(extensions: Extensions, packages: Packages) -> list[Extension]:
    """Return the extensions that this Python would load, as far as the file name tells."""
    return [extension for extension in extensions.found if extension.loads_in(packages.version)]


def _weight(extension: Extension) -> Severity:
    """Return how bad it is: what lies in a checkout may be a leftover that nothing imports."""
    return "warning" if extension.place == "checkout" else "problem"


def _rebuild(extension: Extension) -> str:
    """Return how to make the extension anew: from the index where it comes from there, else from its sources."""
    name = COMES_BY_PIP.get(extension.package)
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


def _egg_of(path: str) -> str:
    return path[: path.index(".egg") + 4] if ".egg" in path else path


RULES = (
    belongs_to_torch,
    covers_gpus,
    has_its_kernels,
    runtime_is_new_enough,
    mmcv_has_operators,
    is_for_this_python,
    no_stale_egg,
    uses_torch_cuda,
    can_be_read,
)
