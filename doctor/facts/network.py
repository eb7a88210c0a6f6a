"""What the package indexes answered, when asked to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from doctor.words import joined, say

Said = Literal["ok", "status", "name", "refused", "silent", "certificate", "proxy", "nonsense"]
TOLD: dict[Said, str] = {
    "ok": "{url}: ok",
    "status": "{url}: {status}",
    "name": "{url}: name",
    "refused": "{url}: refused",
    "silent": "{url}: silent",
    "certificate": "{url}: certificate",
    "proxy": "{url}: proxy",
    "nonsense": "{url}: nonsense",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexAnswer:
    """One index: its address without credentials, who names it, and what came back.

    `said` is ok, an HTTP `status`, no such name (DNS), refused, silent (no answer in time), a bad certificate, a proxy
    that does not pass it on, or nonsense. `password` says that the settings have one, which was not sent.
    """

    url: str
    source: str
    said: Said
    status: int = 0
    detail: str = ""
    password: bool = False

    @property
    def reached(self) -> bool:
        """Return whether the index is there: one that wants the password which the settings have is."""
        return self.said == "ok" or (self.password and self.asks_for_password)

    @property
    def asks_for_password(self) -> bool:
        """Return whether the index, or the proxy before it, wants a password."""
        if self.said == "proxy":
            return self.status == 407 or "407" in self.detail
        return self.said == "status" and self.status in {401, 403}

    def __str__(self) -> str:
        """Return one line."""
        return say(TOLD[self.said], url=self.url, status=self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Every index that pip or uv would ask; `proxy` is the variable or file that names one, without its password."""

    answers: tuple[IndexAnswer, ...]
    proxy: str = ""

    def __str__(self) -> str:
        """Return one line."""
        return joined(", ", map(str, self.answers))
