"""Small recorded worlds: what a host answers, written down in a line."""

from __future__ import annotations

from typing import Any

from doctor.probes.toolkits import HEADERS
from doctor.replay import Replay


def world(**kinds: dict[str, Any]) -> Replay:
    """Return a host that answers from these rows."""
    return Replay({"schema_version": 1, **kinds})


def there(*paths: str) -> dict[str, str]:
    """Return files that are there and can be read."""
    return dict.fromkeys(paths, "r")


def whole(root: str) -> dict[str, str]:
    """Return the files of a whole CUDA toolkit."""
    return there(f"{root}/bin/nvcc", f"{root}/lib64/libcudart.so", *(f"{root}/include/{name}" for name in HEADERS))
