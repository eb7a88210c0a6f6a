"""What probes find and rules judge: frozen values, and `Unknown` where there is no value. No I/O, no opinions.

Versions are tuples of integers, so (12, 10) is newer than (12, 9). Sizes are bytes. Compute capabilities are pairs.
"""

from doctor.facts.base import GIB, Capability, Unknown, Version, dotted, dotted_driver
from doctor.facts.build import (
    BuildTools,
    BuildVariables,
    Compilers,
    CudaHome,
    CxxRuntime,
    CxxRuntimes,
    HostCompiler,
    Toolkit,
    ToolkitFolder,
    ToolkitKind,
    Toolkits,
)
from doctor.facts.container import CdiSpec, Docker, GpuContainers, Inside, Podman
from doctor.facts.data import DataSet
from doctor.facts.driver import Driver, DriverLibraries, Gpu, Gpus, KernelModule, PciGpu, PciGpus
from doctor.facts.network import IndexAnswer, Network
from doctor.facts.python import Packages, Python, Pythons, Torch
from doctor.facts.system import Cpu, Disk, Memory, OpenFiles, Place, Places, System

__all__ = (
    "GIB",
    "BuildTools",
    "BuildVariables",
    "Capability",
    "CdiSpec",
    "Compilers",
    "Cpu",
    "CudaHome",
    "CxxRuntime",
    "CxxRuntimes",
    "DataSet",
    "Disk",
    "Docker",
    "Driver",
    "DriverLibraries",
    "Gpu",
    "GpuContainers",
    "Gpus",
    "HostCompiler",
    "IndexAnswer",
    "Inside",
    "KernelModule",
    "Memory",
    "Network",
    "OpenFiles",
    "Packages",
    "PciGpu",
    "PciGpus",
    "Place",
    "Places",
    "Podman",
    "Python",
    "Pythons",
    "System",
    "Toolkit",
    "ToolkitFolder",
    "ToolkitKind",
    "Toolkits",
    "Torch",
    "Unknown",
    "Version",
    "dotted",
    "dotted_driver",
)
