"""The arrows of the house: imports point down, neighbours on a floor are strangers, the doctor never heard of repro."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS: dict[str, int] = {  # the longest matching prefix counts
    "tasks": 8,  # the front door: opens the two menus below
    "repro.picture_tasks": 7,  # pages of the front door
    "repro.record_tasks": 7,
    "repro.upstream_tasks": 7,
    "doctor.__main__": 6,
    "repro.__main__": 6,
    "repro.run": 5,  # the main job as typed; asks the doctor
    "repro.released": 5,  # the weights as typed
    "repro.infos": 5,  # info files as typed
    "repro.draw": 5,  # drawings of a run, as typed
    "repro.single": 5,  # inference on one frame, as typed
    "repro.containers.tasks": 6,  # the docker-* part of the menu
    "repro.containers.menu": 5,  # images and containers as typed; asks the doctor
    "repro.ladder": 5,  # gates: several runs, each on what the one below said
    "repro.pipeline": 5,
    "repro.architectures": 5,  # the table that the pipeline reads
    "repro.parity": 5,  # replays whole stages against golden outputs
    "repro.upstream": 5,  # runs the authors' model beside ours
    "repro.bench": 5,  # times whole stages
    "repro.record.check": 5,  # judges and evaluates anew
    "repro.record.menu": 5,  # check, diff and crate as typed
    "repro.record.schema": 2,  # what a record is, for whoever draws one
    "repro.record": 4,
    "repro.train": 4,
    "repro.evaluate": 4,
    "repro.compare": 4,
    "repro.diagnosis": 4,
    "repro.report": 4,
    "repro.visualise": 4,
    "repro.prepare": 4,
    "repro.data": 3,
    "repro.models": 3,
    "repro.ops": 2,
    "repro.tensors": 2,
    "repro.weights": 2,
    "repro.machine": 2,
    "repro.fetch": 2,
    "repro.world": 2,  # the processes of one run, joined by Fabric
    "repro.recipe": 1,
    "repro.artifacts": 1,
    "repro.rundir": 1,
    "repro.atomic": 1,
    "repro.progress": 1,
    "repro.curve": 1,
    "repro.launch": 1,
    "repro.containers": 1,  # the engine's API, labels, locks; know no recipe
    "repro.flags": 1,
    "repro.stop": 1,
    "repro": 0,  # the package's own __init__: words only
    "doctor": 0,
}
# Neighbours that may nevertheless meet: the run folder writes through the atomic files, the typed job runs the story.
ALLOWED_NEIGHBOURS = {("repro.rundir", "repro.atomic"), ("repro.run", "repro.pipeline")}
ALLOWED_NEIGHBOURS |= {("repro.upstream", "repro.parity")}  # fills and judges both models as the golden sets are
ALLOWED_NEIGHBOURS |= {("repro.containers", "repro.atomic"), ("repro.containers", "repro.progress")}
ALLOWED_NEIGHBOURS |= {(room, "repro.architectures") for room in ("repro.run", "repro.pipeline", "repro.bench")}
ALLOWED_NEIGHBOURS |= {("repro.record.check", room) for room in ("repro.architectures", "repro.pipeline")}
ALLOWED_NEIGHBOURS |= {
    ("repro.run", "repro.ladder"),
    ("repro.ladder", "repro.pipeline"),
    ("repro.ladder", "repro.parity"),
}
ALLOWED_NEIGHBOURS |= {(room, "repro.record.check") for room in ("repro.record.menu", "repro.bench")}
THIRD_PARTY_OF_THE_DOCTOR = {"pynvml", "packaging", "rich"}  # used where importable, never needed


def room_of(module: str) -> str | None:
    fits = [room for room in FLOORS if module == room or module.startswith(f"{room}.")]
    return max(fits, key=len) if fits else None


def sources() -> list[Path]:
    files = [ROOT / "tasks.py", *(ROOT / "doctor").rglob("*.py"), *(ROOT / "repro").rglob("*.py")]
    return [path for path in files if path.exists()]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide which floor they reach"
            module = node.module or ""
            as_modules = {f"{module}.{alias.name}" for alias in node.names}
            files = {name for name in as_modules if (ROOT / Path(*name.split("."))).with_suffix(".py").exists()}
            packages = {name for name in as_modules if (ROOT / Path(*name.split("."))).is_dir()}
            found |= (files | packages) or {module}
    return found


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_imports_point_down(path: Path) -> None:
    room = room_of(name_of(path))
    assert room is not None, f"{path}: no floor for it in FLOORS"
    for module in imports_of(path):
        other = room_of(module)
        if other in {None, room, "repro"}:
            continue
        downwards = FLOORS[other] < FLOORS[room]
        assert downwards or (room, other) in ALLOWED_NEIGHBOURS, f"{path}: {room} must not import {other} ({module})"


def below_the_menus() -> list[Path]:
    return [path for path in sources() if room_of(name_of(path)) not in {"tasks", "repro.run", "repro.containers.menu"}]


@pytest.mark.parametrize("path", [p for p in below_the_menus() if "doctor" not in name_of(p)], ids=name_of)
def test_only_the_menus_import_the_doctor(path: Path) -> None:
    assert not any(module.split(".")[0] == "doctor" for module in imports_of(path))


def test_the_doctor_needs_nothing_but_the_standard_library() -> None:
    known = sys.stdlib_module_names | THIRD_PARTY_OF_THE_DOCTOR | {"doctor"}
    for path in (ROOT / "doctor").rglob("*.py"):
        strangers = {module for module in imports_of(path) if module.split(".")[0] not in known}
        assert not strangers, f"{path}: the doctor runs before anything is installed, but imports {strangers}"


def test_probes_and_rules_are_strangers() -> None:
    for here, there in (("probes", "doctor.rules"), ("rules", "doctor.probes")):
        for path in (ROOT / "doctor" / here).rglob("*.py"):
            assert not any(module.startswith(there) for module in imports_of(path)), f"{path} imports {there}"


def test_the_nouns_know_no_recipe_and_no_data_set() -> None:
    for room in ("ops", "tensors.py", "weights.py"):
        place = ROOT / "repro" / room
        for path in [place] if place.is_file() else place.rglob("*.py"):
            assert not any(module.startswith(("repro.recipe", "repro.data")) for module in imports_of(path)), path


def test_data_folders_import_nobody() -> None:
    for folder in ("env", "recipes", "docker"):
        assert not list((ROOT / folder).rglob("*.py")), f"{folder}/ holds data only"


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_every_file_says_what_lives_in_it(path: Path) -> None:
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert words, f"{path}: open it with one or two sentences on what lives here and what does not"


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, f"{path} has {text.count(chr(10))} lines; most files stay under 300"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 60, f"{path}:{node.lineno} {node.name} has {length} lines; split it"
