"""Why NVIDIA's module is not in the kernel: its file, its signature, what the kernel demands, what DKMS built."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from doctor.facts import Dkms, DkmsBuild, Flavour, ModuleFile, ModulePolicy, Unknown
from doctor.probes.pci import loaded_version, module_path
from doctor.versions import find_version

if TYPE_CHECKING:
    from doctor.shell import Host

DKMS_FOLDER = "/var/lib/dkms"
SIGNATURE_MARK = "~Module signature appended~\n"  # the end of a signed .ko (Linux, kernel/module/signing.c)
LOCKDOWN = "/sys/kernel/security/lockdown"
SIG_ENFORCE = "/sys/module/module/parameters/sig_enforce"
SHIM_STATE = "/sys/firmware/efi/efivars/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23"  # attributes, then 1 = off
FLAVOURS: dict[str, Flavour] = {"Dual MIT/GPL": "open", "NVIDIA": "proprietary"}


def parse_modinfo(text: str) -> dict[str, str]:
    """Return the fields of `modinfo nvidia`, the first of each name."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and not name.startswith((" ", "\t")):
            fields.setdefault(name.strip(), value.strip())
    return fields


def parse_lockdown(text: str) -> str:
    """Return the mode in brackets: `none [integrity] confidentiality`."""
    found = re.search(r"\[([a-z]{1,20})\]", text)
    return found[1] if found else ""


def parse_dkms_status(text: str) -> tuple[DkmsBuild, ...]:
    """Read `dkms status`, of release 3 (`nvidia/580.95.05, KERNEL, x86_64: installed`) and 2 (`nvidia, 580…, …`).

    A version without a kernel is one that was added and never built.
    """
    builds = []
    for line in text.splitlines():
        words, colon, state = line.partition(": ")
        cells = [cell.strip() for cell in words.replace("/", ",", 1).split(",")]
        state = state.strip().split(" ")[0].split(",")[0]
        if colon and cells[0].startswith("nvidia") and len(cells) in {2, 3, 4} and state.isalpha():
            builds.append(DkmsBuild(cells[0], cells[1], cells[2] if len(cells) > 2 else "", state))
    return tuple(builds)


def parse_make_log(text: str) -> str:
    """Return the line of a DKMS make.log that names the cause: the first error, not make's summary of it."""
    for line in text.splitlines():
        if re.search(r"\b(?:fatal )?error:", line) and "make" not in line.split(":", 1)[0]:
            return line.strip()[:300]
    return ""


def probe_module(host: Host) -> tuple[ModuleFile | Unknown, ModulePolicy | Unknown, Dkms | Unknown]:
    """Look at the file and ask DKMS only where the module is not loaded; the policy is always a file away."""
    kernel = (host.read("/proc/sys/kernel/osrelease") or "").strip()
    loaded = loaded_version(host) is not None
    path = module_path(host, kernel)
    return _module_file(host, path, loaded=loaded), _policy(host), _dkms(host, kernel, absent=not (loaded or path))


def _module_file(host: Host, path: str, *, loaded: bool) -> ModuleFile | Unknown:
    if loaded:
        return Unknown("the module is loaded, so its file was accepted")
    if not path:
        return Unknown("there is no module file for the running kernel")
    fields = parse_modinfo(host.run("modinfo", path).out)
    signed = bool(fields.get("signer") or fields.get("sig_id")) if fields else None
    if signed is None and path.endswith(".ko"):
        end = host.tail(path, len(SIGNATURE_MARK))
        signed = None if end is None else end == SIGNATURE_MARK
    flavour = FLAVOURS.get(fields.get("license", ""), "")
    version = find_version(fields.get("version", ""))
    return ModuleFile(path=path, signed=signed, signer=fields.get("signer", ""), flavour=flavour, version=version)


def _policy(host: Host) -> ModulePolicy | Unknown:
    lockdown, enforce = host.read(LOCKDOWN), (host.read(SIG_ENFORCE) or "").strip()
    shim = host.read(SHIM_STATE) or ""
    if lockdown is None and not enforce and not shim:
        return Unknown("the kernel does not show its lockdown state")
    return ModulePolicy(
        lockdown=parse_lockdown(lockdown or ""), sig_enforce=enforce == "Y", shim_off=shim.endswith("\x01")
    )


def _dkms(host: Host, kernel: str, *, absent: bool) -> Dkms | Unknown:
    """Take the folders of DKMS for its state; its own words, and the failed build's, where the module is absent."""
    builds = _dkms_folders(host)
    if not builds:
        return Unknown("DKMS does not hold an NVIDIA module")
    headers = host.access(f"/lib/modules/{kernel}/build").exists
    if not absent:
        return Dkms(builds=builds, headers=headers)
    told = parse_dkms_status(host.run("dkms", "status").out)
    newest = builds[-1]
    log = host.read(f"{DKMS_FOLDER}/{newest.module}/{newest.version}/build/make.log") or ""
    error = parse_make_log(log) if kernel in log else ""
    return Dkms(builds=told or builds, headers=headers, error=error)


def _dkms_folders(host: Host) -> tuple[DkmsBuild, ...]:
    """Read /var/lib/dkms/nvidia*/VERSION/KERNEL: the folder of a kernel stands for a finished build."""
    builds = []
    for module in host.listing(DKMS_FOLDER):
        if module.startswith("nvidia") and not module.startswith("nvidia-fs"):
            for version in host.listing(f"{DKMS_FOLDER}/{module}"):
                if version[:1].isdigit():
                    names = host.listing(f"{DKMS_FOLDER}/{module}/{version}")
                    kernels = [name for name in names if re.match(r"[0-9]+\.[0-9]+", name)]
                    builds += [DkmsBuild(module, version, name, "built") for name in kernels]
                    builds += [] if kernels else [DkmsBuild(module, version, "", "added")]
    return tuple(builds)
