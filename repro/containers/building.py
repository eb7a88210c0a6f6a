"""Building the image of a stack: the context goes to the engine, its words come back as progress, the name comes last.

An image gets its name in one step, after its labels were read back; whatever ends a build before that leaves the image
that had the name.
"""

from __future__ import annotations

import json
import re
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import docker.errors

from repro.atomic import write_text
from repro.containers.context import ROOT, pack, sources_digest
from repro.containers.engine import Engine, EngineError
from repro.containers.labels import REPOSITORY, STACK, read_labels, tag_of
from repro.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from repro.progress import Advance


STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
CREDENTIALS = re.compile(r"://[^/@\s]+@|^[^/@\s]+:[^/@\s]+@(?!sha\d+:)")
KEPT_LINES = 25
LOGS = ROOT / "build"


class BuildError(RuntimeError):
    """A build that failed; the message quotes its last words and says what to type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to build. `base` is what FROM takes: a name, or name@digest where it is pinned."""

    stack: str
    base: str
    archs: str = "all"
    certificates: tuple[Path, ...] = ()
    index: str = ""
    extra_index: str = ""
    network: str = ""
    no_cache: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def dockerfile(self) -> str:
        """Return which Dockerfile makes this stack."""
        return f"docker/{'upstream' if self.stack == 'upstream' else 'native'}.Dockerfile"

    def refuse_passwords(self) -> None:
        """Raise BuildError, which does not repeat it, for an address that carries a password."""
        for name, value in (("--index", self.index), ("--extra-index", self.extra_index), ("--base", self.base)):
            if CREDENTIALS.search(value):
                raise BuildError(f"{name}: the address carries a password, which the image's history would keep")

    def arguments(self, sources: str, min_driver: str) -> dict[str, str]:
        """Return the build arguments. Raises BuildError for an address that carries a password."""
        self.refuse_passwords()
        name, _, digest = self.base.partition("@")
        told = {
            "BASE": self.base,
            "STACK": self.stack,
            "ARCHS": self.archs,
            "PIP_INDEX_URL": self.index,
            "PIP_EXTRA_INDEX_URL": self.extra_index,
            "BASE_NAME": name,
            "BASE_DIGEST": digest,
            "SOURCES": sources,
            "MIN_DRIVER": min_driver,
            **self.variables,
        }
        return {key: value for key, value in told.items() if value}


def build(engine: Engine, order: Order, *, root: Path = ROOT) -> str:
    """Build the image of a stack and give it its name; return its identity.

    Raises BuildError, ContextError, and StackNameError where the stack's name can be none of an image.

    Ctrl-C and a lost connection end the build in the engine; the image that had the name keeps it.
    """
    label = tag_of(order.stack)
    sources, told = sources_digest(root), stack_of(order.stack, root)
    arguments = order.arguments(sources, str(told["min_driver"]))
    with pack(order.certificates, root) as context:
        answers = engine.client.api.build(
            fileobj=context,
            custom_context=True,
            dockerfile=order.dockerfile,
            buildargs=arguments,
            network_mode=order.network or None,
            nocache=order.no_cache,
            rm=True,
            forcerm=True,
            decode=True,
            timeout=None,
        )
        identity = follow(answers, label=label, log=LOGS / f"docker-{order.stack}.log")
    return _name(engine, identity, order.stack, sources)


def stack_of(name: str, root: Path = ROOT) -> dict[str, Any]:
    """Return what a stack's stack.json says. Raises BuildError for one that is not there, naming those that are."""
    path = root / "env" / name / "stack.json"
    if not path.is_file():
        known = ", ".join(sorted(folder.parent.name for folder in (root / "env").glob("*/stack.json")))
        raise BuildError(f"--stack {name}: there is no such stack; expected one of {known}")
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return told


def follow(answers: Iterable[Mapping[str, Any]], *, label: str, log: Path) -> str:
    """Show a build's steps as they come, keep its words in `log`, return the image's identity. Raises BuildError."""
    words: list[str] = []
    try:
        return _follow(answers, label, words)
    except BuildError as why:
        raise BuildError(f"{why}\n  the whole log: {log}") from why
    finally:
        write_text(log, "".join(words))


def _follow(answers: Iterable[Mapping[str, Any]], label: str, words: list[str]) -> str:
    identity, steps = "", _Steps(label)
    try:
        for answer in answers:
            words.append(COLOUR.sub("", str(answer.get("stream") or answer.get("error") or "")))
            if "error" in answer:
                last = "".join(deque(words, KEPT_LINES)).rstrip()
                raise BuildError(f"{last}\ndocker-build: {steps.now or 'the engine'} failed{advice(''.join(words))}")
            identity = str((answer.get("aux") or {}).get("ID") or identity)
            steps.hear(words[-1])
    finally:
        steps.close()
    if not identity:
        raise BuildError("the engine ended the build without an image; is it shutting down? The same command resumes")
    return identity


class _Steps:
    """The steps of a build on a progress bar, or a line now and then where there is no terminal."""

    def __init__(self, label: str) -> None:
        self.now = ""
        self._label, self._done = label, 0
        self._shown = ExitStack()
        self._advance: Advance | None = None

    def hear(self, line: str) -> None:
        """Read one line of the engine's; `Step 3/20 : RUN …` begins a step, others show that it lives."""
        step = STEP.match(line)
        if step is None:
            if self._advance and line.strip():
                self._advance(0, note=line.strip()[:60])
            return
        number, total = int(step[1]), int(step[2])
        self.now = f"step {number} of {total} ({step[3][:60]})"
        if self._advance is None:
            self._advance = self._shown.enter_context(progress(self._label, total, alike=False))
        self._advance(number - 1 - self._done, note=step[3][:60])
        self._done = number - 1

    def close(self) -> None:
        """Take the bar away."""
        self._shown.close()


CAUSES = (
    (r"No space left on device|no space left", "the engine's disk is full: docker system df, docker system prune"),
    (r"SSLError|CERTIFICATE_VERIFY_FAILED", "behind a private authority, name its certificates: --ca FILE"),
    (
        r"Temporary failure (in name|resolving)|Could not resolve|NewConnectionError|Network is unreachable",
        "the build reaches no network: try --network host, or name a mirror: --index URL",
    ),
    (r"DO NOT MATCH THE HASHES", "a mirror serves other files than the lock names: check --index"),
    (r"manifest (for .* not found|unknown)|pull access denied|registry", "the base is not to be had: --base NAME"),
)


def advice(words: str) -> str:
    """Return "; " and what to type where the log has a known cause, an empty text elsewhere."""
    return next((f"; {fix}" for pattern, fix in CAUSES if re.search(pattern, words)), "")


def _name(engine: Engine, identity: str, stack: str, sources: str) -> str:
    """Give a finished image its name, and take away the nameless one that had it. Raises BuildError."""
    image = engine.client.images.get(identity)
    facts = read_labels(image.labels)
    if (facts.stack, facts.sources) != (stack, sources):
        raise BuildError(f"the image says {facts.stack or 'nothing'}, {facts.sources}; expected {stack}, {sources}")
    image.tag(REPOSITORY, stack)
    for old in _nameless(engine, stack):
        if old.id != image.id:
            _remove(engine, old.id)
    return str(image.id)


def _nameless(engine: Engine, stack: str) -> Iterator[Any]:
    yield from engine.client.images.list(filters={"dangling": True, "label": f"{STACK}={stack}"})


def _remove(engine: Engine, identity: str) -> None:
    """Remove an image that nothing uses; one that a container runs stays."""
    try:
        engine.client.images.remove(identity)
    except docker.errors.APIError as why:
        if why.response is None or why.response.status_code not in {404, 409}:
            raise EngineError(f"the image {identity[:19]} cannot be removed: {why.explanation}") from why
