"""Runs in the interpreter under examination (3.6 or newer): prints what it is and has. Imports none of it."""

import json
import os
import re
import sys


def packages() -> "dict[str, str]":
    """Return versions by normalised name, the one that an import would find first."""
    found: dict[str, str] = {}
    for folder in sys.path[1:]:  # the first is this script's own folder
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 — pathlib costs a tenth of this script's time
        except OSError:
            continue
        for name in sorted(names):
            match = re.match(r"^(.+?)-([0-9][^-]*?)(?:-py[0-9.]+)?\.(?:dist-info|egg-info|egg)$", name)
            if match:
                found.setdefault(re.sub(r"[-_.]+", "-", match.group(1)).lower(), match.group(2))
    return found


def torch_version_file() -> str:
    """Return the text of torch/version.py, empty where there is no torch."""
    for folder in sys.path[1:]:
        try:
            with open(os.path.join(folder, "torch", "version.py"), encoding="utf-8") as file:  # noqa: PTH118, PTH123 — as above
                return file.read(4096)
        except OSError:  # noqa: PERF203 — a dozen folders
            continue
    return ""


def has_modules(*names: str) -> bool:
    """Return whether the modules can be found."""
    from importlib.util import find_spec  # noqa: PLC0415 — only the full answer pays for it

    return all(find_spec(name) is not None for name in names)


def glibc() -> str:
    """Return such a text as `glibc 2.36`, empty where the C library is another one."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return ""


def main() -> None:
    """Print the answer."""
    answer = {
        "version": ".".join(map(str, sys.version_info[:3])),
        "prefix": sys.prefix,
        "has_venv": has_modules("venv", "ensurepip"),
        "glibc": glibc(),
    }
    if "--packages" in sys.argv:
        answer["packages"] = packages()
        answer["torch_version_file"] = torch_version_file()
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
