"""What bevready's own extension is built with: the target's torch, its own NVRTC and headers, a C++ compiler.

Facts come from the probes; here they become folders and files, or a `ToolchainError` that says what to type.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.compat.archs import coverage
from doctor.elf import NotReadableError, open_object
from doctor.facts import Environment, HostCompiler, Torch, Unknown, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from doctor.shell import Host

NVRTC_CHILD = Path(__file__).resolve().parent / "build" / "nvrtc.py"
HEADERS = ("cuda_fp16.h", "cuda_bf16.h")
ARCH = re.compile(r"(?:sm_|compute_)?([0-9]{1,2})\.?([0-9])(\+PTX)?", re.ASCII | re.IGNORECASE)


class ToolchainError(Exception):
    """Something that a build needs is missing or wrong: what was seen, and what to type."""

    def __init__(self, saw: str, fix: str) -> None:
        super().__init__(f"{saw}; {fix}")
        self.saw, self.fix = saw, fix


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTorch:
    """The torch that the extension is for; `openmp` is the thread library that it loads, empty where there is none."""

    python: str
    version: str
    cuda: tuple[int, int] | None
    folder: Path
    cxx11_abi: bool
    openmp: str
    search: tuple[Path, ...]

    @property
    def libraries(self) -> tuple[Path, ...]:
        """Return the libraries that an extension's symbols come from."""
        names = ("libtorch_cpu.so", "libc10.so", "libtorch.so")
        return tuple(path for name in names if (path := self.folder / "lib" / name).exists())


@dataclass(frozen=True, slots=True)
class Nvrtc:
    """A CUDA run-time compiler: the library, its release, the targets it knows (90 for 9.0), and the CUDA headers."""

    library: Path
    version: str
    targets: tuple[int, ...]
    headers: Path


def find_torch(python: str, torch: Torch | Unknown, environment: Environment | Unknown) -> TargetTorch:
    """Return where the interpreter's torch lies. Nothing is imported: its ABI is read off its libraries."""
    install = f"install torch for {python}: ./bevready env makes bevready's own, or name another: --python PATH"
    if isinstance(torch, Unknown):
        raise ToolchainError(torch.why, install)
    if isinstance(environment, Unknown) or environment.torch is None:
        raise ToolchainError(f"torch {torch.version}: its folder is not known", install)
    folder = Path(environment.torch.folder).resolve()
    again = f"install it again: {python} -m pip install --force-reinstall torch=={torch.version}"
    if not (folder / "include" / "torch" / "library.h").exists():
        raise ToolchainError(f"torch {torch.version} in {folder} has no include/torch/library.h", again)
    try:
        core, cpu = (open_object(str(folder / "lib" / name)) for name in ("libc10.so", "libtorch_cpu.so"))
        abi = any(symbol.defined and "__cxx1112basic_string" in symbol.name for symbol in core.symbols())
        openmp = next((name for name in cpu.needs() if name.startswith("libgomp")), "")
    except NotReadableError as why:
        raise ToolchainError(f"torch {torch.version} in {folder}: a library cannot be used: {why}", again) from why
    return TargetTorch(
        python=python,
        version=torch.version,
        cuda=torch.cuda,
        folder=folder,
        cxx11_abi=abi,
        openmp=openmp,
        search=(folder.parent, *(Path(path) for path in environment.folders if Path(path).resolve() != folder.parent)),
    )


def find_nvrtc(host: Host, torch: TargetTorch) -> Nvrtc:
    """Return the NVRTC that this torch brings, of its own CUDA release, and the headers beside it."""
    if torch.cuda is None:
        words = f"torch {torch.version} is a CPU-only build: it runs no device code"
        raise ToolchainError(words, "leave --arch away, or take a CUDA build of torch: ./bevready doctor stack")
    library = next(_libraries(torch, torch.cuda[0]), None)
    again = f"install it again: {torch.python} -m pip install {_package('nvrtc', torch.cuda)}"
    if library is None:
        raise ToolchainError(f"torch {torch.version} has no libnvrtc.so.{torch.cuda[0]} near {torch.folder}", again)
    headers = next((folder for folder in _header_folders(torch, torch.cuda[0]) if _has_headers(folder)), None)
    if headers is None:
        words = f"no folder with {' and '.join(HEADERS)} belongs to torch {torch.version}"
        raise ToolchainError(words, f"{torch.python} -m pip install {_package('runtime', torch.cuda)}")
    output = host.run(sys.executable, "-B", str(NVRTC_CHILD), str(library), timeout_s=60.0)
    if output.code != 0:
        raise ToolchainError(f"{library} does not load: {(output.problem or output.err).strip()}", again)
    told = json.loads(output.out)
    return Nvrtc(library, told["version"], tuple(told["targets"]), headers)


def _libraries(torch: TargetTorch, major: int) -> Iterator[Path]:
    """Yield NVRTC where wheels of CUDA 13 and 12 put it, then where older wheels and conda do."""
    for site in torch.search:
        for folder in (site / "nvidia" / f"cu{major}" / "lib", site / "nvidia" / "cuda_nvrtc" / "lib"):
            yield from _real(folder, f"libnvrtc.so.{major}*")
    prefix = Path(torch.python).absolute().parents[1]
    for folder in (torch.folder / "lib", prefix / "lib"):
        yield from _real(folder, f"libnvrtc*.so.{major}*")


def _real(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the libraries themselves: neither their builtins nor the variant for large programs."""
    yield from (
        path for path in sorted(folder.glob(pattern)) if "builtins" not in path.name and ".alt." not in path.name
    )


def _header_folders(torch: TargetTorch, major: int) -> Iterator[Path]:
    for site in torch.search:
        yield site / "nvidia" / f"cu{major}" / "include"
        yield site / "nvidia" / "cuda_runtime" / "include"
    prefix = Path(torch.python).absolute().parents[1]
    yield from (prefix / "targets" / "x86_64-linux" / "include", prefix / "include")


def _has_headers(folder: Path) -> bool:
    return all((folder / name).exists() for name in HEADERS)


def _package(part: str, cuda: tuple[int, int]) -> str:
    """Return the distribution that brings a part of CUDA, pinned to the release."""
    suffix = "" if cuda[0] >= 13 else f"-cu{cuda[0]}"
    return f'"nvidia-cuda-{part}{suffix}=={dotted(cuda)}.*"'


def check_compiler(compiler: HostCompiler | Unknown) -> HostCompiler:
    """Return the C++ compiler, or say how to get one."""
    if isinstance(compiler, Unknown):
        fix = "sudo apt install g++ (Fedora, RHEL: sudo dnf install gcc-c++), or name one: CXX=/path/to/g++"
        raise ToolchainError(compiler.why, f"{fix}; until then the reference runs: plain torch, slower")
    return compiler


def read_archs(words: str, stack_archs: Sequence[str]) -> tuple[str, ...]:
    """Read `8.6,9.0`, `sm_90`, `9.0+PTX` or `all` into sm_86 and the like, in order; a PTX is added by the plan."""
    if words.strip().lower() == "all":
        return _ordered(int(arch.partition("_")[2]) for arch in stack_archs)
    numbers = []
    for word in re.split(r"[,;\s]+", words.strip()):
        found = ARCH.fullmatch(word)
        if found is None:
            raise ToolchainError(f"--arch {word}: no architecture", "write them like 8.6,9.0, or all")
        numbers.append(int(found[1] + found[2]))
    return _ordered(numbers)


def archs_for_devices(capabilities: Sequence[tuple[int, int]], targets: Sequence[int]) -> tuple[str, ...]:
    """Return what to compile for these GPUs: their own code, else the nearest older one of their family."""
    chosen = []
    for major, minor in capabilities:
        fitting = [arch for arch in targets if coverage([f"sm_{arch}"], (major, minor)) == "native"]
        older = [arch for arch in targets if arch < major * 10 + minor]
        if not fitting and not older:
            known = ", ".join(f"{arch / 10:.1f}" for arch in targets)
            words = f"a GPU of compute capability {major}.{minor} is older than what this NVRTC compiles for ({known})"
            raise ToolchainError(words, "take the stack that fits this GPU: ./bevready doctor stack")
        chosen.append(max(fitting or older))
    return _ordered(chosen)


def check_targets(archs: Sequence[str], nvrtc: Nvrtc) -> None:
    """Refuse architectures that this NVRTC does not compile for."""
    wrong = [arch for arch in archs if int(arch.partition("_")[2]) not in nvrtc.targets]
    if wrong:
        known = ",".join(f"{arch / 10:.1f}" for arch in nvrtc.targets)
        words = f"--arch {','.join(wrong)}: NVRTC {nvrtc.version} does not compile for it"
        raise ToolchainError(words, f"it knows {known}")


def _ordered(numbers: Iterator[int] | Sequence[int]) -> tuple[str, ...]:
    return tuple(f"sm_{number}" for number in sorted(set(numbers)))
