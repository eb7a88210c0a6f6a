"""CON13 to CON16, both sides, and how images, labels and locks are read on small recorded worlds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.facts import GIB, BuiltImage, Docker, Images, Inside, KernelModule, Podman, Unknown
from doctor.finding import Goal
from doctor.probes.images import data_root, parse_labels, parse_lock, probe_images
from doctor.record import Recorder, Subject
from doctor.replay import load
from doctor.shell import LiveHost
from tests.doctor.asking import HEALTHY, judged
from tests.doctor.worlds import world

if TYPE_CHECKING:
    from pathlib import Path

FOR_DOCKER = Goal("docker")
DOCKER = Docker(path="/usr/bin/docker", socket="/var/run/docker.sock", reachable=True)
CU130 = BuiltImage(stack="cu130", min_driver=(580, 65, 6), base="debian:bookworm-slim", pinned=True)
LABELS = {"bevready.stack": "cu130", "bevready.min-driver": "580.65.06"}
ROOT = "/var/lib/docker"


class TestAnEngine:
    def test_none_is_a_problem_for_who_wants_containers(self) -> None:
        found = judged("CON13", goal=FOR_DOCKER)
        assert (found.saw, found.fix[0]) == ("neither docker nor podman is on PATH", "sudo apt install docker.io")

    def test_the_command_alone_is_no_engine(self) -> None:
        found = judged("CON13", replace(DOCKER, socket="", reachable=False), goal=FOR_DOCKER)
        assert found.saw == "docker at /usr/bin/docker, but its daemon's socket is not here"
        assert found.fix[0] == "sudo systemctl enable --now docker"

    @pytest.mark.parametrize(
        "facts",
        [
            (DOCKER,),
            (Podman("/usr/bin/podman"),),
            (replace(DOCKER, socket="", remote=True),),
            (Inside(engine="docker"),),
        ],
        ids=["docker", "podman", "a remote docker", "in a container"],
    )
    def test_an_engine_or_no_place_for_one_is_fine(self, facts: tuple[object, ...]) -> None:
        assert judged("CON13", *facts, goal=FOR_DOCKER) is HEALTHY

    def test_who_wants_no_containers_needs_none(self) -> None:
        assert judged("CON13") is HEALTHY


class TestTheDriver:
    def test_an_image_newer_than_the_driver_is_a_problem(self) -> None:
        found = judged("CON14", Images(built=(CU130,)), KernelModule(loaded=(570, 124, 4)))
        assert found.saw == "the image of cu130 needs driver 580.65.06, and 570.124.04 is loaded"
        assert found.severity == "problem"

    @pytest.mark.parametrize("loaded", [(580, 65, 6), (610, 1, 1), None])
    def test_a_driver_as_new_as_the_image_or_no_gpu_is_fine(self, loaded: tuple[int, ...] | None) -> None:
        assert judged("CON14", Images(built=(CU130,)), KernelModule(loaded=loaded)) is HEALTHY

    def test_an_image_that_says_nothing_is_not_judged(self) -> None:
        silent = Images(built=(replace(CU130, min_driver=None),))
        assert judged("CON14", silent, KernelModule(loaded=(470, 1, 1))) is HEALTHY


class TestRoom:
    @pytest.mark.parametrize(("free", "severity"), [(13, "warning"), (4, "problem")])
    def test_a_disk_that_fills_up_is_told_beforehand(self, free: int, severity: str) -> None:
        found = judged("CON15", Images(place=ROOT, free=free * GIB))
        assert (found.saw, found.severity) == (f"{ROOT} has {free} GiB free", severity)
        assert found.expected == "24 GiB while an image is built"

    @pytest.mark.parametrize(
        "images",
        [Images(place=ROOT, free=24 * GIB), Images(), Images(built=(CU130,), place=ROOT, free=GIB)],
        ids=["room", "unknown", "built already"],
    )
    def test_room_or_no_need_of_it_is_fine(self, images: Images) -> None:
        assert judged("CON15", images) is HEALTHY


class TestPins:
    def test_a_base_without_a_digest_is_a_warning(self) -> None:
        found = judged("CON16", Images(unpinned=("debian:bookworm-slim",)))
        assert (found.severity, found.fix) == ("warning", ("./bevready docker-pin",))
        assert found.saw == "no digest is known for debian:bookworm-slim"

    def test_an_image_built_on_a_loose_base_is_one_too(self) -> None:
        assert judged("CON16", Images(built=(replace(CU130, base="mine:1", pinned=False),))).saw.endswith("mine:1")

    def test_pinned_ones_are_fine(self) -> None:
        assert judged("CON16", Images(built=(CU130,))) is HEALTHY


class TestLooking:
    def test_nobody_is_asked_where_no_container_is_meant(self) -> None:
        assert isinstance(probe_images(world(), asked=False), Unknown)

    def test_images_bases_and_room_are_found(self) -> None:
        listing = "/usr/bin/docker image ls --quiet --no-trunc --filter label=bevready.stack"
        labels = {**LABELS, "org.opencontainers.image.base.name": "b:1"}
        host = world(
            programs={"docker": "/usr/bin/docker"},
            commands={
                listing: {"code": 0, "out": ["sha256:1", "sha256:2", "sha256:1", ""]},
                "/usr/bin/docker image inspect --format {{json .Config.Labels}} sha256:1 sha256:2": {
                    "code": 0,
                    "out": [json.dumps(labels), "null", ""],
                },
            },
            files={
                "/etc/docker/daemon.json": '{"data-root": "/big"}',
                "/home/me/bevready/docker/images.lock": json.dumps(
                    {"images": {"a": {"name": "b:1"}, "x": {"name": "c", "digest": "sha256:0"}}}
                ),
            },
            space={"/big": [100 * GIB, 30 * GIB]},
        )
        built = BuiltImage(stack="cu130", min_driver=(580, 65, 6), base="b:1")
        found = probe_images(host, asked=True, home="/home/me/bevready")
        assert found == Images(built=(built,), unpinned=("b:1",), place="/big", free=30 * GIB)
        assert str(found) == "images of the stacks cu130"

    def test_a_recording_keeps_the_list_of_the_checkout_that_it_was_made_in(self, tmp_path: Path) -> None:
        home = tmp_path / "elsewhere" / "bevready"
        (home / "docker").mkdir(parents=True)
        (home / "docker" / "images.lock").write_text('{"images": {"a": {"name": "b:1"}}}', encoding="utf-8")
        recorder = Recorder(LiveHost())
        probe_images(recorder, asked=True, home=str(home))
        again = load(recorder.save(tmp_path / "recording", Subject("/usr/bin/python3", "/", home=str(home))))
        found = probe_images(again, asked=True, home=again.subject().home)
        assert isinstance(found, Images)
        assert found.unpinned == ("b:1",)

    def test_without_an_engine_there_is_room_and_no_image(self) -> None:
        found = probe_images(world(space={ROOT: [9, 5]}), asked=True)
        assert found == Images(place=ROOT, free=5)
        assert str(found) == "no image of a stack"

    @given(st.text(max_size=80) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
    def test_no_text_ends_in_an_exception(self, text: str) -> None:
        assert isinstance(data_root(text), str)
        assert isinstance(parse_lock(text), tuple)
        assert parse_labels(text) is None

    @given(st.dictionaries(st.sampled_from([*LABELS, "org.opencontainers.image.base.name"]), st.text(max_size=20)))
    def test_labels_say_what_they_like(self, labels: dict[str, str]) -> None:
        found = parse_labels(json.dumps(labels))
        assert found is None or found.stack == labels["bevready.stack"]
