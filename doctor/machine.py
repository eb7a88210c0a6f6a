"""All facts about one machine, and which field a type of fact stands in. No I/O, no opinions."""

from __future__ import annotations

from dataclasses import dataclass, fields

from doctor.facts import (
    BuildTools,
    BuildVariables,
    Coco,
    Compilers,
    Cpu,
    CudaHome,
    CudaVariables,
    CxxRuntimes,
    DataSet,
    Disagreements,
    Disk,
    Dkms,
    Docker,
    Driver,
    DriverLibraries,
    Environment,
    Extensions,
    Fabric,
    GpuContainers,
    Gpus,
    HostCompiler,
    Images,
    Inside,
    KernelModule,
    LibraryFiles,
    Memory,
    ModuleFile,
    ModulePolicy,
    Network,
    OpenFiles,
    Packages,
    PciGpus,
    Places,
    Podman,
    Pythons,
    System,
    Toolkit,
    Toolkits,
    Torch,
    Unknown,
    Wsl,
)
from doctor.words import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Everything that is known about one machine. Each field's type is its name in a rule's parameters."""

    system: System | Unknown
    memory: Memory | Unknown
    disk: Disk | Unknown
    cpu: Cpu | Unknown
    open_files: OpenFiles | Unknown
    places: Places | Unknown
    pci_gpus: PciGpus | Unknown
    kernel_module: KernelModule | Unknown
    driver_libraries: DriverLibraries | Unknown
    driver: Driver | Unknown
    gpus: Gpus | Unknown
    library_files: LibraryFiles | Unknown
    cuda_variables: CudaVariables | Unknown
    disagreements: Disagreements | Unknown
    module_file: ModuleFile | Unknown
    module_policy: ModulePolicy | Unknown
    dkms: Dkms | Unknown
    fabric: Fabric | Unknown
    wsl: Wsl | Unknown
    toolkit: Toolkit | Unknown
    cuda_home: CudaHome | Unknown
    host_compiler: HostCompiler | Unknown
    toolkits: Toolkits | Unknown
    compilers: Compilers | Unknown
    build_tools: BuildTools | Unknown
    build_variables: BuildVariables | Unknown
    cxx_runtimes: CxxRuntimes | Unknown
    docker: Docker | Unknown
    podman: Podman | Unknown
    gpu_containers: GpuContainers | Unknown
    inside: Inside | Unknown
    images: Images | Unknown
    network: Network | Unknown
    pythons: Pythons | Unknown
    packages: Packages | Unknown
    torch: Torch | Unknown
    environment: Environment | Unknown
    extensions: Extensions | Unknown
    data_set: DataSet | Unknown
    coco: Coco | Unknown

    def known(self) -> dict[type, object]:
        """Return the facts that are known, by their type."""
        values = [getattr(self, field.name) for field in fields(self)]
        return {type(value): value for value in values if not isinstance(value, Unknown)}

    def why_unknown(self, fact: type) -> Unknown:
        """Return the reason why there is no fact of this type."""
        value = getattr(self, FIELD_OF_FACT[fact])
        return value if isinstance(value, Unknown) else Unknown(say("{fact} is known", fact=fact.__name__))


FIELD_OF_FACT: dict[type, str] = {
    System: "system",
    Memory: "memory",
    Disk: "disk",
    Cpu: "cpu",
    OpenFiles: "open_files",
    Places: "places",
    PciGpus: "pci_gpus",
    KernelModule: "kernel_module",
    DriverLibraries: "driver_libraries",
    Driver: "driver",
    Gpus: "gpus",
    LibraryFiles: "library_files",
    CudaVariables: "cuda_variables",
    Disagreements: "disagreements",
    ModuleFile: "module_file",
    ModulePolicy: "module_policy",
    Dkms: "dkms",
    Fabric: "fabric",
    Wsl: "wsl",
    Toolkit: "toolkit",
    CudaHome: "cuda_home",
    HostCompiler: "host_compiler",
    Toolkits: "toolkits",
    Compilers: "compilers",
    BuildTools: "build_tools",
    BuildVariables: "build_variables",
    CxxRuntimes: "cxx_runtimes",
    Docker: "docker",
    Podman: "podman",
    GpuContainers: "gpu_containers",
    Inside: "inside",
    Images: "images",
    Network: "network",
    Pythons: "pythons",
    Packages: "packages",
    Torch: "torch",
    Environment: "environment",
    Extensions: "extensions",
    DataSet: "data_set",
    Coco: "coco",
}
