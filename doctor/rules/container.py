"""CON: the GPU and enough shared memory arrive in a container, and the engines of a host can hand GPUs out."""

from doctor.facts import (
    Docker,
    DriverLibraries,
    GpuContainers,
    Inside,
    KernelModule,
    Memory,
    Podman,
    System,
    Unknown,
    dotted_driver,
)
from doctor.finding import Finding, Goal, Severity, rule
from doctor.words import say

SHM_OF_DOCKER = 64 << 20  # docker's default /dev/shm
INSTALL_TOOLKIT = (
    "sudo apt install nvidia-container-toolkit && sudo nvidia-ctk runtime configure --runtime=docker"
    " && sudo systemctl restart docker"
)
NEW_SPEC = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
WITH_GPU = {
    "apptainer": "apptainer exec --nv …",
    "kubernetes": "in the pod: resources: {limits: {nvidia.com/gpu: 1}}, on nodes with NVIDIA's device plugin",
    "podman": "podman run --device nvidia.com/gpu=all …",
}
WITH_SHM = {
    "kubernetes": "in the pod: an emptyDir with medium: Memory, mounted at /dev/shm",
    "podman": "podman run --shm-size=8g …, or --ipc=host",
}
NO_GPU_ASKED_FOR = {"void", "none"}


@rule("CON01", "a container on a GPU host was started with the GPU", category="docker-gpu-runtime")
def container_has_gpu(
    system: System, module: KernelModule, libraries: DriverLibraries, inside: Inside | Unknown, goal: Goal
) -> Finding | None:
    """/proc shows the host's driver in every container; its device files and libcuda come only with the GPU runtime."""
    if not system.container or module.loaded is None or (module.nodes and libraries.cuda_code is not None):
        return None
    if isinstance(inside, Inside) and module.nodes and _lacks_compute(inside):
        return None  # CON09 knows why
    absent = "device files" if not module.nodes else "libcuda.so.1"
    return Finding(
        saw=say(
            "the host's driver is loaded, but this {container} container has no {absent}",
            container=system.container,
            absent=absent,
        ),
        expected="a container started with the GPU",
        fix=(WITH_GPU[system.container],)
        if system.container in WITH_GPU
        else (
            "docker run --gpus all …",
            say("on the host, once: {command}", command=INSTALL_TOOLKIT),
            "with the variable NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        ),
        severity="note" if goal.builds else "problem",
    )


@rule("CON02", "shared memory has room for the data loader's workers", category="shared-memory-docker")
def shm_is_large(memory: Memory, system: System) -> Finding | None:
    """Workers hand batches over through /dev/shm; at 64 MiB they die of `Bus error`, NCCL of `system error`."""
    if memory.shm is not None and memory.shm > SHM_OF_DOCKER:
        return None
    size = "missing" if memory.shm is None else f"{memory.shm >> 20} MiB"
    inside = WITH_SHM.get(system.container, "docker run --shm-size=8g …, or --ipc=host")
    return Finding(
        saw=say("shared memory (/dev/shm) is {size}", size=size),
        expected="1 GiB or more",
        fix=(inside if system.container else "sudo mount -o remount,size=8G /dev/shm",),
        severity="warning",
    )


@rule("CON03", "docker can hand GPUs to containers", category="docker-gpu-runtime")
def docker_has_gpu_runtime(
    docker: Docker, containers: GpuContainers, module: KernelModule, inside: Inside | Unknown, goal: Goal
) -> Finding | None:
    """Without NVIDIA's toolkit docker says `could not select device driver "" with capabilities: [[gpu]]`."""
    served = containers.hook or "nvidia" in docker.runtimes or containers.specs
    if module.loaded is None or isinstance(inside, Inside) or docker.snap or docker.desktop or served:
        return None
    return Finding(
        saw=say("{docker}, but neither the NVIDIA Container Toolkit nor a CDI file is here", docker=docker),
        expected="nvidia-container-runtime-hook on PATH, or a CDI file",
        fix=(INSTALL_TOOLKIT, "then try: docker run --rm --gpus all ubuntu nvidia-smi"),
        severity=_for_docker(goal),
        evidence=(say("runtimes in daemon.json: {runtimes}", runtimes=", ".join(docker.runtimes) or "none"),),
    )


@rule("CON04", "docker does not come from snap, nor in a virtual machine", category="docker-gpu-runtime")
def docker_sees_the_driver(docker: Docker, module: KernelModule, goal: Goal) -> Finding | None:
    """The snap's confinement and Docker Desktop's virtual machine both hide the host's NVIDIA driver."""
    if module.loaded is None or not (docker.snap or docker.desktop):
        return None
    remove = "sudo snap remove docker" if docker.snap else "docker context use default"
    return Finding(
        saw=say("docker of the snap at {path}", path=docker.path) if docker.snap else "Docker Desktop on a GPU host",
        expected="Docker Engine of the distribution or of docker.com",
        fix=(remove, "sudo apt install docker.io", INSTALL_TOOLKIT),
        severity=_for_docker(goal),
    )


@rule("CON05", "this user may talk to docker", category="docker-gpu-runtime")
def docker_socket_is_open(docker: Docker, goal: Goal) -> Finding | None:
    """Otherwise every docker command ends in `permission denied while trying to connect`."""
    if not docker.socket or docker.reachable:
        return None
    return Finding(
        saw=say("{socket} is there, but this user may not write to it", socket=docker.socket),
        expected="a user in the group docker",
        fix=("sudo usermod -aG docker $USER && newgrp docker", "or write sudo before docker"),
        severity=_for_docker(goal),
    )


@rule("CON06", "docker's daemon.json can be read by the daemon", category="docker-gpu-runtime")
def daemon_json_is_valid(docker: Docker, goal: Goal) -> Finding | None:
    """The daemon does not start with a broken file, and `nvidia-ctk runtime configure` refuses to edit one."""
    if not docker.broken_config:
        return None
    return Finding(
        saw=say("{problem}", problem=docker.broken_config),
        expected="one JSON object",
        fix=("sudo dockerd --validate", "mend the file, then: sudo systemctl restart docker"),
        severity=_for_docker(goal),
    )


@rule("CON07", "the CDI file was made for the driver that is loaded", category="docker-gpu-runtime")
def cdi_is_fresh(containers: GpuContainers, module: KernelModule, goal: Goal) -> Finding | None:
    """It names the driver's libraries by version; after an update containers fail, or take libraries that are gone."""
    last = containers.specs[-1] if containers.specs else None  # /var/run/cdi goes before /etc/cdi
    if last is None or last.driver is None or module.loaded is None or last.driver == module.loaded:
        return None
    return Finding(
        saw=say("{spec}, but the loaded driver is {loaded}", spec=last, loaded=dotted_driver(module.loaded)),
        expected="libraries of the loaded driver",
        fix=(say("sudo nvidia-ctk cdi generate --output={path}", path=last.path), "sudo systemctl restart docker"),
        severity="problem" if goal.kind == "docker" else "warning",
        evidence=tuple(map(str, containers.specs)),
    )


@rule("CON08", "containers keep their GPUs when systemd reloads", category="docker-gpu-runtime")
def gpus_survive_reload(docker: Docker, containers: GpuContainers, goal: Goal) -> Finding | None:
    """`Failed to initialize NVML: Unknown Error`: `systemctl daemon-reload` takes GPUs from running containers.

    Many package updates run it.
    """
    safe = containers.specs or containers.device_links or docker.cgroupfs or docker.rootless
    if "nvidia" not in docker.runtimes or not containers.systemd_groups or safe:
        return None
    return Finding(
        saw="systemd owns the control groups, and the GPUs have no links in /dev/char and no CDI file",
        expected="links in /dev/char, or GPUs handed out through CDI",
        fix=("sudo nvidia-ctk system create-dev-char-symlinks --create-all", NEW_SPEC),
        severity="warning" if goal.kind == "docker" else "note",
        confidence="likely",
    )


@rule("CON09", "the container's variables ask for CUDA", category="docker-gpu-runtime")
def container_asks_for_compute(inside: Inside, module: KernelModule, libraries: DriverLibraries) -> Finding | None:
    """NVIDIA's runtime hands out what two variables ask for: which GPUs, and which of the driver's libraries."""
    if module.nodes and libraries.cuda_code is None and _lacks_compute(inside):
        return Finding(
            saw=say("NVIDIA_DRIVER_CAPABILITIES={value}, and libcuda.so.1 is not here", value=inside.capabilities),
            expected="a list with compute, or all",
            fix=("docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility …",),
        )
    if not module.nodes and inside.visible_devices in NO_GPU_ASKED_FOR and module.loaded:
        return Finding(
            saw=say("NVIDIA_VISIBLE_DEVICES={value} asks for no GPU", value=inside.visible_devices),
            expected="all, or the numbers of GPUs",
            fix=("docker run --gpus all -e NVIDIA_VISIBLE_DEVICES=all …",),
            severity="warning",
        )
    return None


@rule("CON10", "the container holds the libraries of the driver that is loaded", category="docker-gpu-runtime")
def container_is_as_old_as_driver(inside: Inside, module: KernelModule, libraries: DriverLibraries) -> Finding | None:
    """The libraries are mounted when the container is made; a driver update on the host leaves it with the old ones."""
    if not module.nodes or module.loaded is None or libraries.version is None or libraries.version == module.loaded:
        return None
    return Finding(
        saw=say(
            "libraries of driver {library} in this {engine} container, the host's module is {loaded}",
            library=dotted_driver(libraries.version),
            engine=inside.engine,
            loaded=dotted_driver(module.loaded),
        ),
        expected="one version of both",
        fix=(
            "make the container anew: docker rm -f NAME && docker run --gpus all …",
            say("if it was started through CDI, first: {command}", command=NEW_SPEC),
            "if the image brings its own libcuda, take that out: the driver's library comes from the host",
        ),
    )


@rule("CON11", "podman finds the GPUs", category="docker-gpu-runtime")
def podman_has_cdi(
    podman: Podman, containers: GpuContainers, module: KernelModule, inside: Inside | Unknown, goal: Goal
) -> Finding | None:
    """Podman knows GPUs only through a CDI file; without one it says `unresolvable CDI devices nvidia.com/gpu=all`."""
    if module.loaded is None or isinstance(inside, Inside):
        return None
    if containers.specs and not containers.unreadable:
        return None
    if containers.unreadable:
        path = containers.unreadable[0]
        return Finding(
            saw=say("{path} cannot be read by this user", path=path),
            expected="a CDI file that everybody may read",
            fix=(say("sudo chmod a+r {path}", path=path),),
            severity="warning" if goal.kind == "docker" else "note",
        )
    return Finding(
        saw=say("{podman}, and no CDI file for the GPUs in /etc/cdi or /var/run/cdi", podman=podman),
        expected="/etc/cdi/nvidia.yaml",
        fix=("sudo apt install nvidia-container-toolkit", NEW_SPEC, "then: podman run --device nvidia.com/gpu=all …"),
        severity="warning" if goal.kind == "docker" else "note",
    )


@rule("CON12", "rootless docker leaves control groups alone", category="docker-gpu-runtime")
def rootless_has_no_cgroups(
    docker: Docker, containers: GpuContainers, module: KernelModule, goal: Goal
) -> Finding | None:
    """A daemon without root may not write device rules; NVIDIA's hook fails with `bpf_prog_query failed` otherwise."""
    if not docker.rootless or not containers.hook or containers.no_cgroups or containers.specs or not module.loaded:
        return None
    return Finding(
        saw="docker runs without root, and NVIDIA's hook still sets control groups",
        expected="no-cgroups = true in /etc/nvidia-container-runtime/config.toml",
        fix=("sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups=true --in-place",),
        severity=_for_docker(goal),
    )


def _lacks_compute(inside: Inside) -> bool:
    """Return whether the container was started for graphics or video only."""
    if inside.capabilities is None:
        return False
    return not {"all", "compute"} & {word.strip() for word in inside.capabilities.split(",")}


def _for_docker(goal: Goal) -> Severity:
    return "problem" if goal.kind == "docker" else "note"


RULES = (
    container_has_gpu,
    shm_is_large,
    docker_has_gpu_runtime,
    docker_sees_the_driver,
    docker_socket_is_open,
    daemon_json_is_valid,
    cdi_is_fresh,
    gpus_survive_reload,
    container_asks_for_compute,
    container_is_as_old_as_driver,
    podman_has_cdi,
    rootless_has_no_cgroups,
)
