"""The scripts that run in another process, against libraries made here that answer, refuse, crash and hang.

The stand-ins are C with the signatures of nvml.h and cuda.h; what is tested is that ctypes calls them as C would.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from doctor.facts import Driver, DriverLibraries, Gpu, Gpus, Unknown
from doctor.probes.driver import probe_driver
from doctor.probes.python import probe_python
from doctor.shell import LiveHost

NVML = """
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
static int devices[2];
int nvmlInit_v2(void) { INIT }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *v) { *v = 13000; return 0; }
int nvmlSystemGetDriverVersion(char *s, unsigned n) { strncpy(s, "580.95.05", n); return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = &devices[i]; return i < 2 ? 0 : 2; }
int nvmlDeviceGetName(void *d, char *s, unsigned n) {
    strncpy(s, d == devices ? "NVIDIA H100" : "NVIDIA L4", n);
    return 0;
}
int nvmlDeviceGetCudaComputeCapability(void *d, int *major, int *minor) {
    *major = d == devices ? 9 : 8;
    *minor = d == devices ? 0 : 9;
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *d, nvmlMemory_t *m) { m->total = 85899345920ULL; m->free = 1; m->used = 2; return 0; }
"""
NEWER_NVML = """
typedef struct { unsigned char cluster[16]; int status; unsigned clique; unsigned char state; } nvmlGpuFabricInfo_t;
int nvmlDeviceGetMigMode(void *d, unsigned *now, unsigned *later) {
    if (d != devices) return 3;
    *now = 1;
    *later = 0;
    return 0;
}
int nvmlDeviceGetMigDeviceHandleByIndex(void *d, unsigned i, void **m) { *m = d; return i == 0 || i == 2 ? 0 : 6; }
int nvmlDeviceGetTotalEccErrors(void *d, int kind, int since, unsigned long long *n) {
    *n = kind == 1 && since == 0 ? 5000000000ULL : 0;
    return d == devices ? 0 : 3;
}
int nvmlDeviceGetRemappedRows(void *d, unsigned *corrected, unsigned *lost, unsigned *pending, unsigned *failed) {
    *corrected = *lost = *failed = 0;
    *pending = d == devices;
    return 0;
}
int nvmlDeviceGetGpuFabricInfo(void *d, nvmlGpuFabricInfo_t *f) { f->state = 2; return d == devices ? 0 : 3; }
int nvmlDeviceGetComputeRunningProcesses_v3(void *d, unsigned *n, void *rows) {
    *n = d == devices ? 4 : 0;
    return rows ? 2 : d == devices ? 7 : 0;
}
int nvmlDeviceGetPersistenceMode(void *d, int *on) { *on = d == devices; return 0; }
int nvmlDeviceGetComputeMode(void *d, int *mode) { *mode = d == devices ? 3 : 2; return 0; }
"""
CUDA = """
#include <string.h>
int cuDriverGetVersion(int *v) { *v = 12080; return 0; }
int cuInit(unsigned flags) { return flags ? 1 : CODE; }
int cuDeviceGetCount(int *n) { *n = 1; return 0; }
int cuDeviceGet(int *d, int i) { *d = i + 40; return 0; }
int cuDeviceGetName(char *s, int n, int d) { strncpy(s, d == 40 ? "NVIDIA L4" : "wrong device", n); return 0; }
int cuDeviceGetAttribute(int *v, int attribute, int d) {
    *v = attribute == 75 ? 8 : attribute == 76 ? 9 : -d;
    return 0;
}
int cuDeviceTotalMem_v2(size_t *n, int d) { *n = d == 40 ? 25769803776UL : 0; return 0; }
"""
COMPILER = shutil.which("gcc") or shutil.which("cc") or ""
needs_compiler = pytest.mark.skipif(not COMPILER, reason="no C compiler to make the stand-in libraries with")


def library(folder: Path, name: str, source: str) -> None:
    folder.mkdir(exist_ok=True)
    code = folder / f"{name}.c"
    code.write_text(source, encoding="utf-8")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", str(folder / name), str(code)], check=True)


@pytest.fixture
def driver_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))
    return tmp_path / "driver"


def probed() -> tuple[DriverLibraries | Unknown, Driver | Unknown, Gpus | Unknown]:
    return probe_driver(LiveHost())[:3]


@needs_compiler
class TestDriverLibraries:
    def test_nvml_answers(self, driver_folder: Path) -> None:
        library(driver_folder, "libnvidia-ml.so.1", NVML.replace("INIT", "return 0;"))
        _, driver, gpus = probed()
        assert driver == Driver(version=(580, 95, 5), cuda=(13, 0), source="NVML")
        assert gpus == Gpus(
            (
                Gpu("NVIDIA H100", (9, 0), 80 << 30, free=1, index=0),
                Gpu("NVIDIA L4", (8, 9), 80 << 30, free=1, index=1),
            )
        )

    def test_a_newer_nvml_tells_more(self, driver_folder: Path) -> None:
        library(driver_folder, "libnvidia-ml.so.1", NVML.replace("INIT", "return 0;") + NEWER_NVML)
        assert probed()[2] == Gpus(
            (
                Gpu(
                    "NVIDIA H100",
                    (9, 0),
                    80 << 30,
                    free=1,
                    index=0,
                    mig=True,
                    mig_instances=2,
                    persistence=True,
                    compute_mode="exclusive",
                    processes=4,
                    memory_errors=5000000000,
                    remap_pending=True,
                    fabric=2,
                ),
                Gpu(
                    "NVIDIA L4",
                    (8, 9),
                    80 << 30,
                    free=1,
                    index=1,
                    persistence=False,
                    compute_mode="prohibited",
                    processes=0,
                    remap_pending=False,
                ),
            )
        )

    def test_a_lost_gpu_leaves_its_code_and_the_other_one(self, driver_folder: Path) -> None:
        lost = NVML.replace("INIT", "return 0;").replace("return i < 2 ? 0 : 2;", "return i == 0 ? 0 : 15;")
        library(driver_folder, "libnvidia-ml.so.1", lost)
        gpus = probed()[2]
        assert isinstance(gpus, Gpus)
        assert ([gpu.name for gpu in gpus.found], gpus.lost) == (["NVIDIA H100"], (15,))

    def test_libcuda_alone_shows_the_gpus_and_the_library_s_version(self, driver_folder: Path) -> None:
        library(driver_folder, "libcuda.so.570.195.03", CUDA.replace("CODE", "0"))
        (driver_folder / "libcuda.so.1").symlink_to("libcuda.so.570.195.03")
        libraries, driver, gpus = probed()
        assert gpus == Gpus((Gpu("NVIDIA L4", (8, 9), 24 << 30, index=0),), source="libcuda")
        assert driver == Driver(version=(570, 195, 3), cuda=(12, 8), source="libcuda")
        path = str(driver_folder / "libcuda.so.570.195.03")
        assert libraries == DriverLibraries(nvml_code=None, cuda_code=0, version=(570, 195, 3), cuda_path=path)

    def test_a_refusal_keeps_its_code(self, driver_folder: Path) -> None:
        library(driver_folder, "libnvidia-ml.so.1", NVML.replace("INIT", "return 18;"))
        library(driver_folder, "libcuda.so.1", CUDA.replace("CODE", "803"))
        libraries, driver, _ = probed()
        path = str(driver_folder / "libcuda.so.1")
        assert libraries == DriverLibraries(nvml_code=18, cuda_code=803, cuda_path=path)
        assert driver == Unknown("NVML says 18: library and kernel module have different versions")

    def test_a_crash_is_a_fact_and_not_the_doctor_s_end(self, driver_folder: Path) -> None:
        library(driver_folder, "libnvidia-ml.so.1", NVML.replace("INIT", "abort();"))
        libraries, _, _ = probed()
        assert libraries == Unknown("NVML crashed the process that asked it (exit -6)", looked=False)

    def test_a_hang_is_a_fact_too(self, driver_folder: Path) -> None:
        library(driver_folder, "libnvidia-ml.so.1", NVML.replace("INIT", "sleep(60); return 0;"))
        libraries, driver, gpus = probed()
        assert (
            libraries
            == driver
            == gpus
            == Unknown(
                "NVML: python3 gave no answer in 4 s".replace("python3", Path(sys.executable).name), looked=False
            )
        )


def fake_environment(folder: Path, torch: str) -> str:
    """Make an interpreter whose only packages are the ones written here; return its path."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next((folder / "lib").glob("python3.*/site-packages"))
    (site / "torch").mkdir()
    (site / "torch" / "version.py").write_text("__version__ = '2.11.0+cu130'\ncuda = '13.0'\n", encoding="utf-8")
    (site / "torch" / "__init__.py").write_text(torch, encoding="utf-8")
    for name in ("torch-2.11.0+cu130.dist-info", "nuscenes_devkit-1.2.0.dist-info", "Old.Style-1.0-py3.11.egg-info"):
        (site / name).mkdir()
    return str(folder / "bin" / "python")


class TestPackages:
    def test_are_read_without_importing_any(self, tmp_path: Path) -> None:
        python = fake_environment(tmp_path / "venv", "raise SystemExit('imported')")
        packages, torch = probe_python(LiveHost(), python, deep=False)[:2]
        assert not isinstance(packages, Unknown)
        assert packages.found == (("nuscenes-devkit", "1.2.0"), ("old-style", "1.0"), ("torch", "2.11.0+cu130"))
        assert not isinstance(torch, Unknown)
        assert (torch.version, torch.cuda, torch.imported) == ("2.11.0+cu130", (13, 0), None)

    def test_deep_quotes_why_torch_does_not_import(self, tmp_path: Path) -> None:
        python = fake_environment(tmp_path / "venv", "raise ImportError('libcudart.so.13: cannot open')")
        _, torch = probe_python(LiveHost(), python, deep=True)[:2]
        assert not isinstance(torch, Unknown)
        assert (torch.imported, torch.import_error) == (False, "ImportError: libcudart.so.13: cannot open")

    def test_deep_survives_a_torch_that_ends_the_process(self, tmp_path: Path) -> None:
        python = fake_environment(tmp_path / "venv", "import os; os.abort()")
        _, torch = probe_python(LiveHost(), python, deep=True)[:2]
        assert not isinstance(torch, Unknown)
        assert (torch.imported, torch.import_error) == (False, "exit -6")

    def test_an_interpreter_that_does_not_answer(self) -> None:
        packages, torch = probe_python(LiveHost(), "/bin/false", deep=False)[:2]
        assert packages == torch == Unknown("/bin/false does not answer: exit 1", looked=False)
