"""What a missing C++ symbol says: whose it is, and for which other torch the extension was compiled.

Sources: public threads (fundamentalvision, Dao-AILab/flash-attention issues 919 and 1644) and the mangling rules of the
Itanium C++ ABI. A pattern is searched in mangled names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

AS_OF = "2026-11"
TORCH = re.compile(r"_Z(?:T[ISV])?N[KVRO]*(?:2at|3c10|5torch|6caffe2|5cudnn)|_Z[0-9]+TH[PC]", re.ASCII)
PYBIND = re.compile(r"_Z(?:T[ISV])?N[KVRO]*8pybind11", re.ASCII)
OWN_FUNCTION = re.compile(r"_Z(?:N[KVRO]*)?([0-9]{1,3})([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
OLD_STRING = re.compile(r"RKSs|NSs|(?<![A-Za-z])Ss|[_iPKcjmRbld]Ss", re.ASCII)
NEW_STRING = re.compile(r"cxx1112basic_string")


@dataclass(frozen=True, slots=True)
class Clue:
    """A pattern, and the torch that the extension was compiled for."""

    pattern: str
    compiled_for: str


CLUES = (
    Clue(r"3c10(?:4cuda9SetDeviceEab|4cuda9SetDeviceEa)", "torch 2.3 or newer"),
    Clue(r"4cuda9SetDeviceEi", "a torch before 2.3"),
    Clue(r"c1016SymIntArrayRef|c107SymBool|6SymInt|7SymBool", "a newer torch (1.13 or later, with symbolic sizes)"),
    Clue(r"St8optional|St17basic_string_view", "a newer torch (2.4 or later, with std::optional)"),
    Clue(r"c108optional", "an older torch (before c10::optional became std::optional)"),
    Clue(r"THCudaMalloc|THCState|2at13cuda16getTHC|THCudaCheck", "a torch before 1.11 (with THC)"),
)


def is_torch_symbol(name: str) -> bool:
    """Return whether one of torch's libraries must define the symbol: it stands in torch's own name spaces."""
    return TORCH.match(name) is not None


def own_function(name: str) -> str | None:
    """Return the plain name of a function of the extension's own, None for torch's, pybind11's and anything else."""
    found = OWN_FUNCTION.match(name)
    if found is None or is_torch_symbol(name) or PYBIND.match(name):
        return None
    length = int(found[1])
    return found[2][:length] if 0 < length <= len(found[2]) else None


def compiled_for(missing: Iterable[str], *, torch_has_cxx11_abi: bool | None) -> str:
    """Return for which torch an extension that lacks these symbols was compiled, as far as they tell."""
    names = [name for name in missing if is_torch_symbol(name)]
    if torch_has_cxx11_abi is not True and any(NEW_STRING.search(name) for name in names):
        return "a torch with the C++11 ABI of std::string; the installed one has the old ABI"
    if torch_has_cxx11_abi is not False and any(OLD_STRING.search(name) for name in names):
        return "a torch with the old ABI of std::string; the installed one has the C++11 ABI"
    for clue in CLUES:
        if any(re.search(clue.pattern, name) for name in names):
            return clue.compiled_for
    return "another torch"
