"""`--fix` mends bevready's own environment and nothing else: what may run, what is only printed, and what runs."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.__main__ import main
from doctor.diagnose import Diagnosis, diagnose
from doctor.facts import Driver, Packages, Unknown
from doctor.finding import Finding, Goal, Rule, rule
from doctor.fix import is_own, pip_settings, plan, repair_of
from doctor.machine import FIELD_OF_FACT, Machine
from doctor.mend import mend
from doctor.stacks import Stacks

EMPTY = Machine(**dict.fromkeys(FIELD_OF_FACT.values(), Unknown("nothing there")))
HEALTHY = str(Path(__file__).resolve().parents[1] / "fixtures" / "machines" / "rtx4090_healthy")


def asks_for(*fix: str, repair: tuple[tuple[str, ...], ...] = (), about: type = Packages) -> tuple[Rule, Finding]:
    found = Finding(saw="something", fix=fix, repair=repair)

    @rule("XXX01", "nothing is wrong", category="other")
    def packages_rule(packages: Packages) -> Finding | None:
        """Why."""
        return found if packages.python else None

    @rule("XXX02", "nothing is wrong", category="other")
    def driver_rule(driver: Driver) -> Finding | None:
        """Why."""
        return found if driver.version else None

    return (packages_rule if about is Packages else driver_rule), found


def judged(python: Path | str, *pairs: tuple[Rule, Finding]) -> Diagnosis:
    facts = replace(
        EMPTY, packages=Packages(str(python), (3, 11, 0), ()), driver=Driver(version=(580,), cuda=None, source="NVML")
    )
    return diagnose(facts, [one for one, _ in pairs], goal=Goal(), stacks=Stacks(()))


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "venv" / ".bevready").touch()
    return tmp_path / "venv"


def words_of(environment: Path, *pairs: tuple[Rule, Finding], python: str = "") -> list[tuple[str, ...]]:
    made = plan(judged(python or environment / "bin" / "python", *pairs), environment, Path("/checkout"))
    return [step.words for step in made.steps]


def test_a_pip_command_about_its_own_packages_is_run_by_its_own_interpreter(environment: Path) -> None:
    python = str(environment / "bin" / "python")
    assert words_of(environment, asks_for('pip install "numpy<2"')) == [
        (python, "-I", "-m", "pip", "--require-virtualenv", "install", "numpy<2")
    ]
    assert words_of(environment, asks_for("pip uninstall -y mmcv mmcv-full")) == [
        (python, "-I", "-m", "pip", "--require-virtualenv", "uninstall", "--yes", "mmcv", "mmcv-full")
    ]


@pytest.mark.parametrize(
    "fix",
    [
        "sudo pip install numpy",
        "pip install numpy; rm -rf /",
        "pip install numpy && reboot",
        "pip install --target /usr numpy",
        "pip install --user numpy",
        "pip install -r requirements.txt",
        "pip install git+https://host.example/x",
        "pip install https://host.example/x.whl",
        "pip install ./x",
        "pip install /x",
        "pip install $HOME",
        "pip install",
        "pip uninstall",
        "pip uninstall -r x",
        "pip config set global.index-url x",
        "pip install numpy # or an older one",
        'pip install "numpy<2',
        "install numpy with pip",
        "pip3 install numpy",
        "python3 -m pip install numpy",
    ],
)
def test_anything_else_is_only_printed(environment: Path, fix: str) -> None:
    pair = asks_for(fix)
    made = plan(judged(environment / "bin" / "python", pair), environment, Path("/checkout"))
    assert (made.steps, made.left) == ((), (("XXX01", (fix,)),))


@settings(max_examples=200)
@given(st.lists(st.text(alphabet="-/.:;|&$ <>=,@[]'\"~*ab1", max_size=12), max_size=4))
def test_no_word_leads_outside(words: list[str]) -> None:
    one, found = asks_for("later", repair=(("pip", "install", *words),))
    made = plan(judged("/e/bin/python", (one, found)), Path("/e"), Path("/checkout"))
    assert made.steps == ()  # there is no /e
    allowed = repair_of(*asks_for("pip install " + " ".join(words)))
    for word in (word for command in allowed for word in command[2:]):
        assert word[0].isalnum() or word in {"--force-reinstall", "--no-deps", "--no-cache-dir", "--upgrade"}
        assert not set(word) & set("/:;|&$@[]'\" ")


def test_only_the_best_advice_is_taken(environment: Path) -> None:
    assert words_of(environment, asks_for("think first", "pip install numpy")) == []


def test_two_steps_are_not_taken_for_one(environment: Path) -> None:
    assert words_of(environment, asks_for("pip uninstall -y opencv-python", "pip install opencv-python-headless")) == []
    assert len(words_of(environment, asks_for("pip install numpy", "or leave it"))) == 1


def test_advice_about_another_fact_is_not_about_packages(environment: Path) -> None:
    assert words_of(environment, asks_for("pip install numpy", about=Driver)) == []


@pytest.mark.parametrize("python", ["/usr/bin/python3", "venv/bin/python"])
def test_another_interpreter_s_packages_are_left_alone(environment: Path, python: str) -> None:
    assert words_of(environment, asks_for("pip install numpy"), python=python) == []


def test_a_folder_that_is_no_environment_is_left_alone(environment: Path) -> None:
    assert is_own(str(environment / "bin" / "python"), environment)
    (environment / "pyvenv.cfg").unlink()
    assert not is_own(str(environment / "bin" / "python"), environment)
    assert words_of(environment, asks_for("pip install numpy")) == []


def test_making_it_again_replaces_every_other_repair(environment: Path) -> None:
    again = asks_for("later", repair=(("recreate",),))
    assert words_of(environment, asks_for("pip install numpy"), again, again) == [
        ("mv", "--", str(environment / ".bevready"), str(environment / ".bevready-partial")),
        ("/checkout/bevready", "--list"),
    ]


def test_making_it_again_is_left_to_the_bootstrap(environment: Path, tmp_path: Path) -> None:
    bootstrap = tmp_path / "bevready"
    bootstrap.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n', encoding="utf-8")
    bootstrap.chmod(0o755)
    pair = asks_for("later", repair=(("recreate",),))
    made = plan(judged(environment / "bin" / "python", pair), environment, tmp_path)
    assert mend(made, lambda _: None) is None
    assert (tmp_path / "asked").read_text("utf-8") == "--list\n"
    assert sorted(path.name for path in environment.iterdir()) == [".bevready-partial", "bin", "pyvenv.cfg"]


def test_an_environment_that_bevready_did_not_make_is_not_made_again(environment: Path) -> None:
    (environment / ".bevready").unlink()
    assert words_of(environment, asks_for("later", repair=(("recreate",),))) == []


def test_a_repair_is_taken_whole_or_not_at_all(environment: Path) -> None:
    half = asks_for("later", repair=(("pip", "uninstall", "mmcv"), ("sudo", "reboot")))
    assert words_of(environment, half) == []


def test_the_same_command_runs_once(environment: Path) -> None:
    assert len(words_of(environment, asks_for("pip install numpy"), asks_for("pip install numpy"))) == 1


def test_of_pip_s_configuration_only_the_sources_are_kept() -> None:
    listed = (
        ":env:.no-index='1'\nglobal.index-url='https://mirror.example/simple'\nglobal.no-index='0'\ninstall.target='/usr'\n"
        "global.user='true'\nuninstall.proxy='x'\n:env:.config-file='/dev/null'\n"
    )
    assert pip_settings(listed) == {"PIP_INDEX_URL": "https://mirror.example/simple", "PIP_NO_INDEX": "1"}


@given(st.text())
def test_any_configuration_can_be_read(listed: str) -> None:
    assert all(name.startswith("PIP_") for name in pip_settings(listed))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder


def site_packages(environment: Path) -> Path:
    return next((environment / "lib").glob("python3*")) / "site-packages"


def place(environment: Path, name: str, version: str) -> Path:
    info = site_packages(environment) / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (info / "INSTALLER").write_text("pip\n", encoding="utf-8")
    (info / "RECORD").write_text("".join(f"{info.name}/{one},,\n" for one in ("METADATA", "INSTALLER", "RECORD")))
    return info


def test_a_package_goes_away(real: Path) -> None:
    info = place(real, "mmcv", "1.0")
    pair = asks_for("pip uninstall mmcv")
    made = plan(judged(real / "bin" / "python", pair), real, Path("/checkout"))
    told: list[str] = []
    assert mend(made, told.append) is None
    assert not info.exists()
    assert told == [f"XXX01  {real}/bin/python -I -m pip --require-virtualenv uninstall --yes mmcv"]


def test_the_first_step_that_fails_ends_it(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    pairs = (asks_for("pip install nowhere-to-be-found"), asks_for("pip install other"))
    made = plan(judged(real / "bin" / "python", *pairs), real, Path("/checkout"))
    told: list[str] = []
    failed = mend(made, told.append)
    assert failed is not None
    assert failed.words[-1] == "nowhere-to-be-found"
    assert len(told) == 1


def test_mending_from_the_menu(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place(real, "numpy", "2.1.0")
    place(real, "nuscenes_devkit", "1.2.0")
    with zipfile.ZipFile(tmp_path / "numpy-1.26.4-py3-none-any.whl", "w") as wheel:
        wheel.writestr("numpy-1.26.4.dist-info/METADATA", "Metadata-Version: 2.1\nName: numpy\nVersion: 1.26.4\n")
        wheel.writestr("numpy-1.26.4.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("numpy-1.26.4.dist-info/RECORD", "")
    for name, value in {
        "BEVREADY_VENV": str(real),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_TARGET": str(tmp_path / "astray"),
    }.items():
        monkeypatch.setenv(name, value)
    assert main(["--fix", "--dry-run", "--only", "TOR06", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["words"][-1] for row in document["run"]] == ["numpy<2"]
    assert (site_packages(real) / "numpy-2.1.0.dist-info").exists()
    assert main(["--fix", "--only", "TOR06", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["healthy"] == ["TOR06"]
    assert (site_packages(real) / "numpy-1.26.4.dist-info").exists()
    assert not (tmp_path / "astray").exists()


def test_the_dry_run_in_words(real: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("BEVREADY_VENV", str(real))
    main(["--fix", "--dry-run", "--only", "CXX01", "--lang", "zh"])
    assert capsys.readouterr().out.startswith(f"{real} 内没有可以自动修复的内容")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fix", "--replay", HEALTHY], "--fix: it mends this machine only"),
        (["stack", "--fix"], "--fix: it mends this machine only"),
        (["--record", "machine", "--replay", HEALTHY], "--record: it records this machine"),
        (["--dry-run"], "--dry-run: it belongs to --fix"),
    ],
)
def test_what_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err
