"""What probes find and rules judge: frozen values, and `Unknown` where there is no value. No I/O, no opinions.

Versions are tuples of integers, so (12, 10) is newer than (12, 9). Sizes are bytes. Compute capabilities are pairs.
"""

from doctor.facts.base import GIB, Capability, Unknown, Version, dotted, dotted_driver
from doctor.facts.build import CudaHome, HostCompiler, Toolkit
from doctor.facts.data import Coco, DataSet, Infos, Tables
from doctor.facts.driver import Driver, DriverLibraries, Gpu, Gpus, KernelModule, PciGpu, PciGpus
from doctor.facts.python import Packages, Python, Pythons, Torch
from doctor.facts.system import Disk, Memory, System

__all__ = (
    "GIB",
    "Capability",
    "Coco",
    "CudaHome",
    "DataSet",
    "Disk",
    "Driver",
    "DriverLibraries",
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
    "Unknown",
    "Version",
    "dotted",
    "dotted_driver",
)
