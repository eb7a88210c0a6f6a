"""The bootstrap for real: it makes environments, loses the network, the disk and the race, and is interrupted.

What it installs here is one tiny wheel that stands for invoke and prints the words it was handed; everything else
(the shell, venv, pip, hashes, locks) is the real thing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.debian import bring

ROOT = Path(__file__).resolve().parents[2]
MACHINES = ROOT / "tests" / "fixtures" / "machines"
TOOLS = ("sh", "awk", "basename", "cat", "cksum", "df", "dirname", "grep", "ls", "mkdir", "mv", "readlink", "rm", "sed")
NOBODY = 65534
SHELLS = {"ksh": "ksh93u+m"}  # shells whose package is named otherwise


def wheel(folder: Path, version: str, *, padding: int = 0) -> Path:
    """Write a wheel of a package `invoke` that prints its words; `padding` bytes make it large once unpacked."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"invoke-{version}-py3-none-any.whl"
    info = f"invoke-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("invoke/__init__.py", "")
        archive.writestr("invoke/__main__.py", f"import sys; print('invoke {version}', *sys.argv[1:], sep='|')\n")
        archive.writestr("invoke/padding", bytes(padding))
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: invoke\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def lock(path: Path, package: Path, *, digest: str = "") -> Path:
    """Write a lock file that pins the wheel by its hash, found without any index."""
    digest = digest or hashlib.sha256(package.read_bytes()).hexdigest()
    version = package.name.split("-")[1]
    path.write_text(
        f"--no-index\n--find-links {package.parent.as_uri()}\ninvoke=={version} \\\n    --hash=sha256:{digest}\n",
        encoding="utf-8",
    )
    return path


class Checkout:
    """A copy of what the bootstrap needs, in a folder with a space in its name, and a clean environment."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "a checkout"
        self.path.mkdir()
        shutil.copy(ROOT / "bevready", self.path)
        for room in ("doctor", "env", "recipes"):
            shutil.copytree(ROOT / room, self.path / room, ignore=shutil.ignore_patterns("__pycache__"))
        self.lock = lock(folder / "tiny.lock", wheel(folder / "wheels", "1.0"))
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "BEVREADY_LOCK": str(self.lock),
            "BEVREADY_STACK": "cu130",
            "BEVREADY_PYTHON": sys.executable,
            "PIP_CACHE_DIR": str(folder / "cache"),
            "PIP_RETRIES": "0",
        }

    def command(self, *words: str) -> list[str]:
        return [str(self.path / "bevready"), *words]

    def call(
        self, *words: str, cwd: Path | None = None, user: int | None = None, **changes: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in {**self.environment, **changes}.items() if value}
        return subprocess.run(
            self.command(*words),
            env=environment,
            cwd=cwd or self.path,
            user=user,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout(tmp_path_factory.mktemp("installed"))
    done = made.call("--list")
    assert done.returncode == 0, done.stderr
    return made


def tools_only(folder: Path) -> Path:
    """Make a folder of shell tools without any Python."""
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        if found:
            (folder / tool).symlink_to(found)
    return folder


class TestInstalled:
    def test_words_arrive_as_they_were_typed(self, installed: Checkout) -> None:
        done = installed.call("repro", "--recipe", "two words", "*", "$HOME")
        assert done.stdout == f"invoke 1.0|--search-root|{installed.path}|repro|--recipe|two words|*|$HOME\n"
        assert done.stderr == ""

    def test_the_second_call_asks_neither_python_nor_pip_nor_the_doctor(
        self, installed: Checkout, tmp_path: Path
    ) -> None:
        done = installed.call("test", PATH=str(tools_only(tmp_path / "bin")), BEVREADY_PYTHON="", BEVREADY_STACK="")
        assert done.stdout == f"invoke 1.0|--search-root|{installed.path}|test\n"

    def test_the_doctor_takes_the_same_words_before_and_after(self, installed: Checkout) -> None:
        done = installed.call("doctor", "stack", "--replay", "v100_driver580", cwd=MACHINES)
        assert (done.stdout, done.returncode) == ("cu128\n", 0)

    def test_no_word_lists_the_tasks(self, installed: Checkout) -> None:
        assert installed.call().stdout == f"invoke 1.0|--search-root|{installed.path}|--list\n"

    def test_from_another_folder_through_two_links(self, installed: Checkout, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(installed.path)
        (tmp_path / "b r").symlink_to("link/bevready")
        done = subprocess.run(
            [str(tmp_path / "b r"), "x"],
            env=installed.environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == f"invoke 1.0|--search-root|{installed.path}|x\n"

    @pytest.mark.parametrize(
        "shell", [["dash"], ["bash", "--posix"], ["busybox", "sh"], ["ksh"]], ids=lambda words: words[0]
    )
    def test_every_shell(self, installed: Checkout, shell: list[str]) -> None:
        bring({shell[0]: SHELLS.get(shell[0], shell[0])})
        words = [*shell, str(installed.path / "bevready"), "a", "b c"]
        done = subprocess.run(words, env=installed.environment, cwd="/", capture_output=True, text=True, check=False)
        assert done.stdout.endswith("|a|b c\n"), done.stderr

    def test_the_exit_code_is_the_task_s(self, installed: Checkout) -> None:
        main = installed.path / ".venv" / "lib"
        program = next(main.glob("python3.*/site-packages/invoke/__main__.py"))
        words = program.read_text(encoding="utf-8")
        program.write_text("raise SystemExit(7)\n", encoding="utf-8")
        code = installed.call("x").returncode
        program.write_text(words, encoding="utf-8")
        assert code == 7

    def test_a_read_only_checkout_that_is_installed_still_works(self, installed: Checkout) -> None:
        installed.path.chmod(0o555)
        try:
            assert installed.call("x").returncode == 0
        finally:
            installed.path.chmod(0o755)


class TestBeforeAnythingIsInstalled:
    def test_no_word_explains_and_installs_nothing(self, checkout: Checkout) -> None:
        done = checkout.call()
        assert done.returncode == 0
        assert "./bevready repro --recipe bevformer_tiny" in done.stdout
        assert not (checkout.path / ".venv").exists()

    def test_the_doctor_answers(self, checkout: Checkout) -> None:
        done = checkout.call("doctor", "--replay", "rtx4090_library_mismatch", cwd=MACHINES)
        assert done.returncode == 2
        assert "FAIL  DRV03" in done.stdout
        assert not (checkout.path / ".venv").exists()

    def test_the_authors_stack_is_no_place_to_run_from(self, checkout: Checkout) -> None:
        done = checkout.call("repro", BEVREADY_STACK="upstream")
        assert done.returncode == 2
        assert "./bevready env --stack upstream" in done.stderr
        assert not (checkout.path / ".venv").exists()

    def test_no_python_at_all(self, checkout: Checkout, tmp_path: Path) -> None:
        path = str(tools_only(tmp_path / "bin"))
        done = checkout.call("repro", PATH=path, BEVREADY_PYTHON="")
        assert done.returncode == 3
        assert done.stderr.startswith("bevready: no Python 3.10, 3.11 or 3.12 found. Install one")
        assert len(done.stderr.splitlines()) == 1

    def test_no_python_for_the_doctor(self, checkout: Checkout, tmp_path: Path) -> None:
        done = checkout.call("doctor", PATH=str(tools_only(tmp_path / "bin")), BEVREADY_PYTHON="")
        assert done.returncode == 3
        assert "the doctor needs a Python 3.10 or newer and found none" in done.stderr

    def test_a_python_that_was_named_and_is_not_there(self, checkout: Checkout) -> None:
        done = checkout.call("repro", BEVREADY_PYTHON="/no/such/python")
        assert done.returncode == 3
        assert "found at BEVREADY_PYTHON=/no/such/python" in done.stderr

    def test_a_python_without_ensurepip_names_the_package(self, checkout: Checkout, tmp_path: Path) -> None:
        broken = tmp_path / "python3.11"
        broken.write_text(f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"\n')
        broken.chmod(0o755)
        done = checkout.call("repro", BEVREADY_PYTHON=str(broken))
        assert done.returncode == 3
        assert f"{broken} cannot make virtual environments" in done.stderr
        assert "sudo apt install python3-venv" in done.stderr

    def test_a_stack_that_there_is_not(self, checkout: Checkout) -> None:
        done = checkout.call("repro", BEVREADY_STACK="cu999", BEVREADY_LOCK="")
        assert done.returncode == 2
        assert 'there is no stack "cu999"' in done.stderr
        assert "cu126 cu128 cu130" in done.stderr

    def test_a_small_disk_is_seen_before_anything_is_fetched(self, checkout: Checkout, tmp_path: Path) -> None:
        df = tmp_path / "bin" / "df"
        df.parent.mkdir()
        df.write_text(
            "#!/bin/sh\necho Filesystem 1024-blocks Used Available Capacity Mounted\necho /dev/sda 9 9 2097152 50% /\n"
        )
        df.chmod(0o755)
        done = checkout.call("repro", BEVREADY_LOCK="", PATH=f"{df.parent}:{checkout.environment['PATH']}")
        assert done.returncode == 2
        assert "has 2 GiB free; the stack cu130 needs 9 GiB" in done.stderr
        assert not (checkout.path / ".venv").exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
    def test_a_folder_of_somebody_else(self, checkout: Checkout, tmp_path: Path) -> None:
        for folder in (tmp_path, *tmp_path.parents[:3]):
            if "pytest" in str(folder):
                folder.chmod(0o755)
        if not Path("/usr/bin/python3").exists():
            pytest.skip("no system Python that another user may run")
        fake = tmp_path / "python3"  # stands for a whole one: Debian's own may lack venv, which has its own message
        fake.write_text('#!/bin/sh\ncase "$*" in *ensurepip*) exit 0 ;; esac\nexec /usr/bin/python3 "$@"\n')
        fake.chmod(0o755)
        done = checkout.call("repro", user=NOBODY, BEVREADY_PYTHON=str(fake))
        assert done.returncode == 2
        assert done.stderr.startswith(f"bevready: cannot write to {checkout.path} (read-only, or another user's)")
        assert len(done.stderr.splitlines()) == 1

    def test_an_environment_of_somebody_else_is_not_touched(self, checkout: Checkout) -> None:
        (checkout.path / ".venv" / "precious").mkdir(parents=True)
        done = checkout.call("repro")
        assert done.returncode == 2
        assert "exists and bevready did not make it" in done.stderr
        assert (checkout.path / ".venv" / "precious").is_dir()


@pytest.mark.slow
class TestInstalling:
    def test_a_shim_that_fails_does_not_fool_it(self, checkout: Checkout, tmp_path: Path) -> None:
        shims = tmp_path / "shims"
        shims.mkdir()
        for name in ("python3.11", "python3.12", "python3.10", "python3"):
            (shims / name).write_text(f"#!/bin/sh\necho 'pyenv: {name}: command not found' >&2\nexit 127\n")
            (shims / name).chmod(0o755)
        done = checkout.call("x", PATH=f"{shims}:{checkout.environment['PATH']}", BEVREADY_PYTHON="")
        assert (done.returncode, "invoke 1.0" in done.stdout) == (0, True), done.stderr

    def test_a_changed_lock_updates_and_an_unchanged_one_does_not(self, checkout: Checkout, tmp_path: Path) -> None:
        checkout.call("x")
        assert "installing" not in checkout.call("x").stderr
        lock(checkout.lock, wheel(tmp_path / "wheels", "2.0"))
        done = checkout.call("x")
        assert "installing the stack" in done.stderr
        assert done.stdout.startswith("invoke 2.0|")

    def test_another_place_for_the_environment(self, checkout: Checkout, tmp_path: Path) -> None:
        done = checkout.call("x", BEVREADY_VENV=str(tmp_path / "else where" / "venv"))
        assert done.returncode == 0, done.stderr
        assert not (checkout.path / ".venv").exists()

    def test_no_network(self, checkout: Checkout) -> None:
        checkout.lock.write_text(f"--index-url https://localhost:9/simple\ninvoke==1.0 --hash=sha256:{'0' * 64}\n")
        done = checkout.call("x", HTTPS_PROXY="http://127.0.0.1:9")
        assert done.returncode == 3
        assert "bevready: the package index cannot be reached" in done.stderr
        assert "pip config list" in done.stderr

    def test_the_next_call_after_a_lost_network_succeeds(self, checkout: Checkout, tmp_path: Path) -> None:
        checkout.lock.write_text(f"--index-url https://localhost:9/simple\ninvoke==1.0 --hash=sha256:{'0' * 64}\n")
        assert checkout.call("x").returncode == 3
        lock(checkout.lock, wheel(tmp_path / "wheels", "1.0"))
        done = checkout.call("x")
        assert done.returncode == 0, done.stderr
        assert "is not whole (an interrupted installation" in done.stderr

    def test_a_package_that_is_not_the_one_that_was_locked(self, checkout: Checkout, tmp_path: Path) -> None:
        lock(checkout.lock, wheel(tmp_path / "wheels", "1.0"), digest="0" * 64)
        done = checkout.call("x")
        assert done.returncode == 3
        assert "hash mismatch" in done.stderr

    def test_a_lock_that_nothing_satisfies(self, checkout: Checkout, tmp_path: Path) -> None:
        checkout.lock.write_text(
            f"--no-index\n--find-links {tmp_path.as_uri()}\ninvoke==9.9 --hash=sha256:{'0' * 64}\n"
        )
        done = checkout.call("x")
        assert done.returncode == 3
        assert "bevready: pip could not install" in done.stderr

    @pytest.mark.parametrize("small_disk", ["60m"], indirect=True)
    def test_a_disk_that_fills_up(self, checkout: Checkout, small_disk: Path, tmp_path: Path) -> None:
        lock(checkout.lock, wheel(tmp_path / "wheels", "1.0", padding=80 << 20))
        done = checkout.call("x", BEVREADY_VENV=str(small_disk / "venv"))
        assert done.returncode == 3
        assert "bevready: the disk filled up" in done.stderr

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
    def test_an_interrupted_installation_recovers(
        self, checkout: Checkout, tmp_path: Path, number: signal.Signals, code: int
    ) -> None:
        signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # in the background it is ignored, and that is inherited
        with socket.create_server(("127.0.0.1", 0)) as silent:  # an index that accepts and never answers
            index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
            checkout.lock.write_text(f"--index-url {index}\ninvoke==1.0 --hash=sha256:{'0' * 64}\n")
            started = subprocess.Popen(
                checkout.command("x"),
                env=checkout.environment,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            silent.settimeout(60)
            with silent.accept()[0]:
                os.killpg(started.pid, number)
                _, errors = started.communicate(timeout=30)
        assert started.returncode == code
        assert ("bevready: interrupted; the same command" in errors) == (number == signal.SIGINT)
        lock(checkout.lock, wheel(tmp_path / "wheels", "1.0"))
        done = checkout.call("x")
        assert done.stdout == f"invoke 1.0|--search-root|{checkout.path}|x\n"

    def test_two_at_once_install_once(self, checkout: Checkout) -> None:
        both = [
            subprocess.Popen(checkout.command(word), env=checkout.environment, stdout=-1, stderr=-1, text=True)
            for word in "ab"
        ]
        answers = [process.communicate(timeout=120) for process in both]
        assert [process.returncode for process in both] == [0, 0], answers
        assert sorted(out[-2] for out, _ in answers) == ["a", "b"]
        assert sum("installing the stack" in err for _, err in answers) == 1
        assert sum("another bevready is installing" in err for _, err in answers) == 1

    def test_a_python_that_went_away_is_replaced(self, checkout: Checkout) -> None:
        checkout.call("x")
        python = checkout.path / ".venv" / "bin" / "python"
        python.unlink()
        python.symlink_to("/no/such/python")
        done = checkout.call("x")
        assert done.stdout.startswith("invoke 1.0|"), done.stderr


def test_the_script_is_clean_posix_shell() -> None:
    bring({"shellcheck": "shellcheck"})
    done = subprocess.run(["shellcheck", str(ROOT / "bevready")], capture_output=True, text=True, check=False)
    assert done.stdout == ""
