"""What a missing C++ symbol says: whose it is, and for which other torch the extension was compiled.

Sources: public threads (fundamentalvision, Dao-AILab/flash-attention issues 919 and 1644) and the mangling rules of the
Itanium C++ ABI. A pattern is searched in mangled names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.facts import dotted
from doctor.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from doctor.facts import Version

AS_OF = "2026-11"
TORCH = re.compile(r"_Z(?:T[ISV])?N[KVRO]*(?:2at|3c10|4c10d|5torch|6caffe2)|_Z[0-9]+TH[PC]", re.ASCII)
PYBIND = re.compile(r"_Z(?:T[ISV])?N[KVRO]*8pybind11", re.ASCII)
OWN_FUNCTION = re.compile(r"_Z(N[KVRO]*)?(?=[0-9])", re.ASCII)
PART = re.compile(r"([0-9]{1,3})([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
OLD_STRING = re.compile(r"[EKRO_Pcjmblid]Ss")
CUDA_SPACE = re.compile(r"(?:3c10|2at|5torch)4cuda")
NEW_STRING = re.compile(r"cxx1112basic_string")


@dataclass(frozen=True, slots=True)
class Clue:
    """A pattern that only torch from `since` on and before `until` has in its names, and where that is written."""

    pattern: str
    since: Version | None
    until: Version | None
    source: str


CLUES = (
    Clue(r"4cuda9SetDeviceEi", None, (2, 3), "Dao-AILab/flash-attention issue 919"),
    Clue(r"4cuda9SetDeviceEa", (2, 3), None, "the same; later releases take a second argument"),
    Clue(r"(?:3c10|S[0-9A-Z]*_)8optionalI", None, (2, 2), "read off torchvision 0.16.2 and 0.17.2"),
    Clue(r"St8optionalI", (2, 2), None, "the same"),
    Clue(r"3c104impl3cow23materialize_cow_storage", None, (2, 13), "pytorch/pytorch issue 187727"),
    Clue(r"7SymBool", (2, 1), None, "symbolic sizes: public threads"),
    Clue(r"6SymInt", (1, 13), None, "symbolic sizes: public threads"),
    Clue(r"THCudaMalloc|THCState|THCudaCheck|getTHCState", None, (1, 11), "THC was removed in 1.11"),
)


def is_torch_symbol(name: str) -> bool:
    """Return whether one of torch's libraries must define the symbol: it stands in torch's own name spaces."""
    return TORCH.match(name) is not None


def own_function(name: str) -> str | None:
    """Return the plain name of a function of the extension's own, None for torch's, pybind11's and anything else."""
    found = OWN_FUNCTION.match(name)
    if found is None or is_torch_symbol(name) or PYBIND.match(name):
        return None
    words, rest = [], name[found.end() :]
    while (part := PART.match(rest)) and 0 < int(part[1]) <= len(part[2]):
        words.append(part[2][: int(part[1])])
        rest = rest[part.end(1) + int(part[1]) :]
        if not found[1]:
            break
    return "::".join(words) or None


def compiled_for(missing: Iterable[str], *, torch: Version, cuda: bool, cxx11_abi: bool | None) -> str:
    """Return for which torch an extension that lacks these symbols was compiled, as far as they tell.

    `torch`, `cuda` and `cxx11_abi` are of the installed one: its release, whether it is a CUDA build, and its ABI, None
    where that is not known.
    """
    names = [name for name in missing if is_torch_symbol(name)]
    if not cuda and any(CUDA_SPACE.search(name) for name in names):
        return "a CUDA build of torch; the installed one is for the CPU only"
    if cxx11_abi is not True and any(NEW_STRING.search(name) for name in names):
        return "a torch with the C++11 ABI of std::string; the installed one has the old ABI"
    if cxx11_abi is not False and any(OLD_STRING.search(name) for name in names):
        return "a torch with the old ABI of std::string; the installed one has the C++11 ABI"
    for clue in CLUES:
        if not any(re.search(clue.pattern, name) for name in names):
            continue
        if clue.since and torch < clue.since:
            return say("torch {version} or newer", version=dotted(clue.since))
        if clue.until and torch >= clue.until:
            return say("a torch before {version}", version=dotted(clue.until))
    return "another torch"
