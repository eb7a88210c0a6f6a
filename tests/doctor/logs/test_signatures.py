"""Signatures: each finds its sample, says what it caught, and none calls a summary or a healthy log a cause."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path

import pytest

from doctor.logs.explain import explain
from doctor.logs.signature import SUMMARY, Signature
from doctor.logs.signatures import ALL_SIGNATURES

HEALTHY = sorted((Path(__file__).resolve().parents[2] / "fixtures" / "logs" / "healthy").glob("*.log"))
FROM_A_SAMPLE = [pytest.param(one, id=one.name) for one in ALL_SIGNATURES]


@pytest.mark.parametrize("signature", FROM_A_SAMPLE)
def test_a_signature_finds_its_own_sample(signature: Signature) -> None:
    assert signature.name in [hit.signature.name for hit in explain(signature.sample.encode()).hits]


@pytest.mark.parametrize("signature", FROM_A_SAMPLE)
def test_the_first_hit_in_a_sample_is_of_its_category(signature: Signature) -> None:
    assert explain(signature.sample.encode()).hits[0].signature.category == signature.category


@pytest.mark.parametrize("signature", FROM_A_SAMPLE)
def test_a_signature_is_still_found_between_other_lines(signature: Signature) -> None:
    noise = "\n".join(f"[{number}/900] Building CXX object src/part_{number}.cpp.o" for number in range(900))
    log = f"{noise}\n{signature.sample}\n{noise}\n"
    found = {hit.signature.name: hit for hit in explain(log.encode()).hits}
    assert found[signature.name].line_number in range(901, 901 + signature.sample.count("\n") + 1)


@pytest.mark.parametrize("signature", FROM_A_SAMPLE)
def test_what_a_signature_says_names_only_what_it_catches(signature: Signature) -> None:
    caught = {name.rstrip("0123456789") for name in signature.line.groupindex}
    spoken = [signature.saw, *signature.fix]
    named = {name for text in spoken for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    assert named <= caught


@pytest.mark.parametrize("signature", FROM_A_SAMPLE)
def test_needles_are_lower_case_ascii_or_cjk(signature: Signature) -> None:
    assert [needle for needle in signature.needles if re.search("[A-Z]", needle)] == []


def test_names_are_unique() -> None:
    names = [signature.name for signature in ALL_SIGNATURES]
    assert len(set(names)) == len(names)


@pytest.mark.shared
def test_every_category_has_a_signature(shared_dir: Path) -> None:
    table = (shared_dir / "cases" / "README.md").read_text(encoding="utf-8")
    slugs = set(re.findall(r"^\| ([a-z][a-z-]+) \|", table, re.MULTILINE)) - {"category"}
    slugs = {slug for part in slugs for slug in part.split(" / ")} | {"host-compiler-too-new", "host-compiler-too-old"}
    assert {signature.category for signature in ALL_SIGNATURES} == slugs


@pytest.mark.parametrize(
    "summary",
    [
        "subprocess.CalledProcessError: Command '['ninja', '-v']' returned non-zero exit status 1.",
        "ninja: build stopped: subcommand failed.",
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:",
        "ERROR:torch.distributed.elastic.multiprocessing.api:failed (exitcode: 1) local_rank: 0 of binary: python",
        "mpirun noticed that process rank 0 with PID 12 on node a exited on signal 9 (Killed).",
        "error: subprocess-exited-with-error",
        "  ERROR: Failed building wheel for mmcv-full",
        'ERROR: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2',
        "make: *** [all] Error 2",
    ],
)
def test_a_summary_is_never_the_cause(summary: str) -> None:
    assert explain(summary.encode()).cause is None


@pytest.mark.parametrize(
    ("cause", "summary"),
    [
        ("fatal error: THC/THC.h: No such file or directory", "ninja: build stopped: subcommand failed."),
        ("RuntimeError: CUDA error: invalid device ordinal", "torch.distributed.elastic.….errors.ChildFailedError:"),
        (
            "ModuleNotFoundError: No module named 'projects'",
            "subprocess.CalledProcessError: returned non-zero exit status 1.",
        ),
    ],
)
def test_the_cause_comes_before_the_summary_wherever_they_stand(cause: str, summary: str) -> None:
    for log in (f"{cause}\n{summary}\n", f"{summary}\n{cause}\n"):
        told = explain(log.encode())
        assert told.cause is not None
        assert told.cause.line == cause
        assert told.cause.signature.rank > SUMMARY


@pytest.mark.parametrize("log", HEALTHY, ids=lambda path: path.stem)
def test_a_healthy_log_names_no_cause(log: Path) -> None:
    assert explain(log.read_bytes()).cause is None


def test_there_are_thirty_healthy_logs() -> None:
    assert len(HEALTHY) >= 30


@pytest.mark.shared
def test_the_bank_of_failures_is_explained_at_95_percent(shared_dir: Path) -> None:
    lines = (shared_dir / "cases" / "logs.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    wrong = {case["id"]: explain(case["log"].encode()).category for case in cases}
    wrong = {case["id"]: wrong[case["id"]] for case in cases if wrong[case["id"]] != case["category"]}
    assert len(wrong) <= 0.05 * len(cases), wrong


class TestNeighbours:
    """Messages that look alike and mean different things."""

    def category(self, log: str) -> str:
        return explain(log.encode()).category

    def test_an_index_without_cuda_builds_is_not_a_python_without_wheels(self) -> None:
        words = "ERROR: Could not find a version that satisfies the requirement torch==1.9.1+cu111 (from versions: {})"
        assert self.category(words.format("1.8.0, 1.9.0, 1.9.1, 1.10.0")) == "network-mirror"
        assert self.category(words.format("1.13.0, 1.13.1, 2.0.0, 2.1.0")) == "python-version"

    def test_nothing_on_the_index_after_time_outs_is_the_network(self) -> None:
        none = "ERROR: Could not find a version that satisfies the requirement waymo==1.2.0 (from versions: none)\n"
        retry = "WARNING: Retrying after connection broken by 'NewConnectionError': /simple/waymo/\n"
        assert self.category(none) == "python-version"
        assert self.category(retry + none) == "network-mirror"

    def test_a_retry_that_succeeds_is_no_failure(self) -> None:
        retry = "WARNING: Retrying after connection broken by 'ReadTimeoutError': /simple/demo/\n"
        assert explain((retry + "Successfully installed demo-0.1\n").encode()).cause is None

    def test_no_gpu_while_an_image_is_built_is_not_a_cpu_build_of_torch(self) -> None:
        fault = "    arch_list[-1] += '+PTX'\nIndexError: list index out of range\n"
        assert self.category(fault) == "torch-cpu-only-build"
        assert (
            self.category(fault + "ERROR: failed to solve: process did not complete successfully")
            == "docker-gpu-runtime"
        )

    def test_a_missing_string_abi_is_said_apart_from_another_release(self) -> None:
        words = "ImportError: a.so: undefined symbol: {}"
        told = explain(words.format("_ZN3c105ErrorC2ENS_14SourceLocationENSt7__cxx1112basic_stringIcEE").encode())
        assert told.cause is not None
        assert told.cause.signature.name == "undefined-symbol-abi"

    def test_a_symbol_of_the_cpp_library_is_not_torchs(self) -> None:
        assert (
            self.category("ImportError: a.so: undefined symbol: _ZNSt15__exception_ptr13exception_ptr9_M_addrefEv")
            == "glibc-or-libstdcxx"
        )

    def test_an_operator_without_its_cuda_half_was_half_built(self) -> None:
        symbol = "_Z27ms_deform_attn_cuda_forwardRKN2at6TensorES2_S2_S2_S2_i"
        assert self.category(f"ImportError: MSDA.so: undefined symbol: {symbol}") == "build-tool"

    def test_a_module_of_the_build_is_not_a_module_of_the_run(self) -> None:
        missing = "ModuleNotFoundError: No module named 'torch'\n"
        assert explain(missing.encode()).cause is None
        assert (
            self.category("Getting requirements to build wheel: finished with status 'error'\n" + missing)
            == "build-tool"
        )

    def test_a_killed_worker_is_not_a_killed_compiler(self) -> None:
        assert self.category("RuntimeError: DataLoader worker (pid 1) is killed by signal: Killed.") == "other"
        assert self.category("[7/9] /usr/bin/nvcc -c a.cu\nKilled\n") == "build-tool"

    def test_a_full_shared_memory_is_not_a_full_disk(self) -> None:
        full = "OSError: [Errno 28] No space left on device"
        assert self.category(full) == "other"
        assert (
            self.category('  File "/usr/lib/python3.10/multiprocessing/heap.py", line 83\n' + full)
            == "shared-memory-docker"
        )

    def test_a_runtime_warning_about_sizes_is_not_an_error(self) -> None:
        words = "numpy.ufunc size changed, may indicate binary incompatibility. Expected 192 from C header, got 216"
        assert explain(f"RuntimeWarning: {words}".encode()).cause is None
        assert self.category(f"ValueError: {words}") == "dependency-pin"

    def test_channels_of_a_healthy_nccl_are_no_error_codes(self) -> None:
        assert explain(b"host:1:2 [0] NCCL INFO Channel 00 : 0[1000] -> 1[2000] via P2P/IPC").cause is None
        assert self.category("host:1:2 [0] NCCL INFO bootstrap.cc:40 -> 2") == "nccl"

    def test_a_minor_difference_of_cuda_is_only_a_warning(self) -> None:
        words = "The detected CUDA version (12.1) has a minor version mismatch with the version … PyTorch (12.4)."
        assert explain(f"UserWarning: {words}".encode()).cause is None
