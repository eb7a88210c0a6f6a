"""Which engine is asked, who runs inside, how GPUs get in, and what is said where there is none."""

from __future__ import annotations

import os
import socket
import threading
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from repro.__main__ import main as run_repro
from repro.containers.building import BuildError, Order, follow
from repro.containers.engine import Engine, EngineError, connect, find_address, is_rootless
from repro.containers.libpod import network, specification
from repro.containers.menu import RefusedError, choose_gpus, main, without_container
from repro.containers.running import Errand, Mount, run, settings

NOBODY = 65534


def engine(*, name: str = "docker", rootless: bool = False) -> Engine:
    return Engine(client=None, address="", name=name, version="27.1", rootless=rootless, runtimes=(), root="")


def told(errand: Errand, running: Engine) -> dict[str, Any]:
    found = settings(errand, running, owner="here/1", user=(1000, 100), env={"HOME": "/home/me", "BEVREADY_LANG": "zh"})
    return {**found, **found["host_config"]}


ERRAND = Errand(
    stack="cu130",
    words=("/opt/venv/bin/python", "-m", "repro"),
    mounts=(Mount(path=Path("/data"), writable=False), Mount(path=Path("/runs"), writable=True)),
    folder=Path("/here"),
)


class TestAnEngineThatGoesAway:
    def test_it_is_told_in_words(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "s"))
            listening.listen()

            def hang_up() -> None:
                listening.accept()[0].close()

            closing = threading.Thread(target=hang_up)
            closing.start()
            client = docker.DockerClient(base_url=f"unix://{tmp_path / 's'}", version="1.41")
            with pytest.raises(EngineError, match="was lost"):
                run(replace(engine(), client=client), ERRAND)
            closing.join()
            client.close()


class TestFindingAnEngine:
    def test_a_variable_decides(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "s"))
            address = f"unix://{tmp_path / 's'}"
            assert find_address({"DOCKER_HOST": address}) == address
            assert find_address({"CONTAINER_HOST": address}) == address

    def test_the_users_own_podman_is_found(self, tmp_path: Path) -> None:
        (tmp_path / "podman").mkdir()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "podman" / "podman.sock"))
            found = find_address({"XDG_RUNTIME_DIR": str(tmp_path)})
        if Path("/var/run/docker.sock").exists():
            assert found == "unix:///var/run/docker.sock"
        else:
            assert found == f"unix://{tmp_path}/podman/podman.sock"

    def test_a_daemon_that_is_not_running_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(EngineError, match="nothing is there; start the engine"):
            find_address({"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
    def test_a_socket_that_is_closed_to_this_user_is_told(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "s"))
            (tmp_path / "s").chmod(0o600)
            reading, writing = os.pipe()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests; the child needs none
                child = os.fork()
            if child == 0:
                try:
                    os.setuid(NOBODY)
                    find_address({"DOCKER_HOST": f"unix://{tmp_path / 's'}"})
                except Exception as why:  # noqa: BLE001 — whatever it is, the parent judges its words
                    os.write(writing, str(why).encode())
                finally:
                    os._exit(0)
            os.waitpid(child, 0)
            os.close(writing)
            words = os.read(reading, 1 << 12).decode()
            os.close(reading)
        assert "Permission denied; join the group that owns it: sudo usermod -aG docker" in words

    def test_a_socket_that_nobody_answers_is_told(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.bind(str(tmp_path / "s"))
            with pytest.raises(EngineError, match="does not answer: Connection refused"):
                connect({"DOCKER_HOST": f"unix://{tmp_path / 's'}"})

    def test_the_menu_says_so_and_could_not_look(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
        assert main(["build", "--base", "x@sha256:0"]) == 3
        assert "start the engine" in capsys.readouterr().err


class TestRootless:
    @pytest.mark.parametrize(
        ("info", "rootless"),
        [
            ({"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}, True),  # docker
            ({"SecurityOptions": ["name=seccomp,profile=default"], "Rootless": True}, True),  # podman 4.3
            ({"SecurityOptions": ["name=seccomp,profile=default"], "Rootless": False}, False),
            ({"SecurityOptions": None}, False),
        ],
    )
    def test_each_engine_says_it_in_its_own_way(self, *, info: dict[str, object], rootless: bool) -> None:
        assert is_rootless(info) is rootless


class TestContainerSettings:
    def test_nothing_is_given_that_is_not_needed(self) -> None:
        found = told(ERRAND, engine())
        assert (found["cap_drop"], found["read_only"], found["auto_remove"]) == (["ALL"], True, True)
        assert found["security_opt"] == ["no-new-privileges"]
        assert found["environment"] == {"BEVREADY_LANG": "zh"}
        assert found["device_requests"] is None

    def test_shared_memory_is_not_dockers_64_megabytes(self) -> None:
        assert told(ERRAND, engine())["shm_size"] == "8g"

    def test_data_is_mounted_to_read_at_its_own_place(self) -> None:
        mounts = told(ERRAND, engine())["mounts"]
        assert isinstance(mounts, list)
        assert [(row["Source"], row["Target"], row["ReadOnly"]) for row in mounts] == [
            ("/data", "/data", True),
            ("/runs", "/runs", False),
        ]

    @pytest.mark.parametrize(
        ("name", "rootless", "user"),
        [
            ("docker", False, "1000:100"),
            ("docker", True, "0:0"),  # without root, the daemon's user 0 is the caller
            ("podman", False, "1000:100"),
            ("podman", True, "1000:100"),
        ],
    )
    def test_files_belong_to_the_caller(self, *, name: str, rootless: bool, user: str) -> None:
        assert told(ERRAND, engine(name=name, rootless=rootless))["user"] == user

    @pytest.mark.parametrize(("rootless", "mode"), [(False, None), (True, {"nsmode": "keep-id"})])
    def test_podman_without_root_keeps_the_callers_number(self, *, rootless: bool, mode: dict[str, str] | None) -> None:
        spec = specification(told(ERRAND, engine(name="podman")), gpus="none", rootless=rootless)
        assert spec.get("userns") == mode

    @pytest.mark.parametrize(
        ("named", "told_to_podman"),
        [
            ("", {}),
            ("host", {"netns": {"nsmode": "host"}}),
            ("pasta:--map-gw", {"netns": {"nsmode": "pasta", "value": "--map-gw"}}),
            ("container:abc", {"netns": {"nsmode": "container", "value": "abc"}}),
            ("mine", {"netns": {"nsmode": "bridge"}, "Networks": {"mine": {}}}),
        ],
    )
    def test_podman_hears_of_a_network_in_its_own_words(self, named: str, told_to_podman: dict[str, Any]) -> None:
        assert network(named) == told_to_podman

    def test_podman_is_asked_for_gpus_in_its_own_words(self) -> None:
        spec = specification(told(ERRAND, engine(name="podman")), gpus="cdi", rootless=False)
        assert spec["devices"] == [{"path": "nvidia.com/gpu=all"}]

    @pytest.mark.parametrize(
        ("way", "driver", "ids", "count"),
        [("cdi", "cdi", ["nvidia.com/gpu=all"], 0), ("runtime", "", [], -1)],
    )
    def test_gpus_are_asked_for_in_two_ways(self, way: str, driver: str, ids: list[str], count: int) -> None:
        errand = Errand(stack="cu130", words=(), mounts=(), folder=Path("/"), gpus=way)
        requests = told(errand, engine())["device_requests"]
        assert isinstance(requests, list)
        assert [(row["Driver"], row["DeviceIDs"], row["Count"]) for row in requests] == [(driver, ids, count)]


class TestChoosingGpus:
    @pytest.mark.parametrize(
        ("has_gpu", "has_spec", "has_runtime", "running", "way"),
        [
            (False, True, True, ("docker", "27.1"), "none"),
            (True, True, True, ("docker", "27.1"), "cdi"),
            (True, True, True, ("docker", "20.10.24+dfsg1"), "runtime"),
            (True, False, True, ("docker", "27.1"), "runtime"),
            (True, True, False, ("podman", "4.3.1"), "cdi"),
        ],
    )
    def test_by_what_host_and_engine_can(
        self, *, has_gpu: bool, has_spec: bool, has_runtime: bool, running: tuple[str, str], way: str
    ) -> None:
        found = choose_gpus("auto", has_gpu=has_gpu, has_spec=has_spec, has_runtime=has_runtime, engine=running)
        assert found == way

    @pytest.mark.parametrize("running", [("docker", "20.10"), ("podman", "4.3.1")])
    def test_a_gpu_that_nothing_hands_out_is_told(self, running: tuple[str, str]) -> None:
        with pytest.raises(RefusedError, match="has no way to hand it out"):
            choose_gpus("auto", has_gpu=True, has_spec=False, has_runtime=running[0] == "podman", engine=running)

    def test_who_asks_for_none_gets_none(self) -> None:
        assert choose_gpus("none", has_gpu=True, has_spec=False, has_runtime=False, engine=("docker", "1")) == "none"


class TestBuildWords:
    def test_the_image_is_the_one_that_was_named_last(self, tmp_path: Path) -> None:
        answers: list[dict[str, Any]] = [
            {"stream": "Step 1/2 : FROM x\n"},
            {"aux": {"ID": "sha256:1"}},
            {"stream": "Step 2/2 : USER y\n"},
        ]
        assert follow([*answers, {"aux": {"ID": "sha256:2"}}], label="x", log=tmp_path / "log") == "sha256:2"
        assert (tmp_path / "log").read_text(encoding="utf-8") == "Step 1/2 : FROM x\nStep 2/2 : USER y\n"

    @pytest.mark.parametrize(
        ("words", "fix"),
        [
            ("OSError: [Errno 28] No space left on device", "docker system prune"),
            ("SSLError(SSLCertVerificationError(CERTIFICATE_VERIFY_FAILED", "--ca FILE"),
            ("Temporary failure resolving 'deb.debian.org'", "--network host"),
            ("THESE PACKAGES DO NOT MATCH THE HASHES", "check --index"),
            ("pull access denied for nobody/base", "--base NAME"),
        ],
    )
    def test_a_step_that_failed_says_what_to_type(self, tmp_path: Path, words: str, fix: str) -> None:
        answers = [{"stream": "Step 7/9 : RUN x\n"}, {"stream": f"\x1b[91m{words}\x1b[0m\n"}, {"error": "returned 1"}]
        with pytest.raises(BuildError) as raised:
            follow(answers, label="x", log=tmp_path / "log")
        assert words in str(raised.value)
        assert "step 7 of 9 (RUN x) failed" in str(raised.value)
        assert fix in str(raised.value)
        assert str(tmp_path / "log") in str(raised.value)

    def test_a_stream_that_breaks_off_is_no_image(self, tmp_path: Path) -> None:
        with pytest.raises(BuildError, match="ended the build without an image"):
            follow([{"stream": "Step 1/2 : FROM x\n"}], label="x", log=tmp_path / "log")

    def test_a_password_does_not_get_into_an_images_history(self) -> None:
        order = Order(stack="cu130", base="x", index="https://me:secret@mirror.example/simple")
        with pytest.raises(BuildError, match="carries a password") as raised:
            order.arguments("0", "1")
        assert "secret" not in str(raised.value)

    def test_a_pinned_base_is_told_in_the_labels(self) -> None:
        told = Order(stack="cu126", base="debian:x@sha256:1").arguments("0", "560.28")
        assert (told["BASE"], told["BASE_NAME"], told["BASE_DIGEST"]) == ("debian:x@sha256:1", "debian:x", "sha256:1")
        assert "PIP_INDEX_URL" not in told


def test_the_authors_stack_is_no_place_to_run_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_repro(["run", "--recipe", "bevformer_tiny", "--container", "upstream"]) == 2
    assert "run in cu130, cu128 or cu126" in capsys.readouterr().err


@pytest.mark.parametrize(
    "typed",
    [
        ["run", "--container", "cu130", "--recipe", "x", "--smoke"],
        ["run", "--recipe", "x", "--container=cu130", "--smoke"],
    ],
)
def test_inside_the_run_is_an_ordinary_one(typed: list[str]) -> None:
    assert without_container(typed) == ["run", "--recipe", "x", "--smoke"]
