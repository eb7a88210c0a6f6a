"""What probes find and rules judge: frozen values, and `Unknown` where there is no value. No I/O, no opinions.

Versions are tuples of integers, so (12, 10) is newer than (12, 9). Sizes are bytes. Compute capabilities are pairs.
"""

from doctor.facts.base import GIB, Capability, Unknown, Version, dotted, dotted_driver
from doctor.facts.build import CudaHome, HostCompiler, Toolkit
from doctor.facts.data import DataSet
from doctor.facts.driver import (
    ComputeMode,
    CudaVariables,
    Disagreement,
    Disagreements,
    Driver,
    DriverLibraries,
    Gpu,
    Gpus,
    LibraryFile,
    LibraryFiles,
    num_gpus,
)
from doctor.facts.kernel import (
    Dkms,
    DkmsBuild,
    Fabric,
    Flavour,
    KernelModule,
    ModuleFile,
    ModulePolicy,
    PciGpu,
    PciGpus,
    Wsl,
)
from doctor.facts.python import Packages, Python, Pythons, Torch
from doctor.facts.system import Disk, Memory, System

__all__ = (
    "GIB",
    "Capability",
    "ComputeMode",
    "CudaHome",
    "CudaVariables",
    "DataSet",
    "Disagreement",
    "Disagreements",
    "Disk",
    "Dkms",
    "DkmsBuild",
    "Driver",
    "DriverLibraries",
    "Fabric",
    "Flavour",
    "Gpu",
    "Gpus",
    "HostCompiler",
    "KernelModule",
    "LibraryFile",
    "LibraryFiles",
    "Memory",
    "ModuleFile",
    "ModulePolicy",
    "Packages",
    "PciGpu",
    "PciGpus",
    "Python",
    "Pythons",
    "System",
    "Toolkit",
    "Torch",
    "Unknown",
    "Version",
    "Wsl",
    "dotted",
    "dotted_driver",
    "num_gpus",
)
