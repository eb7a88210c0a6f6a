"""`compare-upstream` where it cannot compare: each case ends at once, says what to type, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from repro.__main__ import main
from repro.models.bevformer import build_bevformer
from repro.models.checkpoints import export_upstream
from repro.recipe import load_recipe
from tests.upstream.broken import CONFIG, write_broken
from tests.upstream.stand_in import PLUGIN, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT = "./bevready env --stack upstream"
GET_IT = "git clone https://github.com/fundamentalvision/BEVFormer"
WAITS = "import os, pathlib, time\npathlib.Path({pid!r}).write_text(str(os.getpid()))\ntime.sleep(600)\n"


def complaint(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Run the command with --json, and return its exit code and what its document complains of."""
    code = main(["compare-upstream", "--recipe", "bevformer_nano", *words, "--json"])
    told = json.loads(capfd.readouterr().out)
    assert told["ok"] is False
    return code, told["error"]


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"torch/__init__.py": "raise ModuleNotFoundError('none', name='torch')"}, 3, ("without torch", ENVIRONMENT)),
        ({"mmcv/__init__.py": None}, 3, ("without mmcv; expected Python 3.8 with torch 1.9.1", ENVIRONMENT)),
        ({"mmcv/__init__.py": "__version__ = '2.1.0'"}, 3, ("mmcv 2.1.0, which has no mmcv.Config", "--python PATH")),
        ({"mmdet3d/__init__.py": "import mmcv._ext"}, 3, ("mmcv 1.4.0 without its compiled operators", "mmcv-full")),
        ({f"{PLUGIN}/__init__.py": "import prettytable_"}, 3, ("imports prettytable_", "-m pip install prettytable_")),
        ({f"{PLUGIN}/__init__.py": "import detectron2"}, 3, (f"{PLUGIN}/__init__.py:1 imports detectron2", "v2")),
        ({f"{PLUGIN}/__init__.py": "x = (1\n"}, 3, (f"{PLUGIN}/__init__.py:1: Python 3.", "git checkout -- FILE")),
        ({f"{PLUGIN}/__init__.py": "from .head import A"}, 3, ("projects.mmdet3d_plugin.head", "not in the checkout")),
        ({f"{PLUGIN}/__init__.py": "raise KeyError('A is not in the registry')"}, 3, ("A is not in the registry",)),
        ({f"{PLUGIN}/__init__.py": "1 / 0"}, 3, ("ZeroDivisionError", f"{PLUGIN}/__init__.py:1", "--verify tells")),
        ({f"{PLUGIN}/__init__.py": "import os\nos.kill(os.getpid(), 9)"}, 3, ("ended by signal 9", "memory?")),
        ({f"{PLUGIN}/__init__.py": "import os\nos._exit(137)"}, 3, ("ended by signal 9", "memory?")),
        ({f"{PLUGIN}/__init__.py": "import os\nos._exit(4)"}, 3, ("their model ended (exit 4)", "It said nothing")),
        ({f"{PLUGIN}/__init__.py": "raise OSError(28, 'full')"}, 3, ("Errno 28] full; expected room", "TMPDIR")),
        ({f"{PLUGIN}/__init__.py": "raise OSError('9 requested and 1 written')"}, 3, ("1 written; expected room",)),
        ({}, 2, ("has weights that ours lacks: pts_bbox_head.transformer.gate.weight", "--config PATH")),
    ],
    ids=[
        "no torch", "no mmcv", "mmcv 2", "mmcv without operators", "a package is missing", "detectron2",
        "syntax error", "a file was moved", "a part is not registered", "their code fails", "killed",
        "killed in a container", "ended", "disk full", "disk full as numpy says it", "other weights",
    ],
)  # fmt: skip
def test_what_does_not_work_is_told_with_its_cure(
    changed: dict[str, str | None],
    code: int,
    words: tuple[str, ...],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    checkout = write_broken(tmp_path, changed)
    ended, told = complaint(capfd, "--checkout", str(checkout), "--python", sys.executable)
    assert ended == code
    for part in words:
        assert part in told


def test_an_mmcv_whose_deformable_convolutions_need_cuda_is_named_before_anything_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    models = (tmp_path / "mmdet3d" / "models.py", "def __call__(self, _): raise NotImplementedError('not on the CPU')")
    checkout = write_broken(tmp_path, {})
    models[0].write_text(models[0].read_text(encoding="utf-8").replace("def __call__(self, _): pass", models[1]))
    code, told = complaint(capfd, "--checkout", str(checkout), "--python", sys.executable)
    assert code == 3
    assert "do not run on the CPU in mmcv 1.4.0 (not on the CPU)" in told
    assert "bevformer_tiny has none and can be compared" in told


@pytest.mark.parametrize(
    ("made", "named", "words"),
    [
        ((), "none", ("saw nothing there", GET_IT)),
        (("empty/",), "empty", ("saw an empty folder", GET_IT)),
        (("other/setup.py",), "other", ("saw setup.py", GET_IT)),
        (("outer/BEVFormer/projects/mmdet3d_plugin/",), "outer", ("saw one further down", "--checkout", "BEVFormer")),
        (
            ("bare/projects/mmdet3d_plugin/",),
            "bare",
            ("no configuration bevformer_nano", "there: none", "--config PATH"),
        ),
    ],
    ids=["nothing", "empty", "another project", "its parent", "no configurations"],
)
def test_what_is_no_checkout_says_what_was_seen_and_expected(
    made: tuple[str, ...], named: str, words: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in made:
        path = tmp_path / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True)
        if not name.endswith("/"):
            path.touch()
    code, told = complaint(capfd, "--checkout", str(tmp_path / named))
    assert code == 2
    for part in words:
        assert part in told


def test_words_that_lead_nowhere_are_told_before_a_process_starts(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    checkout = str(write_broken(tmp_path / "checkout", {}))
    text = tmp_path / "text"
    text.write_text("no program", encoding="utf-8")
    right = ("--checkout", checkout, "--python", sys.executable)
    for words, code, part in (
        ((), 2, GET_IT),
        (("--checkout", "a" * 300), 2, "mmdet3d_plugin: File name too long"),
        (("--checkout", checkout, "--python", str(tmp_path / "python")), 2, "no interpreter there"),
        (("--checkout", checkout, "--python", str(text)), 2, "cannot be started (Permission denied)"),
        (("--checkout", checkout, "--python", "/bin/true"), 3, "is no Python that runs here (exit 0)"),
        ((*right, "--recipe", "bevformer_tiney"), 2, "bevformer_tiny"),
        ((*right, "--recipe", "deformable_detr"), 2, "deformable_detr"),
        ((*right, "--checkpoint", str(tmp_path / "none.pth")), 2, "no such file"),
    ):
        ended, told = complaint(capfd, *words)
        assert ended == code
        assert part in told


def test_a_checkpoint_that_does_not_fit_says_which_weights(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file, recipe = tmp_path / "nano.pth", load_recipe("bevformer_nano")
    export_upstream(build_bevformer(recipe), recipe, file)
    content = torch.load(file, weights_only=True)
    state = content["state_dict"]
    del state["pts_bbox_head.transformer.level_embeds"]
    state["pts_bbox_head.transformer.gate.weight"] = torch.zeros(1)
    state["pts_bbox_head.query_embedding.weight"] = torch.zeros(900, 256)
    torch.save(content, file)
    checkout = str(write_broken(tmp_path / "checkout", {}))
    code, told = complaint(capfd, "--checkout", checkout, "--python", sys.executable, "--checkpoint", str(file))
    assert code == 2
    assert f"{file}: the checkpoint of another model: 1 tensors are missing (level_embeddings)" in told
    assert "1 are not of this model (pts_bbox_head.transformer.gate.weight)" in told
    assert "object_queries.weight is [900, 256] in the file, [300, 256] in the model" in told


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file, trace = tmp_path / "bad.pth", tmp_path / "trace"
    torch.save({"state_dict": RunsCode(trace)}, file)
    checkout = str(write_broken(tmp_path / "checkout", {}))
    code, told = complaint(capfd, "--checkout", checkout, "--python", sys.executable, "--checkpoint", str(file))
    assert code == 2
    assert f"{file}: not a checkpoint that can be read safely" in told
    assert not trace.exists()


class RunsCode:
    """Unpickled, it would make a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.mkdir, (str(self.trace),)


def test_a_program_that_says_nothing_is_not_waited_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repro.upstream.exchange.FIRST_WORD_S", 0.3)
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    mute.chmod(0o755)
    checkout = str(write_broken(tmp_path / "checkout", {}))
    code, told = complaint(capfd, "--checkout", checkout, "--python", str(mute))
    assert code == 3
    assert f"{mute}: said nothing in 0 s; expected a Python interpreter: --python PATH" in told


def test_a_disk_without_room_is_told_with_the_folder_that_is_meant(tmp_path: Path) -> None:
    checkout = str(write_broken(tmp_path / "checkout", {}))
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (99, 99))\n"
    limited += "from repro.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    words = ["compare-upstream", "--recipe", "bevformer_nano", "--checkout", checkout, "--python", sys.executable]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}  # it would be cut
    done = subprocess.run(
        [sys.executable, "-c", limited, *words, "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "File too large; expected room for what their layers return" in json.loads(done.stdout)["error"]
    assert f"in {tmp_path}: name another folder, TMPDIR=DIR" in json.loads(done.stdout)["error"]


def test_a_reader_who_leaves_is_not_told_of_a_full_disk(tmp_path: Path) -> None:
    checkout = str(write_broken(tmp_path / "checkout", {}))
    reading, writing = os.pipe()
    os.close(reading)
    words = ["--recipe", "bevformer_nano", "--checkout", checkout, "--python", sys.executable]
    done = subprocess.run(
        [sys.executable, "-m", "repro", "compare-upstream", *words, "--json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=writing, text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    """Yield a comparison whose child has started and waits, the child's number, and the folder for temporary files."""
    place, pid = tmp_path / "tmp", tmp_path / "pid"
    place.mkdir()
    checkout = write_broken(tmp_path / "checkout", {CONFIG: "", f"{PLUGIN}/__init__.py": WAITS.format(pid=str(pid))})
    words = ["--recipe", "bevformer_nano", "--checkout", str(checkout), "--python", sys.executable]
    process = subprocess.Popen(
        [sys.executable, "-m", "repro", "compare-upstream", *words, "--json"],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(place)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            until(lambda: pid.exists() and pid.read_text(encoding="utf-8") != "")
            yield process, int(pid.read_text(encoding="utf-8")), place
        finally:
            process.kill()


def until(done: object, seconds: float = 60) -> None:
    """Wait until `done()` holds."""
    deadline = time.monotonic() + seconds
    assert callable(done)
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Return whether there is such a process; one that has ended and was not collected is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # not there, or collected between opening and reading
        return False


def test_ctrl_c_leaves_no_child_and_no_files(waiting: tuple[subprocess.Popen[str], int, Path]) -> None:
    process, child, place = waiting
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped; nothing is left behind" in json.loads(out)["error"]
    assert not is_running(child)
    assert list(place.iterdir()) == []


def test_a_killed_comparison_takes_child_and_files_with_it(waiting: tuple[subprocess.Popen[str], int, Path]) -> None:
    process, child, place = waiting
    process.kill()
    process.wait(30)
    until(lambda: not is_running(child))
    assert list(place.iterdir()) == []
