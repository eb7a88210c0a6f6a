"""What a signature is: one message that names a cause, as data. The signatures themselves stand in `signatures/`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

# How near a message is to the cause. A summary says that something failed, and never what.
ROOT, CAUSE, SYMPTOM, SUMMARY = 3, 2, 1, 0

# "fatal error:" as GCC, clang, nvcc and MSVC say it, in the languages that reports are pasted in
FATAL = (
    r"(?:fatal error(?: C1083)?|致命错误|嚴重錯誤|致命的エラー|schwerwiegender Fehler|fataler Fehler|erreur fatale"
    r"|error fatal|erro fatal|фатальная ошибка|치명적인 오류|errore irreversibile)\s*:\s*"
    r"(?:Cannot open include file:\s*)?'?"
)
# nvcc's own preprocessor says it in English only
MISSING_HEADER = rf"(?:{FATAL}|cannot open source file \"?'?)"
BUILDING = (
    r"setup\.py|egg_info|bdist_wheel|build_ext|pyproject|Getting requirements to build|Preparing metadata|build_meta"
    r"|Building wheel|build_editable|subprocess-exited-with-error|get_requires_for_build|ninja|nvcc|cc1plus"
    r"|cpp_extension"
)


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One message and what it means.

    `patterns` are alternatives, searched line by line, without regard to case, in text whose quotes and colons are
    plain. Their named groups fill the `{names}` in `saw` and `fix`; a group that needs another name in another
    alternative gets a number (`arch`, `arch2`). `needles` are lower-case texts of which a line must hold one. The
    whole log must match `also` and must not match `never`; nothing after the line may match `healed_by`: what was
    retried with success is no failure. `sample` is a log that it finds.
    """

    name: str
    category: str
    needles: tuple[str, ...]
    patterns: tuple[str, ...]
    saw: str
    fix: tuple[str, ...]
    sample: str
    rank: int = CAUSE
    confidence: Literal["sure", "likely", "guess"] = "sure"
    also: str = ""
    never: str = ""
    healed_by: str = ""

    @cached_property
    def line(self) -> re.Pattern[str]:
        """Return the compiled alternatives."""
        return re.compile("|".join(self.patterns), re.IGNORECASE | re.MULTILINE)
