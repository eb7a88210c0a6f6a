"""In: a `Host`. Out: a `Machine`. Probes touch the world in parallel; one that crashes or hangs becomes `Unknown`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from doctor import shell
from doctor.facts import Unknown
from doctor.machine import Machine
from doctor.probes.container import probe_docker, probe_gpu_containers, probe_inside, probe_podman
from doctor.probes.data import probe_data
from doctor.probes.driver import probe_driver
from doctor.probes.fabric import probe_fabric
from doctor.probes.images import probe_images
from doctor.probes.kernel import probe_module
from doctor.probes.library import probe_cuda_variables, probe_library_files, probe_wsl
from doctor.probes.network import ANSWER_TIMEOUT_S, probe_network
from doctor.probes.pci import probe_kernel_module, probe_pci
from doctor.probes.python import IMPORT_TIMEOUT_S, probe_python, probe_pythons
from doctor.probes.system import probe_cpu, probe_disk, probe_memory, probe_open_files, probe_places, probe_system
from doctor.probes.toolchain import (
    probe_build_tools,
    probe_build_variables,
    probe_compiler,
    probe_compilers,
    probe_cxx_runtimes,
)
from doctor.probes.toolkits import probe_cuda_home, probe_toolkit, probe_toolkits
from doctor.words import say

if TYPE_CHECKING:
    from doctor.shell import Host

PATIENCE_S = 5.0
TIME_TO_END_S = 0.6  # of the patience, for ending programs that do not answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to look at: the interpreter under examination, the checkout, a data set folder, and how far to go.

    `folder` is where bevready's environment is made, `home` where bevready itself lies (no text: unknown).
    `extensions` are shared objects named by hand, `checkout` another project's folder. `build` asks for what only
    matters before a build, `containers` what only matters to containers, `network` whether the package indexes answer.
    """

    python: str
    folder: str
    dataroot: str = ""
    deep: bool = False
    extensions: tuple[str, ...] = ()
    checkout: str = ""
    home: str = ""
    build: bool = False
    network: bool = False
    containers: bool = False


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
        (("driver_libraries", "driver", "gpus", "disagreements"), lambda: probe_driver(host)),
        (("library_files",), lambda: (probe_library_files(host),)),
        (("cuda_variables",), lambda: (probe_cuda_variables(host),)),
        (("module_file", "module_policy", "dkms"), lambda: probe_module(host)),
        (("fabric",), lambda: (probe_fabric(host),)),
        (("wsl",), lambda: (probe_wsl(host),)),
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
        (("images",), lambda: (probe_images(host, asked=question.containers, home=question.home),)),
        (("network",), lambda: (probe_network(host, asked=question.network),)),
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
        (("data_set", "coco"), lambda: probe_data(host, question.dataroot)),
    )
    patience_s = PATIENCE_S + (IMPORT_TIMEOUT_S if question.deep else 0) + (ANSWER_TIMEOUT_S if question.network else 0)
    return Machine(**gather(probes, patience_s))


def gather(probes: tuple[tuple[tuple[str, ...], Probe], ...], patience_s: float) -> dict[str, Any]:
    """Return each probe's facts by name. Threads are daemons: one that hangs is left behind, with its name."""
    found: dict[str, Any] = {}
    threads = []
    for names, probe in probes:
        thread = threading.Thread(target=_run, args=(names, probe, found, patience_s), daemon=True)
        thread.start()
        threads.append(thread)
    deadline = time.monotonic() + patience_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = Unknown(say("no answer within {seconds} s", seconds=f"{patience_s:g}"), looked=False)
    return {name: found.get(name, late) for names, _ in probes for name in names}


def _candid(facts: tuple[object, ...], watch: shell.Watch) -> tuple[object, ...]:
    """Say of a fact that is missing after a program's silence that it could not be looked at, unless the probe did."""
    missing = [fact for fact in facts if isinstance(fact, Unknown)]
    if not watch.silences or not all(fact.looked for fact in missing):
        return facts
    silence = Unknown(watch.silences[0], looked=False)
    return tuple(silence if isinstance(fact, Unknown) else fact for fact in facts)


def _run(names: tuple[str, ...], probe: Probe, found: dict[str, Any], patience_s: float) -> None:
    watch = shell.Watch(time.monotonic() + patience_s - min(0.1 * patience_s, TIME_TO_END_S))
    shell.WATCH.set(watch)
    try:
        facts = _candid(probe(), watch)
    except Exception as why:  # noqa: BLE001 — a probe's crash is a fact about this machine, not the end of the look
        words = say("the probe crashed: {kind}: {why}", kind=type(why).__name__, why=str(why))
        facts = (Unknown(words, looked=False),) * len(names)
    found.update(zip(names, facts, strict=True))
