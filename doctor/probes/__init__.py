"""In: a `Host`. Out: a `Machine`. Probes touch the world in parallel; one that crashes or hangs becomes `Unknown`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from doctor.facts import Unknown
from doctor.machine import Machine
from doctor.probes.data import probe_data
from doctor.probes.driver import probe_driver
from doctor.probes.pci import probe_kernel_module, probe_pci
from doctor.probes.python import IMPORT_TIMEOUT_S, probe_python, probe_pythons
from doctor.probes.system import probe_disk, probe_memory, probe_system
from doctor.probes.toolchain import probe_compiler, probe_cuda_home, probe_toolkit

if TYPE_CHECKING:
    from doctor.shell import Host

PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to look at: the interpreter under examination, the checkout, a data set folder, and how far to go.

    `extensions` are shared objects named by hand, `checkout` another project's folder.
    """

    python: str
    folder: str
    dataroot: str = ""
    deep: bool = False
    extensions: tuple[str, ...] = ()
    checkout: str = ""


Probe = Callable[[], tuple[object, ...]]


def examine(host: Host, question: Question) -> Machine:
    """Run every probe in a thread of its own and gather what came within the patience."""
    probes: tuple[tuple[tuple[str, ...], Probe], ...] = (
        (("system",), lambda: (probe_system(host),)),
        (("memory",), lambda: (probe_memory(host),)),
        (("disk",), lambda: (probe_disk(host, question.folder),)),
        (("pci_gpus",), lambda: (probe_pci(host),)),
        (("kernel_module",), lambda: (probe_kernel_module(host),)),
        (("driver_libraries", "driver", "gpus"), lambda: probe_driver(host)),
        (("toolkit",), lambda: (probe_toolkit(host),)),
        (("cuda_home",), lambda: (probe_cuda_home(host),)),
        (("host_compiler",), lambda: (probe_compiler(host),)),
        (("pythons",), lambda: (probe_pythons(host),)),
        (
            ("packages", "torch", "environment", "extensions"),
            lambda: probe_python(
                host,
                question.python,
                deep=question.deep,
                asked=question.extensions,
                checkout=question.checkout,
            ),
        ),
        (("data_set",), lambda: (probe_data(host, question.dataroot),)),
    )
    patience_s = PATIENCE_S + (IMPORT_TIMEOUT_S if question.deep else 0)
    return Machine(**gather(probes, patience_s))


def gather(probes: tuple[tuple[tuple[str, ...], Probe], ...], patience_s: float) -> dict[str, Any]:
    """Return each probe's facts by name. Threads are daemons: one that hangs is left behind, with its name."""
    found: dict[str, Any] = {}
    threads = []
    for names, probe in probes:
        thread = threading.Thread(target=_run, args=(names, probe, found), daemon=True)
        thread.start()
        threads.append(thread)
    deadline = time.monotonic() + patience_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = Unknown(f"no answer within {patience_s:g} s", looked=False)
    return {name: found.get(name, late) for names, _ in probes for name in names}


def _run(names: tuple[str, ...], probe: Probe, found: dict[str, Any]) -> None:
    try:
        facts = probe()
    except Exception as why:  # noqa: BLE001 — a probe's crash is a fact about this machine, not the end of the look
        facts = (Unknown(f"the probe crashed: {type(why).__name__}: {why}", looked=False),) * len(names)
    found.update(zip(names, facts, strict=True))
