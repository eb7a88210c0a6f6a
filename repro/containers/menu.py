"""The menus of docker-build, docker-run, docker-doctor and docker-pin, and `repro --container`: words in, one call."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import docker.errors

from doctor import render
from doctor.consult import consult
from doctor.facts import Docker, GpuContainers, KernelModule
from doctor.finding import Goal
from doctor.rules import container as container_rules
from doctor.rules import images as image_rules
from repro.containers.building import BuildError, Order, build, stack_of
from repro.containers.context import ContextError, sources_digest
from repro.containers.engine import EngineError, connect
from repro.containers.labels import StackNameError, misfits, read_labels, tag_of
from repro.containers.pins import LOCK, PinError, base_of, pin
from repro.containers.places import mounts_for, torch_home
from repro.containers.running import PYTHON, Errand, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from doctor.consult import Consultation
    from repro.containers.engine import Engine

DONE, BAD_INPUT, NO_LOOK, INTERRUPTED = 0, 2, 3, 130
MISTAKES = (EngineError, BuildError, ContextError, PinError, StackNameError)
UPSTREAM = "upstream"
CDI_SINCE = 25  # docker's own support of CDI


class RefusedError(EngineError):
    """An image or a host that does not fit; --force goes on."""


def main(words: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 2 a mistake or a problem, 3 no engine, 130 interrupted."""
    options = _parser().parse_args(words)
    return answered(lambda: int(options.command(options)))


def answered(work: Callable[[], int]) -> int:
    """Return the exit code of `work`, with one message for each mistake."""
    try:
        with _terminated_is_interrupted():
            return work()
    except RefusedError as why:
        sys.stderr.write(f"{why}\n")
        return BAD_INPUT
    except MISTAKES as why:
        sys.stderr.write(f"{why}\n")
        return NO_LOOK if isinstance(why, EngineError) else BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on from the last step that was whole\n")
        return INTERRUPTED


@contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does: with everything put away."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="docker", description="Images and containers of the pinned stacks.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    made = commands.add_parser("build", help="build the image of a stack")
    made.add_argument("--stack", default="cu130", help="a folder of env/ (default: %(default)s)")
    made.add_argument("--base", default="", help="another base image than that of docker/images.lock")
    made.add_argument("--arch", default="all", help="the GPUs to build for: 8.6,9.0 or all (of the stack)")
    made.add_argument("--ca", type=Path, action="append", default=[], help="certificates (PEM) that pip must trust")
    made.add_argument("--index", default="", metavar="URL", help="a mirror of the package index")
    made.add_argument("--extra-index", default="", metavar="URL", help="a second one, asked too")
    made.add_argument("--network", default="", help="host where the engine's own network reaches no index")
    made.add_argument("--no-cache", action="store_true", help="build every step anew")
    made.set_defaults(command=_build)
    ran = commands.add_parser("run", help="run a task of bevready in the container of a stack")
    _add_where(ran)
    ran.add_argument("words", nargs=argparse.REMAINDER, help="the task, as after ./bevready (default: doctor)")
    ran.set_defaults(command=_run)
    asked = commands.add_parser("doctor", help="judge this host, the engine, the image, and what is inside")
    _add_where(asked)
    asked.set_defaults(command=_doctor)
    pinned = commands.add_parser("pin", help="write the digests of the base images from their registry")
    pinned.add_argument("--lock", type=Path, default=LOCK, help="which list (default: docker/images.lock)")
    pinned.set_defaults(command=_pin)
    return parser


def _add_where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack", default="cu130", help="a folder of env/ (default: %(default)s)")
    parser.add_argument("--gpu", choices=("auto", "cdi", "runtime", "none"), default="auto", help="how GPUs get in")
    parser.add_argument("--network", default="", help="the container's network (default: the engine's)")
    parser.add_argument("--force", action="store_true", help="go on although host and image do not fit")


def _build(words: argparse.Namespace) -> int:
    name, base = tag_of(words.stack), words.base or base_of(words.stack)
    order = Order(
        stack=words.stack,
        base=base,
        archs=words.arch,
        certificates=tuple(words.ca),
        index=words.index,
        extra_index=words.extra_index,
        network=words.network,
        no_cache=words.no_cache,
    )
    order.refuse_passwords()  # before anything repeats them
    stack_of(words.stack)
    if "@sha256:" not in base:
        sys.stderr.write(f"warning: the base {base} is not pinned by its digest; pin it: ./bevready docker-pin\n")
    engine = connect()
    sys.stderr.write(f"{engine}\n")
    identity = build(engine, order)
    sys.stdout.write(f"{name} {identity}\n")
    return DONE


def _pin(words: argparse.Namespace) -> int:
    for base in pin(words.lock).values():
        sys.stdout.write(f"{base.name}@{base.digest}\n")
    return DONE


def _run(words: argparse.Namespace) -> int:
    task = [word for word in words.words if word != "--"] or ["doctor"]
    inside = ("/opt/bevready/bevready", *task)
    here = Path.cwd()
    return _go(words, inside, mounts_for(here=here, recipe="", synth=True), here)


def _doctor(words: argparse.Namespace) -> int:
    seen = _seen()
    sys.stdout.write("\n".join(text for _, text in render.terminal(seen.diagnosis, seen.advice)) + "\n")
    engine = connect()
    sys.stdout.write(f"engine     {engine}\n")
    problems = _image_problems(engine, words.stack, seen)
    for problem in problems:
        sys.stdout.write(f"image      {problem}\n")
    if any("there is no image" in problem for problem in problems):
        return BAD_INPUT
    sys.stdout.write(f"inside     {tag_of(words.stack)}\n")
    sys.stdout.flush()
    words.force = True  # what does not fit was said
    code = _go(words, doctor_inside(words.stack), (), Path("/work"), seen=seen)
    return BAD_INPUT if seen.num_problems or problems else code


def doctor_inside(stack: str) -> tuple[str, ...]:
    """Return the words that ask the doctor in a stack's image; beside Python 3.8 it runs on the distribution's."""
    asked = ("-m", "doctor")
    return ("/usr/bin/python3", *asked, "--python", PYTHON) if stack == UPSTREAM else (PYTHON, *asked)


def run_recipe(words: argparse.Namespace) -> int:
    """Run `repro run` with these words in the container that they name; what it writes lies on the host."""
    return answered(lambda: _run_recipe(words))


def _run_recipe(words: argparse.Namespace) -> int:
    if words.container == UPSTREAM:
        raise BuildError("--container upstream: that stack is for comparison; run in cu130, cu128 or cu126")
    here = Path.cwd()
    mounts = mounts_for(
        here=here,
        recipe=words.recipe,
        run=words.run,
        dataroot=words.dataroot,
        also=(words.checkpoint, words.infos, words.log, words.golden),
        weights=torch_home(os.environ),
        synth=words.data == "synth",
    )
    inside = (PYTHON, "-m", "repro", *without_container(words.typed))
    where = argparse.Namespace(
        stack=words.container,
        gpu="none" if words.device == "cpu" else "auto",
        network="",
        force=words.force,
    )
    return _go(where, inside, mounts, here)


def without_container(typed: Sequence[str]) -> list[str]:
    """Return the words without `--container STACK`: inside, the run is an ordinary one."""
    left, skip = [], False
    for word in typed:
        if skip:
            skip = False
        elif word == "--container":
            skip = True
        elif not word.startswith("--container="):
            left.append(word)
    return left


def _go(
    words: argparse.Namespace,
    inside: tuple[str, ...],
    mounts: tuple[object, ...],
    folder: Path,
    seen: Consultation | None = None,
) -> int:
    name, seen = tag_of(words.stack), seen or _seen()
    engine = connect()
    _check_local(engine)
    problems = [*seen.lines[: seen.num_problems], *_image_problems(engine, words.stack, seen)]
    if problems and not words.force:
        raise RefusedError("\n".join([*problems, "mend this, or go on all the same with --force"]))
    errand = Errand(
        stack=words.stack,
        words=inside,
        mounts=mounts,  # type: ignore[arg-type]
        folder=folder,
        variables=(("TORCH_HOME", str(torch_home(os.environ))),),
        gpus=_gpus(words.gpu, engine, seen),
        network=words.network,
    )
    sys.stderr.write(f"container  {name}, GPUs: {errand.gpus}, {shlex.join(inside)}\n")
    return run(engine, errand)


def _check_local(engine: Engine) -> None:
    if not engine.address.startswith("unix://"):
        raise EngineError(f"the engine at {engine.address} is on another machine and sees no folder of this one")


def _image_problems(engine: Engine, stack: str, seen: Consultation) -> tuple[str, ...]:
    try:
        image = engine.client.images.get(tag_of(stack))
    except docker.errors.ImageNotFound:
        return (f"there is no image {tag_of(stack)}; build it: ./bevready docker-build --stack {stack}",)
    module = seen.diagnosis.machine.kernel_module
    driver = module.loaded if isinstance(module, KernelModule) else None
    return misfits(read_labels(image.labels), stack=stack, sources=sources_digest(), driver=driver)


def _seen() -> Consultation:
    """Let the doctor look at this host's engines; what is installed here is not what will run."""
    return consult(goal=Goal("docker"), rules=(*container_rules.RULES, *image_rules.RULES))


def _gpus(asked: str, engine: Engine, seen: Consultation) -> str:
    machine = seen.diagnosis.machine
    module, ways, docker = machine.kernel_module, machine.gpu_containers, machine.docker
    has_gpu = isinstance(module, KernelModule) and module.loaded is not None and bool(module.nodes)
    runtimes = docker.runtimes if isinstance(docker, Docker) else ()
    return choose_gpus(
        asked,
        has_gpu=has_gpu,
        has_spec=isinstance(ways, GpuContainers) and bool(ways.specs),
        has_runtime=(isinstance(ways, GpuContainers) and bool(ways.hook)) or "nvidia" in (*runtimes, *engine.runtimes),
        engine=(engine.name, engine.version),
    )


def choose_gpus(asked: str, *, has_gpu: bool, has_spec: bool, has_runtime: bool, engine: tuple[str, str]) -> str:
    """Return how GPUs get into the container: "cdi", "runtime" or "none". Raises EngineError where nothing can."""
    if asked != "auto":
        return asked
    if not has_gpu:
        return "none"
    name, version = engine
    major = version.partition(".")[0]
    if has_spec and (name == "podman" or (major.isdigit() and int(major) >= CDI_SINCE)):
        return "cdi"
    if has_runtime and name == "docker":
        return "runtime"
    raise RefusedError(
        f"there is a GPU, and {name} {version} has no way to hand it out; ./bevready doctor --for docker says what to "
        "install; or run without it: --device cpu"
    )
