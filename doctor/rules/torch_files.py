"""TOR10 and on: the files of an installed PyTorch are whole, from one source, and find their own libraries."""

from doctor.facts import Environment, Packages, Torch, TorchFiles, Unknown
from doctor.finding import Finding, rule
from doctor.words import say

ALWAYS = ("libc10.so", "libtorch_cpu.so", "libtorch_python.so")
AGAIN = "pip install --force-reinstall --no-cache-dir torch=={version}"


@rule("TOR10", "torch is there as a whole", category="other")
def torch_is_whole(environment: Environment, packages: Packages, torch: Torch | Unknown) -> Finding | None:
    """An installation that was cut short keeps its metadata: pip says installed, and the import fails."""
    version = packages.of("torch")
    if version is None or environment.torch is None or environment.conda:  # conda-forge's lie in the prefix's lib/
        return None
    gone = _missing_files(environment.torch, cuda=isinstance(torch, Torch) and torch.cuda is not None)
    if not gone:
        return None
    return Finding(
        saw=say("of torch {version} these files are missing: {files}", version=version, files=", ".join(gone)),
        expected="a whole installation",
        fix=(say(AGAIN, version=version), "and look at the disk first: df -h ."),
    )


@rule("TOR11", "NVIDIA's libraries are those that torch asks for", category="dependency-pin")
def nvidia_wheels_match(environment: Environment, packages: Packages) -> Finding | None:
    """Torch pins each nvidia-* package: another one, drawn in by a neighbour, lacks symbols or runs slowly."""
    others = _off(environment, packages, triton=False)
    if not others:
        return None
    return Finding(
        saw=say("torch {version} with {others}", version=packages.of("torch"), others=", ".join(_saw(others))),
        expected=", ".join(f"{name} {wanted}" for name, wanted, _ in others),
        fix=("pip install " + " ".join(f'"{name}=={wanted}"' for name, wanted, _ in others),),
        severity="warning",
        confidence="likely",
    )


@rule("TOR12", "triton is the one that torch asks for", category="dependency-pin")
def triton_matches(environment: Environment, packages: Packages) -> Finding | None:
    """torch.compile calls into one exact triton; beside another it fails on the first compiled function."""
    others = _off(environment, packages, triton=True)
    if not others:
        return None
    name, wanted, installed = others[0]
    return Finding(
        saw=say(
            "torch {version} with {name} {installed}", version=packages.of("torch"), name=name, installed=installed
        ),
        expected=say("{name} {wanted}", name=name, wanted=wanted),
        fix=(f'pip install "{name}=={wanted}"',),
        severity="warning",
    )


@rule("TOR13", "LD_LIBRARY_PATH leaves torch its own CUDA libraries", category="toolkit-torch-mismatch")
def own_libraries_first(environment: Environment, torch: Torch) -> Finding | None:
    """What stands in LD_LIBRARY_PATH is found before what torch's wheels bring: `undefined symbol: __nvJitLink…`."""
    if (
        torch.cuda is None
        or not environment.overrides
        or (environment.torch and environment.torch.installer == "conda")
    ):
        return None
    return Finding(
        saw=say("LD_LIBRARY_PATH holds {libraries}", libraries=", ".join(environment.overrides[:3])),
        expected="only folders without CUDA libraries: torch brings its own",
        fix=("unset LD_LIBRARY_PATH # a build needs CUDA_HOME, not this",),
        severity="note",  # the wheels name their folders in RPATH, which comes first; only some libraries slip through
        confidence="guess",
        evidence=environment.overrides,
    )


@rule("TOR14", "torch comes from pip or from conda, not from both", category="dependency-pin")
def one_source_of_torch(environment: Environment, packages: Packages) -> Finding | None:
    """Conda and pip do not know of each other's files: one overwrites half of the other's torch."""
    conda = dict(environment.conda)
    name = next((name for name in ("pytorch", "libtorch") if name in conda), None)
    if name is None or environment.torch is None or environment.torch.installer not in {"pip", "uv"}:
        return None
    return Finding(
        saw=say(
            "conda's {name} {build} and pip's torch {version} share {prefix}",
            name=name,
            build=conda[name],
            version=packages.of("torch"),
            prefix=environment.prefix,
        ),
        expected="one of the two",
        fix=(
            "conda remove --force pytorch libtorch; pip uninstall -y torch",
            say(AGAIN, version=packages.of("torch")),
        ),
        severity="warning",
    )


@rule("TOR15", "torch and torchvision are of the same CUDA", category="ext-abi-mismatch")
def same_build_tags(packages: Packages) -> Finding | None:
    """Each index has its own builds: torchvision from another one has no CUDA operators, or does not import."""
    torch, torchvision = packages.of("torch") or "", packages.of("torchvision") or ""
    tag, other = torch.partition("+")[2], torchvision.partition("+")[2]
    if not tag or not other or tag == other:
        return None
    index = f"https://download.pytorch.org/whl/{tag}"
    return Finding(
        saw=say("torch {torch} with torchvision {torchvision}", torch=torch, torchvision=torchvision),
        expected=say("torchvision of {tag}", tag=tag),
        fix=(
            f'pip install --force-reinstall --no-deps "torchvision=={torchvision.split("+")[0]}" --index-url {index}',
        ),
        severity="problem" if "cpu" in {tag, other} else "warning",
    )


def _missing_files(torch: TorchFiles, *, cuda: bool) -> list[str]:
    """Return which of torch's files are not there. Releases 1.10 to 1.13 split libtorch_cuda in two."""
    if not torch.folder:
        return ["torch/"]
    gone = [] if "__init__.py" in torch.files else ["torch/__init__.py"]
    gone += [] if any(file.startswith("_C.") for file in torch.files) else ["torch/_C.*.so"]
    halves = "libtorch_cuda_cu.so" in torch.libraries
    wanted = (*ALWAYS, "libc10_cuda.so", *(() if halves else ("libtorch_cuda.so",))) if cuda else ALWAYS
    return gone + [f"torch/lib/{name}" for name in wanted if name not in torch.libraries]


def _off(environment: Environment, packages: Packages, *, triton: bool) -> list[tuple[str, str, str]]:
    """Return name, wanted and installed version of what torch asks for and has otherwise."""
    wanted = environment.torch.requires if environment.torch else ()
    rows = [(name, version, packages.of(name)) for name, version in wanted if ("triton" in name) == triton]
    return [(name, version, has) for name, version, has in rows if has and _plain(has) != _plain(version)]


def _saw(others: list[tuple[str, str, str]]) -> list[str]:
    return [f"{name} {installed}" for name, _, installed in others]


def _plain(version: str) -> str:
    """Return a version without its local part, as pip compares it."""
    return version.split("+", maxsplit=1)[0]


RULES = (
    torch_is_whole,
    nvidia_wheels_match,
    triton_matches,
    own_libraries_first,
    one_source_of_torch,
    same_build_tags,
)
