"""What probes find and rules judge: frozen values, and `Unknown` where there is no value. No I/O, no opinions.

Versions are tuples of integers, so (12, 10) is newer than (12, 9). Sizes are bytes. Compute capabilities are pairs.
"""

from doctor.facts.base import GIB, Capability, Unknown, Version, dotted, dotted_driver
from doctor.facts.build import CudaHome, HostCompiler, Toolkit
from doctor.facts.data import Coco, DataSet, Infos, Tables
from doctor.facts.driver import Driver, DriverLibraries, Gpu, Gpus, KernelModule, PciGpu, PciGpus
from doctor.facts.extension import Extension, Extensions
from doctor.facts.python import Copy, Environment, Packages, Python, Pythons, Torch, TorchFiles
from doctor.facts.system import Disk, Memory, System

__all__ = (
    "GIB",
    "Capability",
    "Coco",
    "Copy",
    "CudaHome",
    "DataSet",
    "Disk",
    "Driver",
    "DriverLibraries",
    "Environment",
    "Extension",
    "Extensions",
    "Gpu",
    "Gpus",
    "HostCompiler",
    "Infos",
    "KernelModule",
    "Memory",
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
    "dotted",
    "dotted_driver",
)
