"""SYS: both sides of each rule about memory, cores, folders, limits and the C++ runtime."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doctor.facts import (
    GIB,
    BuildVariables,
    Cpu,
    CxxRuntime,
    CxxRuntimes,
    Memory,
    OpenFiles,
    Place,
    Places,
    Toolkit,
)
from doctor.finding import Goal
from doctor.rules import system

RUN, BUILD = Goal("run"), Goal("build-ext")
NVCC = Toolkit((12, 8, 93), "/usr/local/cuda/bin/nvcc")
TMP = Place(path="/scratch", writable=True, free=100 * GIB)
HOME = Place(path="/home/user", writable=True, free=100 * GIB)
SYSTEMS = CxxRuntime("/usr/lib64/libstdc++.so.6", 30, "system")


def free(gib: int) -> Memory:
    return Memory(256 * GIB, gib * GIB)


class TestJobs:
    def test_a_compiler_for_every_core(self) -> None:
        found = system.jobs_fit_memory(
            memory=free(14), cpu=Cpu(cores=32), variables=BuildVariables(), toolkit=NVCC, goal=BUILD
        )
        assert found is not None
        assert found.saw == "32 compilers at once, about 5 GiB each, with 14 GiB of memory free"
        assert (found.fix, found.severity, found.confidence) == (("export MAX_JOBS=2",), "warning", "likely")

    def test_one_is_always_allowed(self) -> None:
        found = system.jobs_fit_memory(
            memory=free(1), cpu=Cpu(cores=2), variables=BuildVariables(), toolkit=NVCC, goal=BUILD
        )
        assert found is not None
        assert found.fix == ("export MAX_JOBS=1",)
        alone = system.jobs_fit_memory(
            memory=free(1), cpu=Cpu(cores=1), variables=BuildVariables(), toolkit=NVCC, goal=BUILD
        )
        assert alone is None

    @pytest.mark.parametrize(
        ("cores", "asked", "goal"),
        [(4, "", BUILD), (32, "4", BUILD), (32, "", RUN), (4, "many", BUILD), (4, "9" * 5000, BUILD)],
        ids=["as many as fit", "told", "no build", "not a number", "a huge number"],
    )
    def test_silent(self, cores: int, asked: str, goal: Goal) -> None:
        judged = system.jobs_fit_memory(
            memory=free(20),
            cpu=Cpu(cores=cores),
            variables=BuildVariables(max_jobs=asked),
            toolkit=NVCC,
            goal=goal,
        )
        assert judged is None

    def test_too_many_asked_for(self) -> None:
        found = system.jobs_fit_memory(
            memory=free(20), cpu=Cpu(cores=2), variables=BuildVariables(max_jobs="5"), toolkit=NVCC, goal=BUILD
        )
        assert found is not None
        assert found.expected == "at most 4 at once"


class TestPlaces:
    @pytest.mark.parametrize(
        ("place", "saw", "on_run", "on_build"),
        [
            (replace(TMP, writable=False), "/scratch cannot be written", "warning", "warning"),
            (replace(TMP, free=2 * GIB - 1), "/scratch has 2047 MiB free", "warning", "warning"),
            (replace(TMP, noexec=True), "/scratch is mounted noexec", "note", "warning"),
            (replace(TMP, noexec=True, free=None), "/scratch is mounted noexec", "note", "warning"),
            (replace(TMP, noexec=True, free=2 * GIB), "/scratch is mounted noexec", "note", "warning"),
        ],
    )
    def test_a_bad_folder_for_temporary_files(self, place: Place, saw: str, on_run: str, on_build: str) -> None:
        places = Places(temporary=place, home=HOME)
        run = system.temporary_folder_works(places=places, goal=RUN)
        build = system.temporary_folder_works(places=places, goal=BUILD)
        assert run is not None
        assert build is not None
        assert (run.saw, run.severity, build.severity) == (saw, on_run, on_build)

    @pytest.mark.parametrize("place", [TMP, None, replace(TMP, free=2 * GIB), replace(TMP, free=None)])
    def test_a_good_one(self, place: Place | None) -> None:
        assert system.temporary_folder_works(places=Places(temporary=place, home=HOME), goal=BUILD) is None

    def test_a_home_that_cannot_be_written(self) -> None:
        places = Places(temporary=TMP, home=replace(HOME, writable=False))
        found = system.home_is_writable(places=places)
        assert found is not None
        assert (found.saw, found.severity) == ("/home/user cannot be written", "warning")

    @pytest.mark.parametrize("home", [HOME, None])
    def test_a_good_home_or_none(self, home: Place | None) -> None:
        assert system.home_is_writable(places=Places(temporary=TMP, home=home)) is None


class TestCores:
    @pytest.mark.parametrize(
        ("cpu", "effective"),
        [
            (Cpu(cores=8), 8),
            (Cpu(cores=8, quota=2.5), 2),
            (Cpu(cores=8, quota=0.5), 1),
            (Cpu(cores=8, quota=64.0), 8),
        ],
    )
    def test_how_many_processes_make_sense(self, cpu: Cpu, effective: int) -> None:
        assert cpu.effective == effective

    @pytest.mark.parametrize(("goal", "severity"), [(RUN, "note"), (BUILD, "warning")])
    def test_fewer_are_given(self, goal: Goal, severity: str) -> None:
        found = system.cores_are_given(cpu=Cpu(cores=96, quota=2.0), goal=goal)
        assert found is not None
        assert found.saw == "96 CPU cores are seen, the control group gives 2"
        assert (found.fix[0], found.severity) == ("export MAX_JOBS=2 OMP_NUM_THREADS=2", severity)

    @pytest.mark.parametrize("cpu", [Cpu(cores=8), Cpu(cores=8, quota=8.0)])
    def test_all_are_given(self, cpu: Cpu) -> None:
        assert system.cores_are_given(cpu=cpu, goal=BUILD) is None


class TestRuntime:
    OLD_CONDA = CxxRuntime("/conda/lib/libstdc++.so.6", 29, "conda")
    OLD_PATH = CxxRuntime("/opt/gcc-9/lib64/libstdc++.so.6", 28, "LD_LIBRARY_PATH")

    @pytest.mark.parametrize(
        ("older", "goal", "severity"),
        [
            (OLD_CONDA, RUN, "note"),
            (OLD_CONDA, BUILD, "warning"),
            (OLD_PATH, RUN, "warning"),
        ],
    )
    def test_an_older_one_comes_first(self, older: CxxRuntime, goal: Goal, severity: str) -> None:
        found = system.runtime_is_newest(runtimes=CxxRuntimes((older, SYSTEMS)), goal=goal)
        assert found is not None
        assert found.severity == severity
        assert found.saw.endswith("comes before /usr/lib64/libstdc++.so.6 (GLIBCXX_3.4.30)")
        assert found.fix[0].startswith("conda install" if older is self.OLD_CONDA else "unset LD_LIBRARY_PATH")
        assert found.fix[1] == "export LD_PRELOAD=/usr/lib64/libstdc++.so.6 # for one command"

    @pytest.mark.parametrize(
        "found",
        [
            (SYSTEMS,),
            (replace(OLD_CONDA, symbols=30), SYSTEMS),
            (replace(OLD_CONDA, symbols=33), SYSTEMS),
            (OLD_CONDA,),
            (SYSTEMS, replace(SYSTEMS, symbols=25)),
        ],
        ids=["alone", "as new", "newer", "nothing to compare with", "two of the system's"],
    )
    def test_silent(self, found: tuple[CxxRuntime, ...]) -> None:
        assert system.runtime_is_newest(runtimes=CxxRuntimes(found), goal=BUILD) is None


class TestOpenFiles:
    def test_too_few(self) -> None:
        found = system.files_may_be_open(files=OpenFiles(1023, 1 << 20))
        assert found is not None
        assert (found.fix, found.severity) == (("ulimit -n 65536",), "warning")

    def test_too_few_and_no_more_to_have(self) -> None:
        found = system.files_may_be_open(files=OpenFiles(256, 512))
        assert found is not None
        assert found.fix[0] == "ulimit -n 512"
        assert len(found.fix) == 2
        assert found.saw == "256 open files at most"

    def test_enough(self) -> None:
        assert system.files_may_be_open(files=OpenFiles(1024, 1024)) is None
        found = system.files_may_be_open(files=OpenFiles(1000, 1024))
        assert found is not None
        assert len(found.fix) == 1
