"""What probes find and rules judge: frozen values, and `Unknown` where there is no value. No I/O, no opinions.

Versions are tuples of integers, so (12, 10) is newer than (12, 9). Sizes are bytes. Compute capabilities are pairs.
"""

from doctor.facts.base import GIB, Capability, Unknown, Version, dotted, dotted_driver
from doctor.facts.build import CudaHome, HostCompiler, Toolkit
from doctor.facts.data import Coco, DataSet, Infos, Tables
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
)
from doctor.facts.extension import Extension, Extensions
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
from doctor.facts.python import Copy, Environment, Packages, Python, Pythons, Torch, TorchFiles
from doctor.facts.system import Disk, Memory, System

__all__ = (
    "GIB",
    "Capability",
    "Coco",
    "ComputeMode",
    "Copy",
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
    "Environment",
    "Extension",
    "Extensions",
    "Fabric",
    "Flavour",
    "Gpu",
    "Gpus",
    "HostCompiler",
    "Infos",
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
    "Tables",
    "Toolkit",
    "Torch",
    "TorchFiles",
    "Unknown",
    "Version",
    "Wsl",
    "dotted",
    "dotted_driver",
)
