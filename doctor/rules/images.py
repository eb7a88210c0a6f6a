"""CON: an engine is there, it has room for an image, and the images fit the driver and are pinned."""

from doctor.facts import GIB, Docker, Images, Inside, KernelModule, Podman, Unknown, dotted_driver
from doctor.finding import Finding, Goal, rule
from doctor.stacks import Stacks
from doctor.words import say

COPIES = 2  # while a layer is stored, what was installed lies on the disk twice


@rule("CON13", "a container engine is installed and runs", category="docker-gpu-runtime")
def engine_is_there(
    docker: Docker | Unknown, podman: Podman | Unknown, inside: Inside | Unknown, goal: Goal
) -> Finding | None:
    """`Cannot connect to the Docker daemon`: the docker command alone runs nothing, its daemon does."""
    if goal.kind != "docker" or isinstance(inside, Inside) or isinstance(podman, Podman):
        return None
    if isinstance(docker, Unknown):
        return Finding(
            saw="neither docker nor podman is on PATH",
            expected="a container engine",
            fix=("sudo apt install docker.io", "sudo apt install podman"),
        )
    if docker.socket or docker.remote:
        return None
    return Finding(
        saw=say("{docker}, but its daemon's socket is not here", docker=docker),
        expected="/var/run/docker.sock",
        fix=("sudo systemctl enable --now docker", "sudo dockerd"),
    )


@rule("CON14", "the images need no newer driver than the one that is loaded", category="driver-too-old-for-cuda")
def images_fit_the_driver(images: Images, module: KernelModule) -> Finding | None:
    """An image brings CUDA, the host brings the driver: with an older one, CUDA calls the driver insufficient."""
    loaded = module.loaded
    if loaded is None:
        return None
    newer = [image for image in images.built if image.min_driver and image.min_driver > loaded]
    if not newer:
        return None
    image = newer[0]
    return Finding(
        saw=say(
            "the image of {stack} needs driver {needed}, and {loaded} is loaded",
            stack=image.stack,
            needed=dotted_driver(image.min_driver or ()),
            loaded=dotted_driver(loaded),
        ),
        expected="an image for this driver, or a newer driver",
        fix=("./bevready doctor # names the stack that fits: ./bevready docker-build --stack NAME",),
    )


@rule("CON15", "the engine's disk has room for an image", category="other")
def engine_has_room(images: Images, stacks: Stacks) -> Finding | None:
    """`no space left on device` after minutes of a build; what is installed lies there twice while it is stored."""
    if images.free is None or images.built:
        return None
    needed = COPIES * max((stack.disk for stack in stacks.known), default=0)
    if images.free >= needed:
        return None
    return Finding(
        saw=say("{place} has {free} GiB free", place=images.place, free=images.free // GIB),
        expected=say("{needed} GiB while an image is built", needed=needed // GIB),
        fix=(
            "docker system df; docker system prune",
            'a larger disk in /etc/docker/daemon.json: {"data-root": "/big/disk/docker"}',
        ),
        severity="problem" if images.free < needed // 4 else "warning",
    )


@rule("CON16", "the base images are pinned by digest", category="dependency-pin")
def bases_are_pinned(images: Images) -> Finding | None:
    """A name is moved to newer content now and then; the same Dockerfile then gives another image."""
    built_on = {image.base for image in images.built if image.base and not image.pinned}
    loose = (*images.unpinned, *sorted(built_on - set(images.unpinned)))
    if not loose:
        return None
    return Finding(
        saw=say("no digest is known for {names}", names=", ".join(loose)),
        expected="a digest from the registry in docker/images.lock",
        fix=("./bevready docker-pin",),
        severity="warning",
    )


RULES = (engine_is_there, images_fit_the_driver, engine_has_room, bases_are_pinned)
