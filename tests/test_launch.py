"""Which launcher starts the processes of a run, and what the environment says of each of them."""

from __future__ import annotations

import sys

import pytest

from repro.launch import LaunchError, Place, asked_to_stop, launch_command, leave_outcome, place_of

WORDS = ["run", "--recipe", "bevformer_tiny", "--gpus", "8"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


@pytest.mark.parametrize(
    ("env", "place"),
    [
        ({}, Place(rank=0, world=1, launcher="none")),
        (
            {"RANK": "3", "WORLD_SIZE": "8", "MASTER_ADDR": "localhost"},
            Place(rank=3, world=8, launcher="torchrun"),
        ),
        (
            {"SLURM_STEP_ID": "0", "SLURM_PROCID": "9", "SLURM_STEP_NUM_TASKS": "16", "SLURM_NTASKS": "16"},
            Place(rank=9, world=16, launcher="slurm"),
        ),
        (  # a batch script, which will start the tasks itself
            {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "16"},
            Place(rank=0, world=1, launcher="none"),
        ),
        (  # srun with one task is one process
            {"SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "16"},
            Place(rank=0, world=1, launcher="none"),
        ),
    ],
)
def test_the_environment_says_where_a_process_stands(env: dict[str, str], place: Place) -> None:
    assert place_of(env) == place


def test_one_machine_is_torchruns() -> None:
    command = launch_command(WORDS, processes=8, nodes=1, env={"SLURM_JOB_ID": "7"})
    assert command == [*TORCHRUN, "--standalone", "--nproc-per-node=8", "-m", "--", "repro", *WORDS]


def test_several_machines_of_a_slurm_job_are_sruns() -> None:
    command = launch_command(WORDS, processes=8, nodes=2, env={"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2"})
    step = ["srun", "--nodes=2", "--ntasks-per-node=8", "--kill-on-bad-exit=1"]
    assert command == [*step, sys.executable, "-m", "repro", *WORDS]


def test_several_machines_without_slurm_meet_at_a_named_one() -> None:
    command = launch_command(WORDS, processes=8, nodes=2, env={"MASTER_ADDR": "first", "MASTER_PORT": "29511"})
    assert "--rdzv-endpoint=first:29511" in command
    assert "--nnodes=2" in command


def test_machines_that_cannot_meet_are_told_how() -> None:
    with pytest.raises(LaunchError, match=r"--nodes 2: no SLURM job here.*same command after MASTER_ADDR=HOST"):
        launch_command(WORDS, processes=8, nodes=2, env={})
    with pytest.raises(LaunchError, match=r"--nodes 4: this SLURM job has 2; ask for them: sbatch --nodes 4"):
        launch_command(WORDS, processes=8, nodes=4, env={"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2"})


def test_ranks_answer_and_hear_through_the_launching_processs_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("talk")
    env = {"BEVREADY_TALK": str(folder)}
    assert leave_outcome(2, env) == 0
    assert (folder / "outcome").read_text() == "2"
    assert not asked_to_stop(env)
    (folder / "stop").touch()
    assert asked_to_stop(env)
    assert leave_outcome(2, {}) == 2
    assert not asked_to_stop({})
