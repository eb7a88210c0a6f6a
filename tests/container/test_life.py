"""The life of containers and of half builds, on docker and on podman: words, codes, owners, GPUs, signals, kills.

Where an engine cannot start, its tests fail in CI (the variable CI is set) and skip elsewhere, saying why.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from repro.containers.context import sources_digest
from repro.containers.labels import ROLE, tag_of
from tests.container.engines import BASE
from tests.container.small import (
    LONGEST_S,
    PROGRAM,
    ROOT,
    build_of,
    ends_within,
    errand_of,
    start,
    tags,
    write_checkout,
    write_spec,
)

if TYPE_CHECKING:
    from repro.containers.engine import Engine

NOBODY = 65534


@pytest.mark.usefixtures("small")
def test_words_and_exit_code_come_out_of_the_container(engine: Engine, tmp_path: Path) -> None:
    code = "import os, sys; print('to stdout', os.getuid()); print('to stderr', file=sys.stderr); sys.exit(7)"
    child = start(engine, errand_of(tmp_path, code))
    out, err = child.communicate(timeout=120)
    assert (child.returncode, out, err) == (7, f"to stdout {os.getuid()}\n", "to stderr\n")
    assert not engine.client.containers.list(all=True)


@pytest.mark.usefixtures("small")
def test_files_of_a_run_belong_to_the_caller_and_nothing_else_is_written(engine: Engine, tmp_path: Path) -> None:
    code = (
        "import os, pathlib; pathlib.Path('mine').write_text('x');\n"
        "try: pathlib.Path('/opt/other').write_text('x')\n"
        "except OSError as why: print(why.strerror)\n"
        "print(os.statvfs('/dev/shm').f_blocks * os.statvfs('/dev/shm').f_frsize >> 30)"
    )
    out, err = start(engine, errand_of(tmp_path, code)).communicate(timeout=120)
    assert out == "Read-only file system\n8\n", err
    assert (tmp_path / "mine").stat().st_uid == os.getuid()


@pytest.mark.usefixtures("small")
def test_ctrl_c_reaches_the_work_which_ends_politely(engine: Engine, tmp_path: Path) -> None:
    code = (
        "import time\ntry: print('ready', flush=True); time.sleep(100)\n"
        "except KeyboardInterrupt: open('last', 'w').write('saved')\nraise SystemExit(130)"
    )
    child = start(engine, errand_of(tmp_path, code))
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    assert (tmp_path / "last").read_text(encoding="utf-8") == "saved"
    assert not engine.client.containers.list(all=True)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("small")
def test_a_run_that_is_killed_at_any_moment_leaves_no_container_running(
    engine: Engine, tmp_path: Path, seed: int
) -> None:
    code = "import time, pathlib; pathlib.Path('kept').write_text('x'); time.sleep(100)"
    child = start(engine, errand_of(tmp_path, code))
    time.sleep(random.Random(seed).uniform(0.2, 4.0))  # noqa: S311 — no secret
    child.kill()
    child.communicate(timeout=LONGEST_S)
    assert ends_within(engine, 60)
    again = start(engine, errand_of(tmp_path, "pass"))
    again.communicate(timeout=120)
    assert again.returncode == 0
    assert not engine.client.containers.list(all=True, filters={"label": ROLE})
    assert {path.name for path in tmp_path.iterdir()} <= {"kept"}


@pytest.mark.parametrize("seed", range(2))
def test_a_build_that_is_killed_at_any_moment_leaves_the_image_that_was(engine: Engine, small: Path, seed: int) -> None:
    before = engine.client.images.get(tag_of("small")).id
    child = start(engine, build_of(small))
    time.sleep(random.Random(seed).uniform(0.3, 3.0))  # noqa: S311 — no secret
    child.kill()
    child.communicate(timeout=LONGEST_S)
    assert ends_within(engine, 60)
    image = engine.client.images.get(tag_of("small"))
    assert image.id == before or image.labels["bevready.sources"] == sources_digest(small)
    assert tags(engine) == {BASE, tag_of("small")}


@pytest.mark.usefixtures("small")
def test_an_image_whose_labels_lie_gets_no_name(engine: Engine, tmp_path: Path) -> None:
    before = engine.client.images.get(tag_of("small")).id
    write_checkout(tmp_path)
    dockerfile = tmp_path / "docker" / "native.Dockerfile"
    dockerfile.write_text(f"ARG BASE\nFROM {BASE}\nLABEL bevready.stack=small bevready.sources=0\n", encoding="utf-8")
    _, err = start(engine, build_of(tmp_path)).communicate(timeout=120)
    assert f"the image says small, 0; expected small, {sources_digest(tmp_path)}" in err
    assert engine.client.images.get(tag_of("small")).id == before


@pytest.mark.usefixtures("small")
def test_a_gpu_that_a_cdi_file_describes_arrives_where_such_files_are_read(engine: Engine, tmp_path: Path) -> None:
    reads = write_spec(engine, "/dev/null")
    code = (
        "import os, pathlib, stat; print(os.environ['MADE_UP_GPU'], pathlib.Path('/usr/lib/libcuda.so.1').exists(), "
        "stat.S_ISCHR(os.stat('/dev/nvidia0').st_mode))"
    )
    child = start(engine, errand_of(tmp_path, code, "cdi"))
    out, err = child.communicate(timeout=120)
    assert (child.returncode, out) == ((0, "yes True True\n") if reads else (3, "")), err


@pytest.mark.usefixtures("small")
def test_a_cdi_file_whose_device_is_gone_says_what_to_type(engine: Engine, tmp_path: Path) -> None:
    reads = write_spec(engine, "/dev/bevready-gone")
    child = start(engine, errand_of(tmp_path, "pass", "cdi"))
    _, err = child.communicate(timeout=120)
    assert child.returncode == 3
    assert ("sudo nvidia-ctk cdi generate" if reads else "this docker knows no CDI") in err
    assert "Traceback" not in err
    assert not engine.client.containers.list(all=True)


@pytest.mark.usefixtures("small")
def test_without_nvidias_runtime_the_message_says_what_to_type(engine: Engine, tmp_path: Path) -> None:
    child = start(engine, errand_of(tmp_path, "pass", "runtime"))
    _, err = child.communicate(timeout=120)
    assert child.returncode == 3
    assert {"docker": "sudo apt install nvidia-container-toolkit", "podman": "through CDI only"}[engine.name] in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("small")
def test_a_caller_in_the_sockets_group_owns_what_its_run_writes(engine: Engine) -> None:
    if os.environ.get("BEVREADY_TEST_ENGINE"):
        pytest.skip("BEVREADY_TEST_ENGINE may be somebody's own: its socket stays whose it is")
    socket = Path(engine.address.removeprefix("unix://"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "engine").hardlink_to(socket)  # the test's own folders are closed to others
        os.chown(socket, 0, NOBODY)
        socket.chmod(0o660)
        (folder / "run").mkdir()
        os.chown(folder / "run", NOBODY, NOBODY)
        # what Python imports late is imported before, should its own folder be closed to others
        late = "import os, encodings.ascii, encodings.idna; connect()"
        become = f"os.setgroups([{NOBODY}]); os.setgid({NOBODY}); os.setuid({NOBODY})"
        work = f"{late}; {become}\n" + errand_of(
            folder / "run", "import os; open('mine', 'w').write('x'); print(os.getuid())"
        )
        env = {**os.environ, "DOCKER_HOST": f"unix://{folder / 'engine'}"}
        words = [sys.executable, "-c", PROGRAM.format(root=str(ROOT), work=work)]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=LONGEST_S)
        assert (done.returncode, done.stdout) == (0, f"{NOBODY}\n"), done.stderr
        written = (folder / "run" / "mine").stat()
    assert (written.st_uid, written.st_gid) == (NOBODY, NOBODY)
