"""Python interpreters, and what is installed for the one under examination. torch is imported only on demand."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.compat.torch import archs_of
from doctor.facts import Environment, Extensions, Packages, Python, Pythons, Torch, Unknown
from doctor.probes.environment import probe_environment
from doctor.probes.extension import probe_extensions
from doctor.versions import find_version, parse_pair
from doctor.words import say

if TYPE_CHECKING:
    from doctor.shell import Host

CHILDREN = Path(__file__).parent / "children"
NAMES = ("python3.12", "python3.11", "python3.10", "python3")
IMPORT_TIMEOUT_S = 120.0  # a cold import of torch from a network disk takes a minute


def parse_python(text: str, path: str) -> Python | None:
    """Read the JSON of `children/python_facts.py`; None for anything else."""
    try:
        row: Any = json.loads(text)
        version = find_version(str(row["version"]))
        glibc = str(row.get("glibc") or "")
        known = find_version(glibc) if glibc.startswith("glibc") else None
        return Python(path=path, version=version, has_venv=bool(row["has_venv"]), glibc=known) if version else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def parse_packages(text: str, path: str) -> Packages | None:
    """Read the same JSON's `packages`; None where it has none."""
    try:
        row: Any = json.loads(text)
        found = tuple(sorted((str(name), str(version)) for name, version in row["packages"].items()))
        version = find_version(str(row["version"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return Packages(path, version, found) if version else None


def parse_torch_version(text: str) -> Torch | None:
    """Read torch/version.py: `__version__ = '2.11.0+cu130'`, `cuda = '13.0'` or `cuda: Optional[str] = None`."""
    version = re.search(r"^__version__\s*=\s*['\"]([^'\"\n]{1,60})['\"]", text, re.MULTILINE)
    cuda = re.search(
        r"^cuda\s*(?::[^=\n]*)?=\s*(None|['\"][0-9]{1,3}(?:\.[0-9]{1,3}){0,2}['\"])", text, re.MULTILINE | re.ASCII
    )
    if not version or not cuda:
        return None
    return Torch(version=version[1], cuda=None if cuda[1] == "None" else parse_pair(cuda[1]))


def parse_torch_import(text: str) -> Torch | None:
    """Read the last line of `children/torch_facts.py`; whatever torch printed before it is left out."""
    try:
        row: Any = json.loads(text.strip().rsplit("\n", 1)[-1])
        return Torch(
            version=str(row["version"]),
            cuda=parse_pair(str(row["cuda"])) if row["cuda"] else None,
            archs=tuple(map(str, row["archs"])) or Unknown("this build names no GPU architecture"),
            imported=True,
            import_error=str(row["gpu_error"]),
            usable_gpus=int(row["usable"]),
            cxx11_abi=None if row.get("cxx11_abi") is None else bool(row["cxx11_abi"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return None


def probe_pythons(host: Host) -> Pythons | Unknown:
    """Ask each interpreter on PATH what it is: a name is not enough, a pyenv shim may stand for nothing."""
    paths = dict.fromkeys([host.own_python(), *(path for name in NAMES if (path := host.which(name)))])
    outputs = {path: host.run_python(path, CHILDREN / "python_facts.py") for path in paths if path}
    found = [python for path, output in outputs.items() if (python := parse_python(output.out, path))]
    return Pythons(tuple(found)) if found else Unknown("no Python on PATH answers", looked=False)


def probe_python(
    host: Host, python: str, *, deep: bool, asked: tuple[str, ...] = (), checkout: str = ""
) -> tuple[Packages | Unknown, Torch | Unknown, Environment | Unknown, Extensions | Unknown]:
    """Ask the interpreter under examination once for its packages, its torch, how they lie, and compiled extensions.

    torch is read, or imported if `deep`. `asked` are extensions named by hand; `checkout` is the folder that scripts
    are started in, where it is not this one.
    """
    here = (f"--here={checkout}",) if checkout else ()
    output = host.run_python(python, CHILDREN / "python_facts.py", "--packages", *here)
    packages = parse_packages(output.out, python)
    if packages is None:
        words = output.problem or _last_line(output.err) or say("exit {code}", code=output.code)
        unknown = Unknown(say("{python} does not answer: {words}", python=python, words=words), looked=False)
        return unknown, unknown, unknown, unknown
    environment = probe_environment(host, output.out)
    extensions = probe_extensions(host, output.out, environment, asked)
    return packages, _torch(host, packages, environment, output.out, deep=deep), environment, extensions


def _torch(
    host: Host, packages: Packages, environment: Environment | Unknown, text: str, *, deep: bool
) -> Torch | Unknown:
    version = packages.of("torch")
    if version is None:
        return Unknown(say("torch is not installed for {python}", python=packages.python))
    if isinstance(environment, Environment) and environment.torch and not environment.torch.files:
        return Unknown(say("of torch {version} only the metadata is there", version=version))
    if deep:
        return _imported(host, packages.python, text)
    torch = _read(text, packages)
    return torch if isinstance(torch, Unknown) else _with_archs(host, torch, environment)


def _with_archs(host: Host, torch: Torch, environment: Environment | Unknown) -> Torch:
    """Read the GPU code of a build that the table does not know off its library; of official ones the table tells."""
    known = torch.cuda and archs_of(find_version(torch.version) or (), torch.cuda, host.machine())
    if torch.cuda is None or known or isinstance(environment, Unknown) or environment.torch is None:
        return torch
    if "libtorch_cuda.so" not in environment.torch.libraries:
        return torch
    found = host.inspect(f"{environment.torch.folder}/lib/libtorch_cuda.so", ()).get("archs")
    archs = tuple(map(str, found)) if isinstance(found, list) else ()
    return replace(torch, archs=archs) if archs else torch


def _read(text: str, packages: Packages) -> Torch | Unknown:
    known = parse_torch_version(_torch_file(text))
    if known:
        return known
    words = say("torch {version} has no readable torch/version.py", version=packages.of("torch"))
    return Unknown(words, looked=False)


def _imported(host: Host, python: str, facts: str) -> Torch | Unknown:
    """Import torch; where that fails, keep what its files say and the reason."""
    output = host.run_python(python, CHILDREN / "torch_facts.py", timeout_s=IMPORT_TIMEOUT_S)
    known = parse_torch_import(output.out)
    if known:
        return known
    read = parse_torch_version(_torch_file(facts))
    why = _import_error(output.out) or output.problem or _last_line(output.err) or say("exit {code}", code=output.code)
    if read is None:
        return Unknown(say("torch does not import: {why}", why=why), looked=False)
    return Torch(version=read.version, cuda=read.cuda, imported=False, import_error=why)


def _torch_file(text: str) -> str:
    try:
        return str(json.loads(text).get("torch_version_file") or "")
    except (ValueError, AttributeError, RecursionError):
        return ""


def _import_error(text: str) -> str:
    try:
        return str(json.loads(text.strip().rsplit("\n", 1)[-1])["error"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""


def _last_line(text: str) -> str:
    return text.strip().rsplit("\n", 1)[-1][:300]
