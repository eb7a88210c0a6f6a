"""Which stack fits which machine, and why the others do not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from doctor.advise import Advice, advise
from doctor.facts import (
    DataSet,
    Disk,
    Driver,
    DriverLibraries,
    Gpu,
    Gpus,
    KernelModule,
    PciGpu,
    PciGpus,
    System,
    Unknown,
)
from doctor.finding import Goal
from doctor.machine import FIELD_OF_FACT, Machine
from doctor.stacks import StackError, read_stacks

ENV = Path(__file__).resolve().parents[2] / "env"
STACKS = read_stacks(ENV)
EMPTY = Machine(**dict.fromkeys(FIELD_OF_FACT.values(), Unknown("nothing there")))


def machine(version: tuple[int, ...], *capabilities: tuple[int, int], cpu: str = "x86_64") -> Machine:
    return replace(
        EMPTY,
        system=System(kernel="6.8.0", machine=cpu, distribution="Ubuntu 22.04"),
        driver=Driver(version=version, cuda=None, source="NVML"),
        gpus=Gpus(tuple(Gpu(f"GPU {capability}", capability) for capability in capabilities)),
    )


@pytest.mark.parametrize(
    ("version", "gpus", "stack"),
    [
        ((580, 65, 6), [(8, 9)], "cu130"),
        ((580, 65, 5), [(8, 9)], "cu128"),
        ((570, 26), [(8, 9)], "cu128"),
        ((560, 35, 3), [(8, 9)], "cu126"),
        ((535, 183, 1), [(8, 6)], "cu126"),
        ((580, 95, 5), [(7, 0)], "cu128"),
        ((580, 95, 5), [(6, 1)], "cu126"),
        ((570, 172, 8), [(12, 0)], "cu128"),
        ((580, 95, 5), [(8, 9), (6, 0)], "cu126"),
        ((580, 95, 5), [(12, 0), (12, 0), (6, 0)], "cu130"),
        ((615, 71, 9), [(12, 1)], "cu130"),
    ],
)
def test_the_stack_for_a_driver_and_its_gpus(version: tuple[int, ...], gpus: list[tuple[int, int]], stack: str) -> None:
    choice = advise(machine(version, *gpus), STACKS).choice
    assert choice is not None
    assert choice.name == stack


def test_a_machine_without_a_gpu_takes_the_newest() -> None:
    advice = advise(EMPTY, STACKS)
    assert advice.choice is not None
    assert advice.choice.name == "cu130"
    assert "CPU" in advice.why


def test_a_gpu_without_a_driver_is_judged_by_its_bus_id_and_told_which_driver() -> None:
    volta = PciGpus((PciGpu("0000:01:00.0", "1db1", "", "Tesla V100", (7, 0)),))
    advice = advise(replace(EMPTY, pci_gpus=volta), STACKS)
    assert advice.choice is not None
    assert advice.choice.name == "cu128"
    assert "install a driver of 525.60.13 or newer" in advice.ranking[0].remarks[0]


def test_without_a_gpu_no_driver_is_asked_for() -> None:
    assert [fit.remarks for fit in advise(EMPTY, STACKS).ranking] == [(), (), ()]


def test_an_old_driver_without_a_gpu_changes_nothing() -> None:
    old = Driver(version=(470, 256, 2), cuda=None, source="NVML")
    choice = advise(replace(EMPTY, driver=old), STACKS).choice
    assert choice is not None
    assert choice.name == "cu130"


@pytest.mark.parametrize(
    ("loaded", "library", "stack"),
    [((570, 172, 8), (580, 95, 5), "cu128"), (None, (570, 195, 3), "cu128"), (None, None, "cu130")],
    ids=["the loaded module counts", "else the library", "else the newest"],
)
def test_a_driver_that_does_not_answer_still_has_a_version(
    loaded: tuple[int, ...] | None, library: tuple[int, ...] | None, stack: str
) -> None:
    silent = replace(
        EMPTY,
        pci_gpus=PciGpus((PciGpu("0000:01:00.0", "2684", "", "GeForce RTX 4090", (8, 9)),)),
        kernel_module=KernelModule(loaded=loaded),
        driver_libraries=DriverLibraries(nvml_code=9, cuda_code=100, version=library),
    )
    choice = advise(silent, STACKS).choice
    assert choice is not None
    assert choice.name == stack


@pytest.mark.parametrize(("version", "gpu"), [((470, 256, 2), (8, 0)), ((580, 95, 5), (3, 5))])
def test_where_nothing_fits_every_stack_says_why(version: tuple[int, ...], gpu: tuple[int, int]) -> None:
    advice = advise(machine(version, gpu), STACKS)
    assert advice.choice is None
    assert all(fit.rejections for fit in advice.ranking)
    assert advice.next_command == "BEVREADY_STACK=cu130 ./bevready doctor"


def test_on_arm_only_the_newest_stack_has_gpu_code() -> None:
    advice = advise(machine((570, 172, 8), (9, 0), cpu="aarch64"), STACKS)
    assert advice.choice is None
    assert "no GPU at all on aarch64" in advice.why


def test_minor_version_compatibility_is_said() -> None:
    fit = advise(machine((535, 183, 1), (8, 6)), STACKS).ranking[0]
    assert fit.remarks == ("driver 535.183.01 runs CUDA 12.6 by minor-version compatibility",)


def test_every_stack_has_a_lock_of_the_same_torch() -> None:
    for stack in STACKS.known:
        lock = (ENV / stack.name / "requirements.lock").read_text(encoding="utf-8")
        assert f"torch=={stack.torch} " in lock
        assert f"torchvision=={stack.torchvision} " in lock


def test_the_locks_hold_hashes_and_no_hosts() -> None:
    for stack in STACKS.known:
        lines = (ENV / stack.name / "requirements.lock").read_text(encoding="utf-8").splitlines()
        pins = [number for number, line in enumerate(lines) if "==" in line and not line.startswith(("#", " "))]
        assert len(pins) > 60
        assert all(lines[number + 1].strip().startswith("--hash=sha256:") for number in pins)
        assert not any(
            word in line for line in lines for word in ("://", "--find-links", "--index-url", "--extra-index")
        )


def test_a_folder_without_stacks_says_how_to_restore_them(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="git checkout -- env"):
        read_stacks(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x", "cuda": "no number"}'])
def test_a_broken_description_names_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "cu999").mkdir()
    (tmp_path / "cu999" / "stack.json").write_text(text, encoding="utf-8")
    with pytest.raises(StackError, match=r"cu999/stack\.json: not a usable stack description"):
        read_stacks(tmp_path)


def test_every_stack_names_its_sources() -> None:
    for path in ENV.glob("*/stack.json"):
        row = json.loads(path.read_text(encoding="utf-8"))
        assert len(row["sources"]) >= 4
        assert row["name"] == path.parent.name


def test_a_stack_without_code_for_the_gpu_names_what_it_has() -> None:
    rejected = [fit for fit in advise(machine((580, 95, 5), (7, 0)), STACKS).ranking if fit.rejections]
    words = "it has code for sm_75 sm_80 sm_86 sm_90 sm_100 sm_120, not for sm_70"
    assert [(fit.stack.name, fit.rejections) for fit in rejected] == [("cu130", (words,))]


@pytest.mark.parametrize(("gpus", "why"), [([(8, 9)], "for 1 GPU"), ([(8, 9), (8, 6)], "for 2 GPUs")])
def test_the_gpus_are_counted(gpus: list[tuple[int, int]], why: str) -> None:
    assert advise(machine((580, 95, 5), *gpus), STACKS).why == why


def test_a_driver_that_has_all_of_a_stack_s_cuda_needs_no_remark() -> None:
    assert [fit.remarks for fit in advise(machine((580, 95, 5), (8, 9)), STACKS).ranking] == [(), (), ()]


def with_memory(*sizes_in_gib: int) -> Machine:
    gpus = tuple(Gpu(f"GPU {size}", (8, 9), size << 30) for size in sizes_in_gib)
    return replace(machine((580, 95, 5), (8, 9)), gpus=Gpus(gpus))


class TestARecipe:
    TRAINVAL = DataSet(path="/data/nuscenes", versions=("v1.0-mini", "v1.0-trainval"))
    MINI = DataSet(path="/data/mini", versions=("v1.0-mini",))

    def advice(self, there: Machine, recipe: str = "bevformer_base") -> Advice:
        return advise(there, STACKS, Goal("recipe", recipe))

    def test_its_memory_is_judged_by_the_largest_gpu(self) -> None:
        small = self.advice(replace(with_memory(11, 24), data_set=self.TRAINVAL))
        (words,) = small.recipe
        assert words.startswith("training bevformer_base takes about 27.8 GiB per GPU, here are 24.0")
        assert words.endswith("or train bevformer_small")
        assert self.advice(replace(with_memory(24, 32), data_set=self.TRAINVAL)).recipe == ()

    def test_exactly_enough_memory_is_enough(self) -> None:
        exact = Gpus((Gpu("GPU", (8, 9), 28500 << 20),))
        assert self.advice(replace(with_memory(1), gpus=exact, data_set=self.TRAINVAL)).recipe == ()

    def test_a_folder_without_tables_is_no_data_set(self) -> None:
        assert len(self.advice(replace(with_memory(80), data_set=replace(self.MINI, versions=()))).recipe) == 1

    def test_a_gpu_too_small_for_all_of_them(self) -> None:
        tiny = self.advice(replace(with_memory(4), data_set=self.TRAINVAL), "bevformer_tiny")
        assert tiny.recipe == ("training bevformer_tiny takes about 6.3 GiB per GPU, here are 4.0: evaluate only",)

    @pytest.mark.parametrize("recipe", ["bevformer_nano", "bevformer_tiny_fp16"])
    def test_a_recipe_that_the_table_does_not_hold(self, recipe: str) -> None:
        assert self.advice(replace(with_memory(4), data_set=self.TRAINVAL), recipe).recipe == ()

    def test_a_gpu_that_does_not_tell_its_memory(self) -> None:
        silent = replace(machine((580, 95, 5), (8, 9)), data_set=self.TRAINVAL)
        assert self.advice(silent).recipe == ()
        assert self.advice(replace(EMPTY, data_set=self.TRAINVAL)).recipe == ()

    @pytest.mark.parametrize(
        ("data", "command"),
        [
            (TRAINVAL, "./bevready repro --recipe bevformer_base --dataroot /data/nuscenes"),
            (MINI, "./bevready repro --recipe bevformer_base --data nuscenes-mini --dataroot /data/mini"),
            (
                replace(MINI, missing_tables=("scene.json",)),
                "./bevready repro --recipe bevformer_base --data synth --smoke",
            ),
            (replace(MINI, versions=()), "./bevready repro --recipe bevformer_base --data synth --smoke"),
        ],
    )
    def test_the_next_command_takes_the_data_that_is_there(self, data: DataSet, command: str) -> None:
        assert self.advice(replace(with_memory(80), data_set=data)).next_command == command

    def test_no_data_and_no_room_for_it(self) -> None:
        told = self.advice(replace(with_memory(80), disk=Disk("/", 10**9 * 399))).recipe
        assert len(told) == 2
        assert told[1] == "399 GB are free at /; nuScenes trainval takes about 400"
        assert len(self.advice(replace(with_memory(80), disk=Disk("/", 10**9 * 400))).recipe) == 1

    def test_other_goals_do_not_ask_for_it(self) -> None:
        assert advise(with_memory(4), STACKS).recipe == ()


@pytest.mark.parametrize(
    ("goal", "command"),
    [
        (Goal("run"), "./bevready repro --recipe bevformer_tiny --data synth --smoke"),
        (Goal("build-ext"), "./bevready build-ext"),
        (Goal("docker"), "./bevready docker-run doctor"),
    ],
)
def test_the_next_command_serves_the_goal(goal: Goal, command: str) -> None:
    assert advise(machine((580, 95, 5), (8, 9)), STACKS, goal).next_command == command


def test_gpus_that_the_stack_has_no_code_for_are_hidden_by_the_command() -> None:
    mixed = advise(machine((580, 95, 5), (12, 0), (6, 0), (12, 0)), STACKS)
    assert mixed.next_command.startswith("CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=0,2 ./bevready repro")
    assert advise(machine((580, 95, 5), (12, 0), (12, 0)), STACKS).next_command.startswith("./bevready repro")
