"""Starting one run as several processes: which launcher's command, and what the environment says of this process.

The launchers are other people's: torchrun on one machine or several, srun inside a SLURM job. Standard library only;
what the processes do together is `world.py`'s business.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TALK = "BEVREADY_TALK"  # names the folder through which the launching process and its ranks talk
STOP, OUTCOME = "stop", "outcome"
PORT = "29500"  # torchrun's own
LOST = 2


class LaunchError(ValueError):
    """Processes that cannot be started as asked; the message says what to type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where this process stands among those of its run: `rank` of `world`; `launcher` started them."""

    rank: int
    world: int
    launcher: Literal["none", "torchrun", "slurm"]


def place_of(env: Mapping[str, str]) -> Place:
    """Return what the environment says of this process: alone, or one of those that torchrun or srun started.

    A batch script is no srun task although SLURM_PROCID is set in it: only a step has SLURM_STEP_ID.
    """
    if {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= env.keys():
        return Place(rank=int(env["RANK"]), world=int(env["WORLD_SIZE"]), launcher="torchrun")
    tasks = int(env.get("SLURM_STEP_NUM_TASKS", env.get("SLURM_NTASKS", "1")))
    if {"SLURM_STEP_ID", "SLURM_PROCID"} <= env.keys() and tasks > 1:
        return Place(rank=int(env["SLURM_PROCID"]), world=tasks, launcher="slurm")
    return Place(rank=0, world=1, launcher="none")


def launch_command(words: Sequence[str], *, processes: int, nodes: int, env: Mapping[str, str]) -> list[str]:
    """Return the command that starts `python -m repro WORDS` as `processes` on each of `nodes` machines.

    Raises LaunchError when several machines are asked for and nothing says where they meet.
    """
    ours = ["-m", "--", "repro", *words]  # behind -- no word of ours is taken for a short form of torchrun's
    torchrun = [sys.executable, "-m", "torch.distributed.run"]
    if nodes == 1:
        return [*torchrun, "--standalone", f"--nproc-per-node={processes}", *ours]
    if "SLURM_JOB_ID" in env:
        given = int(env.get("SLURM_JOB_NUM_NODES", env.get("SLURM_NNODES", str(nodes))))
        if given < nodes:
            raise LaunchError(f"--nodes {nodes}: this SLURM job has {given}; ask for them: sbatch --nodes {nodes}")
        # without --kill-on-bad-exit the others would wait for a dead process until the job's time is over
        step = ["srun", f"--nodes={nodes}", f"--ntasks-per-node={processes}", "--kill-on-bad-exit=1"]
        return [*step, sys.executable, "-m", "repro", *words]
    head = env.get("MASTER_ADDR")
    if not head:
        raise LaunchError(
            f"--nodes {nodes}: no SLURM job here, and nothing says where the machines meet; on each of them type the "
            "same command after MASTER_ADDR=HOST, the name of one of them (MASTER_PORT too, if 29500 is taken)"
        )
    meet = ["--rdzv-backend=c10d", f"--rdzv-endpoint={head}:{env.get('MASTER_PORT', PORT)}", "--rdzv-id=bevready"]
    return [*torchrun, f"--nnodes={nodes}", f"--nproc-per-node={processes}", *meet, *ours]


def run_launched(command: Sequence[str], *, processes: int) -> int:
    """Run a launcher's command until it ends and return the exit code that its ranks agreed on.

    The first Ctrl-C asks the ranks to stop after their iteration, a second one ends them. When a rank was lost, says
    so on stderr and returns 2.
    """
    with tempfile.TemporaryDirectory(prefix="bevready-") as folder:
        talk = Path(folder)
        env = {**os.environ, TALK: folder}
        # the address of a run of ours, not of the launcher's next one
        for name in () if "--rdzv-backend=c10d" in command else ("MASTER_ADDR", "MASTER_PORT"):
            env.pop(name, None)
        env.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // processes)))
        # a session of its own: Ctrl-C reaches the ranks through `talk`, once, and at the same iteration
        child = subprocess.Popen(command, env=env, start_new_session=True)  # noqa: S603 — words of launch_command
        code = _wait(child, talk)
        outcome = talk / OUTCOME
        if outcome.is_file():
            return int(outcome.read_text(encoding="utf-8"))
    if code == 0:
        return 0
    sys.stderr.write(
        "a process of this run ended before its work was done, and the others were ended with it (the launcher's "
        "words above name its rank and its exit code or signal); what was saved is kept: the same command goes on "
        "from there\n"
    )
    return LOST


def _wait(child: subprocess.Popen[bytes], talk: Path) -> int:
    """Wait for the launcher, passing on what the user and the system ask for; return its exit code."""

    def end(_signum: int, _frame: object) -> None:
        child.terminate()

    def ask(signum: int, frame: object) -> None:
        if (talk / STOP).exists():
            end(signum, frame)
        (talk / STOP).touch()
        sys.stderr.write("\nstopping all processes after this iteration; press Ctrl-C again to stop at once\n")

    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, end), signal.SIGINT: signal.signal(signal.SIGINT, ask)}
    try:
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def asked_to_stop(env: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the launching process has passed on a Ctrl-C."""
    folder = env.get(TALK)
    return folder is not None and (Path(folder) / STOP).exists()


def leave_outcome(code: int, env: Mapping[str, str] = os.environ) -> int:
    """Hand an agreed exit code to the launching process; return what this rank should exit with.

    A launcher takes every code but 0 for an accident and prints a page about it. Where nobody of ours launched us,
    the code itself is the answer.
    """
    folder = env.get(TALK)
    if folder is None:
        return code
    (Path(folder) / OUTCOME).write_text(str(code), encoding="utf-8")
    return 0
