"""In: a `Host`. Out: a `Machine`. Probes touch the world in parallel; one that crashes or hangs becomes `Unknown`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from doctor.facts import Unknown
from doctor.machine import Machine
from doctor.probes.container import probe_docker, probe_gpu_containers, probe_inside, probe_podman
from doctor.probes.data import probe_data
from doctor.probes.driver import probe_driver
from doctor.probes.network import ANSWER_TIMEOUT_S, probe_network
from doctor.probes.pci import probe_kernel_module, probe_pci
from doctor.probes.python import IMPORT_TIMEOUT_S, probe_packages, probe_pythons
from doctor.probes.system import probe_cpu, probe_disk, probe_memory, probe_open_files, probe_places, probe_system
from doctor.probes.toolchain import (
    probe_build_tools,
    probe_build_variables,
    probe_compiler,
    probe_compilers,
    probe_cxx_runtimes,
)
from doctor.probes.toolkits import probe_cuda_home, probe_toolkit, probe_toolkits

if TYPE_CHECKING:
    from doctor.shell import Host

PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to look at: the interpreter under examination, the checkout, a data set folder, and how far to go.

    `build` asks for what only matters before a build, `network` whether the package indexes answer.
    """

    python: str
    folder: str
    dataroot: str = ""
    deep: bool = False
    build: bool = False
    network: bool = False


Probe = Callable[[], tuple[object, ...]]


def examine(host: Host, question: Question) -> Machine:
    """Run every probe in a thread of its own and gather what came within the patience."""
    probes: tuple[tuple[tuple[str, ...], Probe], ...] = (
        (("system",), lambda: (probe_system(host),)),
        (("memory",), lambda: (probe_memory(host),)),
        (("disk",), lambda: (probe_disk(host, question.folder),)),
        (("cpu", "open_files"), lambda: (probe_cpu(host), probe_open_files(host))),
        (("places",), lambda: (probe_places(host),)),
        (("pci_gpus",), lambda: (probe_pci(host),)),
        (("kernel_module",), lambda: (probe_kernel_module(host),)),
        (("driver_libraries", "driver", "gpus"), lambda: probe_driver(host)),
        (("toolkit",), lambda: (probe_toolkit(host),)),
        (("cuda_home",), lambda: (probe_cuda_home(host),)),
        (("host_compiler",), lambda: (probe_compiler(host),)),
        (("toolkits",), lambda: (probe_toolkits(host, question.python),)),
        (("compilers",), lambda: (probe_compilers(host),)),
        (("build_tools",), lambda: (probe_build_tools(host, question.python, thorough=question.build),)),
        (
            ("build_variables", "cxx_runtimes"),
            lambda: (probe_build_variables(host), probe_cxx_runtimes(host)),
        ),
        (
            ("docker", "podman", "gpu_containers", "inside"),
            lambda: (probe_docker(host), probe_podman(host), probe_gpu_containers(host), probe_inside(host)),
        ),
        (("network",), lambda: (probe_network(host, asked=question.network),)),
        (("pythons",), lambda: (probe_pythons(host),)),
        (("packages", "torch"), lambda: probe_packages(host, question.python, deep=question.deep)),
        (("data_set",), lambda: (probe_data(host, question.dataroot),)),
    )
    patience_s = PATIENCE_S + (IMPORT_TIMEOUT_S if question.deep else 0) + (ANSWER_TIMEOUT_S if question.network else 0)
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
