"""CON: inside a container the GPU and enough shared memory arrive. Engines on the host are not looked at yet."""

from doctor.facts import DriverLibraries, KernelModule, Memory, System
from doctor.finding import Finding, rule

SHM_OF_DOCKER = 64 << 20  # docker's default /dev/shm


@rule("CON01", "a container on a GPU host was started with the GPU", category="docker-gpu-runtime")
def container_has_gpu(system: System, module: KernelModule, libraries: DriverLibraries) -> Finding | None:
    """/proc shows the host's driver in every container; its device files and libcuda come only with the GPU runtime."""
    if not system.container or module.loaded is None or (module.nodes and libraries.cuda_code is not None):
        return None
    absent = "device files" if not module.nodes else "libcuda.so.1"
    return Finding(
        saw=f"the host's driver is loaded, but this {system.container} container has no {absent}",
        expected="a container started with the GPU",
        fix=(
            "docker run --gpus all … (podman: --device nvidia.com/gpu=all)",
            (
                "on the host, once: sudo apt install nvidia-container-toolkit && sudo nvidia-ctk runtime configure"
                " --runtime=docker && sudo systemctl restart docker"
            ),
            "with the variable NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        ),
    )


@rule("CON02", "shared memory has room for the data loader's workers", category="shared-memory-docker")
def shm_is_large(memory: Memory, system: System) -> Finding | None:
    """Workers hand batches over through /dev/shm; at 64 MiB they die of `Bus error`, NCCL of `system error`."""
    if memory.shm is not None and memory.shm > SHM_OF_DOCKER:
        return None
    size = "missing" if memory.shm is None else f"{memory.shm >> 20} MiB"
    inside = bool(system.container)
    return Finding(
        saw=f"shared memory (/dev/shm) is {size}",
        expected="1 GiB or more",
        fix=("docker run --shm-size=8g …, or --ipc=host",) if inside else ("sudo mount -o remount,size=8G /dev/shm",),
        severity="warning",
    )


RULES = (container_has_gpu, shm_is_large)
