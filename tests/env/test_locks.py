"""Locks and environments for real: small wheels, a small lock with hashes, a virtual environment that pip fills."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.locks.imports import broken_imports
from doctor.locks.judge import Difference, Installed, judge
from doctor.locks.look import look, note
from doctor.locks.menu import main
from doctor.locks.read import LockError, Pin, parse_lock, read_lock
from doctor.locks.write import changes, check_no_hosts
from tests.env.wheels import pinned, wheel

ROOT = Path(__file__).resolve().parents[2]
STACKS = ("cu130", "cu128", "cu126", "upstream")
HASH = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with env/mine (a stack of two packages), and venv, where pip installed them by their hashes."""
    folder = tmp_path_factory.mktemp("whole")
    apple, pear = wheel(folder / "wheels", "apple", "1.0"), wheel(folder / "wheels", "pear", "2.0")
    never = wheel(folder / "wheels", "never", "1.0")
    stack = folder / "env" / "mine"
    stack.mkdir(parents=True)
    (stack / "stack.json").write_text("{}", encoding="utf-8")
    options = f"--no-index\n--find-links {(folder / 'wheels').as_uri()}\n"
    text = options + pinned(apple) + pinned(pear) + pinned(never, "sys_platform == 'win32'")
    (stack / "requirements.lock").write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    pip(folder, "install", "--require-hashes", "--no-deps", "-r", str(stack / "requirements.lock"))
    note(folder / "venv")
    return folder


def pip(folder: Path, *words: str) -> None:
    command = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q", *words]
    subprocess.run(command, check=True)


@pytest.fixture
def place(whole: Path, tmp_path: Path) -> Path:
    """Return a copy of `whole` that a test may spoil."""
    shutil.copytree(whole, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


def site(folder: Path) -> Path:
    return next((folder / "venv" / "lib").glob("python3*/site-packages"))


def verify(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[tuple[str, str]]]:
    asked = ["--stack", "mine", "--locks", str(folder / "env"), "--prefix", str(folder / "venv"), "--json"]
    code = main([*asked, *(words or ["--verify"])])
    rows = json.loads(capsys.readouterr().out)["differences"]
    return code, [(row["kind"], row["package"]) for row in rows]


class TestVerify:
    def test_what_pip_installed_from_the_lock_is_as_the_lock_says(
        self, whole: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert verify(whole, capsys) == (0, [])

    def test_one_changed_byte_is_tampering(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (site(place) / "apple" / "__init__.py").write_text("value = 2\n", encoding="utf-8")
        assert verify(place, capsys) == (2, [("tampered", "apple")])

    def test_a_file_that_is_gone_is_tampering(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (site(place) / "pear" / "__init__.py").unlink()
        assert verify(place, capsys) == (2, [("tampered", "pear")])

    def test_a_record_rewritten_to_fit_the_changed_file_is_seen(
        self, place: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wheel(place / "other", "apple", "1.0", "value = 'not the published one'\n")
        pip(place, "install", "--force-reinstall", "--no-index", "--find-links", str(place / "other"), "apple")
        assert verify(place, capsys) == (2, [("tampered", "apple")])

    def test_a_missing_package(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pip(place, "uninstall", "-y", "pear")
        assert verify(place, capsys) == (2, [("missing", "pear")])

    def test_an_extra_package(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pip(place, "install", "--no-index", str(wheel(place / "other", "plum", "3.0")))
        assert verify(place, capsys) == (2, [("extra", "plum")])

    def test_another_version_is_told_by_diff_too(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pip(place, "install", "--no-index", str(wheel(place / "other", "apple", "1.1")))
        assert verify(place, capsys, "--diff") == (2, [("version", "apple")])

    def test_a_module_that_no_package_brought(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (site(place) / "sitecustomize.py").write_text("", encoding="utf-8")
        assert verify(place, capsys) == (2, [("stray", "sitecustomize.py")])

    def test_diff_leaves_files_to_verify(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (site(place) / "apple" / "__init__.py").write_text("", encoding="utf-8")
        assert verify(place, capsys, "--diff") == (0, [])


class TestNoLook:
    def test_no_environment_says_what_to_type(self, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code = main(["--stack", "mine", "--locks", str(whole / "env"), "--prefix", str(whole / "no"), "--verify"])
        assert code == 3
        assert "make it: ./bevready env" in capsys.readouterr().err

    def test_an_unknown_stack_is_answered_with_the_known_ones(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--stack", "cu999", "--verify"]) == 3
        assert "stacks: cu126, cu128, cu130, upstream" in capsys.readouterr().err

    def test_a_python_that_answers_with_noise(self, tmp_path: Path) -> None:
        python = tmp_path / "bin" / "python"
        python.parent.mkdir()
        python.write_text("#!/bin/sh\necho broken >&2\n", encoding="utf-8")
        python.chmod(0o755)
        with pytest.raises(LockError, match=r"does not say what is installed \(broken\)"):
            look(tmp_path)


class TestWords:
    def test_a_version_says_who_asked_for_it(self) -> None:
        found = judge([Pin("numpy", "1.26.4", (HASH,), via=("torch", "pandas"))], [Installed("NumPy", "2.0", "")])
        assert str(found[0]) == ("version   numpy: 2.0 is installed; the lock says 1.26.4; torch, pandas asked for it")

    def test_a_package_described_twice(self) -> None:
        rows = [Installed("six", "1.16", ""), Installed("six", "1.16", "")]
        assert [row.kind for row in judge([Pin("six", "1.16", (HASH,))], rows)] == ["twice"]

    def test_a_file_that_was_installed_unlike_its_record_is_no_tampering(self) -> None:
        row = Installed("torch", "1.9.1", "noted", changed=("libtorch_cpu.so",))
        assert judge([Pin("torch", "1.9.1", (HASH,))], [row], records={"torch": "noted"}) == []
        assert [r.kind for r in judge([Pin("torch", "1.9.1", (HASH,))], [row], records={"torch": "x"})] == ["tampered"]

    def test_without_record_nobody_knows(self) -> None:
        found: list[Difference] = judge([Pin("six", "1", (HASH,))], [Installed("six", "1", "", recorded=False)])
        assert "has no RECORD" in str(found[0])

    def test_a_module_that_breaks_as_it_is_imported_is_named_and_the_others_are_tried(
        self, place: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        modules = ["pear", "cherry", "os", "apple"]
        (place / "env" / "mine" / "stack.json").write_text(json.dumps({"imports": modules}), encoding="utf-8")
        assert verify(place, capsys) == (2, [("import", "cherry")])
        assert verify(place, capsys, "--diff") == (0, [])


def interpreter(folder: Path, words: str) -> Path:
    """Write a program in the place of an environment's Python; return the environment."""
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_text(f"#!/bin/sh\n{words}\n", encoding="utf-8")
    (folder / "bin" / "python").chmod(0o755)
    return folder


class TestImports:
    def test_a_module_that_ends_the_interpreter_is_named_and_so_are_those_after_it(self, tmp_path: Path) -> None:
        prefix = interpreter(tmp_path, """cat >/dev/null; echo '["torch", ""]'; exit 139""")
        found = broken_imports(prefix, ["torch", "mmcv.ops", "mmdet"])
        assert [(row.kind, row.package) for row in found] == [("import", "mmcv.ops"), ("import", "mmdet")]
        assert "exit code 139" in str(found[0])

    def test_what_a_module_prints_is_no_answer(self, tmp_path: Path) -> None:
        prefix = interpreter(tmp_path, f"cd {tmp_path} && PYTHONPATH=. exec {sys.executable} $2")
        (tmp_path / "loud.py").write_text("print('hello')", encoding="utf-8")
        (tmp_path / "leaves.py").write_text("raise SystemExit('no CUDA')", encoding="utf-8")
        found = broken_imports(prefix, ["loud", "leaves", "json"])
        assert [str(row) for row in found] == [
            "import    leaves: cannot be imported (SystemExit: no CUDA); this stack is for it"
        ]


class TestLocks:
    @pytest.mark.parametrize("stack", STACKS)
    def test_every_pin_has_hashes_and_no_line_names_a_host(self, stack: str) -> None:
        path = ROOT / "env" / stack / "requirements.lock"
        assert len(read_lock(path)) > 80
        check_no_hosts(path.read_text(encoding="utf-8"))

    @pytest.mark.parametrize("stack", STACKS)
    def test_the_lock_brings_the_torch_that_the_stack_names(self, stack: str) -> None:
        told = json.loads((ROOT / "env" / stack / "stack.json").read_text(encoding="utf-8"))
        pins = {pin.name: pin.version for pin in read_lock(ROOT / "env" / stack / "requirements.lock")}
        assert (pins["torch"], pins["torchvision"]) == (told["torch"], told["torchvision"])

    @pytest.mark.parametrize("stack", STACKS)
    def test_every_pin_was_asked_for_by_another_or_by_requirements_in(self, stack: str) -> None:
        path = ROOT / "env" / stack / "requirements.lock"
        pins = {pin.name for pin in read_lock(path)}
        remarks = [line.strip(" #") for line in path.read_text(encoding="utf-8").split("\n") if "#" in line]
        asked = {name for remark in remarks if (name := remark.removeprefix("via").strip())}
        assert asked <= {*pins, "-r requirements.in"}
        assert len([remark for remark in remarks if remark.startswith("via")]) == len(read_lock(path))

    @pytest.mark.parametrize("stack", STACKS)
    def test_what_a_stack_must_import_begins_with_its_torch(self, stack: str) -> None:
        told = json.loads((ROOT / "env" / stack / "stack.json").read_text(encoding="utf-8"))
        assert told["imports"][:2] == ["torch", "torchvision"]

    @pytest.mark.parametrize(
        "line", ["six", "six>=1", "six==1.16", "six==1.16 --hash=md5:00", f"-r other.txt --hash={HASH}", "http://x"]
    )
    def test_a_line_that_pins_nothing_is_named(self, line: str) -> None:
        with pytest.raises(LockError, match=r"line 2: saw .*expected NAME==VERSION"):
            parse_lock(f"# words\n{line}\n")

    def test_an_address_is_refused(self) -> None:
        with pytest.raises(LockError, match="expected no address"):
            check_no_hosts("--index-url https://mirror.example/simple\n")

    def test_changes_in_words(self) -> None:
        old = (Pin("a", "1", (HASH,)), Pin("b", "1", (HASH,)), Pin("d", "1", (HASH,)))
        new = (Pin("a", "2", (HASH,)), Pin("c", "1", (HASH,)), Pin("d", "1", (HASH, "sha256:1")))
        assert changes(old, new) == [
            "a 1 → 2",
            "b 1 is gone",
            "c 1 is new",
            "d 1: the index offers other files (1 → 2)",
        ]

    @given(st.text())
    def test_any_text_is_pins_or_a_lock_error(self, text: str) -> None:
        try:
            pins = parse_lock(text)
        except LockError:
            return
        assert all(pin.hashes for pin in pins)

    @given(
        st.lists(
            st.builds(
                Pin,
                name=st.from_regex(r"[a-z]([a-z0-9-]?[a-z0-9])*", fullmatch=True),
                version=st.from_regex(r"[0-9]+(\.[0-9]+)*", fullmatch=True),
                hashes=st.tuples(st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)),
                marker=st.sampled_from(["", "python_version < '3.11'"]),
            ),
            max_size=5,
        )
    )
    def test_what_is_written_is_read_again(self, pins: list[Pin]) -> None:
        assert parse_lock("".join(pin.lines for pin in pins)) == tuple(pins)
