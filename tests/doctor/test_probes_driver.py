"""The driver room's probes on hosts written by hand: what they ask, what they make of it, and what they leave alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from doctor.facts import (
    CudaVariables,
    Disagreement,
    Disagreements,
    Dkms,
    DkmsBuild,
    Driver,
    Fabric,
    Gpu,
    Gpus,
    KernelModule,
    LibraryFile,
    LibraryFiles,
    ModuleFile,
    ModulePolicy,
    PciGpu,
    PciGpus,
    Unknown,
    Wsl,
)
from doctor.probes.driver import probe_driver
from doctor.probes.fabric import probe_fabric
from doctor.probes.kernel import SHIM_STATE, SIGNATURE_MARK, probe_module
from doctor.probes.library import probe_cuda_variables, probe_library_files, probe_wsl
from doctor.probes.pci import loaded_version, module_path, probe_kernel_module, probe_pci
from doctor.replay import Replay

if TYPE_CHECKING:
    from doctor.shell import Output

KERNEL = "6.8.0-87-generic"
OLD = "6.8.0-60-generic"
RELEASE = {"/proc/sys/kernel/osrelease": KERNEL + "\n"}
DKMS_FOLDERS = {
    "/var/lib/dkms": ["nvidia", "nvidia-fs", "zfs"],
    "/var/lib/dkms/nvidia": ["580.95.05", f"kernel-{OLD}-x86_64"],
    "/var/lib/dkms/nvidia/580.95.05": [OLD, "build", "source"],
    "/var/lib/dkms/nvidia-fs": ["2.26.6"],
    "/var/lib/dkms/nvidia-fs/2.26.6": [OLD],
    "/var/lib/dkms/zfs": ["2.2.2"],
    "/var/lib/dkms/zfs/2.2.2": [OLD],
}
BUILT_FOR_OLD = (DkmsBuild("nvidia", "580.95.05", OLD, "built"),)
LOADED = {**RELEASE, "/sys/module/nvidia/version": "580.95.05\n"}


class Watched(Replay):
    """A replayed host that remembers which programs were started."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document)
        self.started: list[str] = []

    def run(self, *words: str, timeout_s: float = 4.0) -> Output:
        self.started.append(" ".join(words))
        return super().run(*words, timeout_s=timeout_s)


def host(**document: Any) -> Watched:
    return Watched(document)


def said(text: str) -> dict[str, Any]:
    return {"code": 0, "out": text}


class TestModuleFile:
    FOLDER = f"/lib/modules/{KERNEL}/updates/dkms"
    PATH = f"{FOLDER}/nvidia.ko"

    def test_a_loaded_module_needs_no_look_at_its_file(self) -> None:
        machine = host(files=LOADED, folders={self.FOLDER: ["nvidia.ko"]})
        file, _, _ = probe_module(machine)
        assert file == Unknown("the module is loaded, so its file was accepted")
        assert machine.started == []

    def test_no_file(self) -> None:
        machine = host(files=RELEASE)
        assert probe_module(machine)[0] == Unknown("there is no module file for the running kernel")
        assert machine.started == []

    def test_modinfo_tells_signer_kind_and_version(self) -> None:
        text = "version: 580.95.05\nlicense: Dual MIT/GPL\nsig_id: PKCS#7\nsigner: A key\n"
        machine = host(
            files=RELEASE, folders={self.FOLDER: ["nvidia.ko"]}, commands={f"modinfo {self.PATH}": said(text)}
        )
        assert probe_module(machine)[0] == ModuleFile(
            path=self.PATH, signed=True, signer="A key", flavour="open", version=(580, 95, 5)
        )

    @pytest.mark.parametrize("field", ["signer: A key", "sig_id: PKCS#7"])
    def test_either_field_tells_of_a_signature(self, field: str) -> None:
        machine = host(
            files=RELEASE, folders={self.FOLDER: ["nvidia.ko"]}, commands={f"modinfo {self.PATH}": said(field)}
        )
        file = probe_module(machine)[0]
        assert isinstance(file, ModuleFile)
        assert file.signed is True

    def test_modinfo_tells_of_no_signature(self) -> None:
        machine = host(
            files=RELEASE,
            folders={self.FOLDER: ["nvidia.ko"]},
            commands={f"modinfo {self.PATH}": said("license: NVIDIA\n")},
            tails={self.PATH: SIGNATURE_MARK},
        )
        assert probe_module(machine)[0] == ModuleFile(path=self.PATH, signed=False, flavour="proprietary")

    @pytest.mark.parametrize(("end", "signed"), [(SIGNATURE_MARK, True), ("x" * 28, False), (None, None)])
    def test_without_modinfo_the_end_of_the_file_tells(self, end: str | None, signed: bool | None) -> None:  # noqa: FBT001
        tails = {} if end is None else {self.PATH: "\x00" * 9 + end}
        machine = host(files=RELEASE, folders={self.FOLDER: ["nvidia.ko"]}, tails=tails)
        assert probe_module(machine)[0] == ModuleFile(path=self.PATH, signed=signed)

    def test_the_end_of_a_compressed_file_tells_nothing(self) -> None:
        path = self.PATH + ".zst"
        machine = host(files=RELEASE, folders={self.FOLDER: ["nvidia.ko.zst"]}, tails={path: "x" * 28})
        assert probe_module(machine)[0] == ModuleFile(path=path)

    @pytest.mark.parametrize(
        ("folder", "name"),
        [
            ("updates/dkms", "nvidia.ko.zst"),
            ("extra/nvidia", "nvidia.ko.xz"),
            ("kernel/nvidia-570", "nvidia.ko"),
            ("updates/dkms", "nvidia-current.ko"),
            ("updates/dkms", "nvidia-current-open.ko"),
        ],
    )
    def test_where_distributions_put_it(self, folder: str, name: str) -> None:
        folders = {f"/lib/modules/{KERNEL}/{folder}": [name], f"/lib/modules/{KERNEL}/kernel": ["nvidia-570", "sound"]}
        assert module_path(host(folders=folders), KERNEL) == f"/lib/modules/{KERNEL}/{folder}/{name}"

    def test_the_other_modules_are_not_it(self) -> None:
        folders = {self.FOLDER: ["nvidia-uvm.ko", "nvidia-drm.ko", "nvidiafb.ko"]}
        assert module_path(host(folders=folders), KERNEL) == ""
        assert module_path(host(folders={"/lib/modules//updates/dkms": ["nvidia.ko"]}), "") == ""


class TestPolicy:
    @pytest.mark.parametrize(
        ("files", "policy"),
        [
            (
                {"/sys/kernel/security/lockdown": "none [integrity] confidentiality\n"},
                ModulePolicy(lockdown="integrity"),
            ),
            ({"/sys/module/module/parameters/sig_enforce": "Y\n"}, ModulePolicy(sig_enforce=True)),
            ({"/sys/module/module/parameters/sig_enforce": "N\n"}, ModulePolicy()),
            ({SHIM_STATE: "\x06\x00\x00\x00\x01"}, ModulePolicy(shim_off=True)),
            ({SHIM_STATE: "\x06\x00\x00\x00\x00"}, ModulePolicy()),
            ({}, Unknown("the kernel does not show its lockdown state")),
        ],
    )
    def test_is_two_files(self, files: dict[str, str], policy: ModulePolicy | Unknown) -> None:
        assert probe_module(host(files=files))[1] == policy


class TestDkms:
    def test_is_not_there(self) -> None:
        machine = host(files=RELEASE, folders={"/var/lib/dkms": ["zfs"]})
        assert probe_module(machine)[2] == Unknown("DKMS does not hold an NVIDIA module")
        assert machine.started == []

    def test_a_loaded_module_starts_no_program(self) -> None:
        machine = host(files=LOADED, folders=DKMS_FOLDERS, access={f"/lib/modules/{KERNEL}/build": "r"})
        assert probe_module(machine)[2] == Dkms(builds=BUILT_FOR_OLD, headers=True)
        assert machine.started == []

    def test_a_module_on_disk_starts_no_dkms_either(self) -> None:
        folders = {**DKMS_FOLDERS, f"/lib/modules/{KERNEL}/updates/dkms": ["nvidia.ko"]}
        machine = host(files=RELEASE, folders=folders)
        assert probe_module(machine)[2] == Dkms(builds=BUILT_FOR_OLD, headers=False)
        assert not any(command.startswith("dkms") for command in machine.started)

    def test_its_own_words_where_the_module_is_absent(self) -> None:
        text = f"nvidia/580.95.05, {OLD}, x86_64: installed\n"
        machine = host(files=RELEASE, folders=DKMS_FOLDERS, commands={"dkms status": said(text)})
        assert probe_module(machine)[2] == Dkms(
            builds=(DkmsBuild("nvidia", "580.95.05", OLD, "installed"),), headers=False
        )

    def test_the_folders_speak_where_dkms_does_not(self) -> None:
        assert probe_module(host(files=RELEASE, folders=DKMS_FOLDERS))[2] == Dkms(builds=BUILT_FOR_OLD, headers=False)

    @pytest.mark.parametrize(("kernel", "error"), [(KERNEL, "nv.c:1: error: no"), (OLD, "")], ids=["this", "another"])
    def test_the_log_of_the_last_build_counts_for_the_running_kernel(self, kernel: str, error: str) -> None:
        log = f"DKMS make.log for nvidia-580.95.05 for kernel {kernel} (x86_64)\nnv.c:1: error: no\n"
        files = {**RELEASE, "/var/lib/dkms/nvidia/580.95.05/build/make.log": log}
        assert probe_module(host(files=files, folders=DKMS_FOLDERS))[2] == Dkms(
            builds=BUILT_FOR_OLD, headers=False, error=error
        )

    def test_a_version_that_was_only_added(self) -> None:
        folders = {**DKMS_FOLDERS, "/var/lib/dkms/nvidia/580.95.05": ["source"]}
        found = probe_module(host(files=RELEASE, folders=folders))[2]
        assert found == Dkms(builds=(DkmsBuild("nvidia", "580.95.05", "", "added"),), headers=False)


class TestKernelModule:
    def test_prime_blacklist_and_kind(self) -> None:
        files = {"/etc/prime-discrete": "off\n", "/lib/modprobe.d/blacklist-nvidia.conf": "blacklist nvidia\n"}
        machine = host(files=files, folders={"/lib/modprobe.d": ["a.conf", "blacklist-nvidia.conf"]})
        assert probe_kernel_module(machine) == KernelModule(
            loaded=None, prime="off", blacklisted_in="/lib/modprobe.d/blacklist-nvidia.conf"
        )

    def test_a_loaded_module_is_not_blacklisted(self) -> None:
        nvrm = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n"
        files = {"/proc/driver/nvidia/version": nvrm, "/etc/modprobe.d/nvidia.conf": "blacklist nvidia\n"}
        machine = host(files=files, folders={"/etc/modprobe.d": ["nvidia.conf"]})
        assert probe_kernel_module(machine) == KernelModule(loaded=(580, 95, 5), flavour="open")

    @pytest.mark.parametrize("name", ["blacklist.conf", "disable-gpu.conf", "nvidia.conf"])
    def test_a_blacklist_may_stand_in_a_file_of_any_name(self, name: str) -> None:
        path = f"/etc/modprobe.d/{name}"
        machine = host(files={path: "blacklist nvidia\n"}, folders={"/etc/modprobe.d": [name]})
        assert probe_kernel_module(machine).blacklisted_in == path

    def test_nodes_that_this_user_cannot_open(self) -> None:
        names = ["nvidia-caps", "nvidia-uvm", "nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvram"]
        access = {"/dev/nvidia-uvm": "rw", "/dev/nvidia0": "r", "/dev/nvidia1": "w", "/dev/nvidia2": "rw"}
        access["/dev/nvidiactl"] = ""
        found = probe_kernel_module(host(folders={"/dev": names}, access=access))
        assert found.nodes == ("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidia1", "/dev/nvidia2", "/dev/nvidiactl")
        assert found.closed_nodes == ("/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl")
        assert found.caps

    def test_the_version_of_the_loaded_module_stands_in_sys_or_proc(self) -> None:
        nvrm = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.135  Fri Jan 10 20:00:00 UTC 2025\n"
        assert loaded_version(host(files={"/proc/driver/nvidia/version": nvrm})) == (550, 135)
        assert loaded_version(host(files=LOADED)) == (580, 95, 5)
        assert loaded_version(host()) is None


class TestBus:
    PCI = "/sys/bus/pci/devices"

    def bus(self, vendor: str, kind: str, device: str) -> PciGpus | Unknown:
        folder = f"{self.PCI}/0000:01:00.0"
        files = {f"{folder}/vendor": vendor, f"{folder}/class": kind, f"{folder}/device": device}
        links = {f"{folder}/driver": "/sys/bus/pci/drivers/nvidia"}
        return probe_pci(host(files=files, folders={self.PCI: ["0000:00:00.0", "0000:01:00.0"]}, links=links))

    @pytest.mark.parametrize("kind", ["0x030000\n", "0x030200\n"])
    def test_a_gpu_of_the_table(self, kind: str) -> None:
        assert self.bus("0x10de\n", kind, "0x2684\n") == PciGpus(
            (PciGpu("0000:01:00.0", "2684", "nvidia", "GeForce RTX 4090", (8, 9)),)
        )

    def test_a_gpu_newer_than_the_table(self) -> None:
        assert self.bus("0x10de\n", "0x030000\n", "0x3f01\n") == PciGpus((PciGpu("0000:01:00.0", "3f01", "nvidia"),))

    @pytest.mark.parametrize(
        ("vendor", "kind"), [("0x1002\n", "0x030000\n"), ("0x10de\n", "0x040300\n"), ("0x10de\n", "0x068000\n")]
    )
    def test_what_is_no_gpu_of_nvidia(self, vendor: str, kind: str) -> None:
        assert self.bus(vendor, kind, "0x2684\n") == PciGpus(())

    def test_no_bus_to_be_seen(self) -> None:
        assert isinstance(probe_pci(host()), Unknown)


class TestFabric:
    PCI = "/sys/bus/pci/devices"
    SWITCH: ClassVar = {f"{PCI}/0000:c4:00.0/vendor": "0x10de\n", f"{PCI}/0000:c4:00.0/class": "0x068000\n"}
    FOLDERS: ClassVar = {PCI: ["0000:00:00.0", "0000:c4:00.0"]}

    @pytest.mark.parametrize(
        "files",
        [
            {},
            {**SWITCH, f"{PCI}/0000:c4:00.0/vendor": "0x8086\n"},
            {**SWITCH, f"{PCI}/0000:c4:00.0/class": "0x030200\n"},
        ],
        ids=["nothing", "another maker's bridge", "a GPU"],
    )
    def test_no_switch_starts_no_program(self, files: dict[str, str]) -> None:
        machine = host(files=files, folders=self.FOLDERS, programs={"nv-fabricmanager": "/usr/bin/nv-fabricmanager"})
        assert probe_fabric(machine) == Unknown("no NVSwitch on the PCI bus")
        assert machine.started == []

    def test_its_process_lives(self) -> None:
        files = {**self.SWITCH, "/run/nvidia-fabricmanager/nv-fabricmanager.pid": "812\n"}
        machine = host(files=files, folders=self.FOLDERS, access={"/proc/812": "r"})
        assert probe_fabric(machine) == Fabric(switches=1, active=True)
        assert machine.started == []

    @pytest.mark.parametrize("pid", ["812\n", "../../etc\n", ""])
    def test_its_process_is_gone_and_systemd_is_asked(self, pid: str) -> None:
        files = {**self.SWITCH, "/run/nvidia-fabricmanager/nv-fabricmanager.pid": pid}
        commands = {"systemctl is-active nvidia-fabricmanager": {"code": 3, "out": "failed\n"}}
        assert probe_fabric(host(files=files, folders=self.FOLDERS, commands=commands)) == Fabric(
            switches=1, active=False
        )

    def test_its_version_where_it_is_installed(self) -> None:
        machine = host(
            files=self.SWITCH,
            folders=self.FOLDERS,
            programs={"nv-fabricmanager": "/usr/bin/nv-fabricmanager"},
            commands={"/usr/bin/nv-fabricmanager --version": said("Fabric Manager version is : 580.95.05\n")},
        )
        assert probe_fabric(machine) == Fabric(switches=1, active=None, version=(580, 95, 5))


class TestLibraries:
    def test_the_usual_folders(self) -> None:
        folders = {"/usr/lib64": ["libcuda.so", "libcuda.so.1", "libcuda.so.580.95.05", "libc.so.6"]}
        found = probe_library_files(host(folders=folders))
        assert found == LibraryFiles(found=(LibraryFile("/usr/lib64/libcuda.so.580.95.05", (580, 95, 5)),))

    def test_stubs_and_compat_of_the_user_s_path(self) -> None:
        folders = {
            "/t/lib64/stubs": ["libcuda.so"],
            "/t/compat": ["libcuda.so.1"],
            "/conda/lib": ["libcuda.so.1"],
            "/conda/cuda-compat": ["libcuda.so.1"],
            "/incompatible": ["libcuda.so.1"],
            "/empty/stubs": ["libcublas.so"],
        }
        path = ":/t/lib64/stubs/:/t/compat:/conda/lib:/conda/cuda-compat:/incompatible:/empty/stubs:/t/compat"
        found = probe_library_files(host(folders=folders, variables={"LD_LIBRARY_PATH": path}))
        assert found == LibraryFiles(
            stub_folders=("/t/lib64/stubs",), compat_folders=("/t/compat", "/conda/cuda-compat")
        )

    @pytest.mark.parametrize("folder", ["/t/lib64/stubs", "/t/compat"])
    def test_one_such_folder_is_enough_to_tell_of(self, folder: str) -> None:
        machine = host(folders={folder: ["libcuda.so"]}, variables={"LD_LIBRARY_PATH": folder})
        assert isinstance(probe_library_files(machine), LibraryFiles)

    def test_nothing(self) -> None:
        assert probe_library_files(host()) == Unknown("no driver library stands in the usual folders")


class TestVariables:
    def test_empty_is_not_the_same_as_not_set(self) -> None:
        assert probe_cuda_variables(host(variables={"CUDA_VISIBLE_DEVICES": ""})) == CudaVariables(visible="")
        assert probe_cuda_variables(host()) == CudaVariables(visible=None)

    def test_order_and_job(self) -> None:
        variables = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "SLURM_JOB_ID": "42", "CUDA_VISIBLE_DEVICES": "1,0"}
        found = probe_cuda_variables(host(variables=variables))
        assert found == CudaVariables(visible="1,0", order="PCI_BUS_ID", in_job=True)
        assert found.chosen == ("1", "0")


class TestWsl:
    def test_a_linux_machine_is_none(self) -> None:
        assert probe_wsl(host(files=RELEASE)) == Unknown("this is not WSL")

    def test_the_windows_driver_and_a_linux_one_beside_it(self) -> None:
        files = {"/proc/sys/kernel/osrelease": "6.6.87.2-microsoft-standard-WSL2\n"}
        folders = {
            "/usr/lib/wsl/lib": ["libcuda.so.1"],
            "/usr/lib/x86_64-linux-gnu": ["libcuda.so.1", "libcuda.so.580.95.05"],
        }
        assert probe_wsl(host(files=files, folders=folders)) == Wsl(
            generation=2,
            kernel=(6, 6, 87, 2),
            has_library=True,
            intruders=("/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05",),
        )


NVML_KEY, CUDA_KEY = "nvml.py /usr/bin/python3", "libcuda.py /usr/bin/python3"
L4 = {"index": 0, "name": "NVIDIA L4", "capability": [8, 9], "memory": 24 << 30}


def answering(nvml: dict[str, Any], cuda: dict[str, Any], **document: Any) -> Watched:
    commands = {NVML_KEY: said(json.dumps(nvml)), CUDA_KEY: said(json.dumps(cuda)), **document.pop("commands", {})}
    return host(commands=commands, **document)


class TestSources:
    GOOD: ClassVar = {"code": 0, "driver": "580.95.05", "cuda": 13000, "gpus": [L4]}
    CUDA: ClassVar = {"code": 0, "cuda": 13000, "gpus": [L4]}

    def test_all_agree_and_no_nvidia_smi_is_started(self) -> None:
        machine = answering(
            self.GOOD,
            self.CUDA,
            files={**LOADED, "/proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t NVIDIA L4\n"},
            folders={"/proc/driver/nvidia/gpus": ["0000:01:00.0"]},
            programs={"nvidia-smi": "/usr/bin/nvidia-smi"},
        )
        _, driver, gpus, disagreements = probe_driver(machine)
        assert driver == Driver(version=(580, 95, 5), cuda=(13, 0), source="NVML")
        assert gpus == Gpus((Gpu("NVIDIA L4", (8, 9), 24 << 30, index=0),))
        assert disagreements == Disagreements()
        assert machine.started == []

    def test_the_kernel_and_libcuda_say_otherwise(self) -> None:
        cuda = {**self.CUDA, "cuda": 12080}
        files = {
            "/sys/module/nvidia/version": "570.172.08\n",
            "/proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: NVIDIA L4\n",
            "/proc/driver/nvidia/gpus/0000:02:00.0/information": "Model: NVIDIA T4\n",
        }
        folders = {"/proc/driver/nvidia/gpus": ["0000:01:00.0", "0000:02:00.0"]}
        found = probe_driver(answering(self.GOOD, cuda, files=files, folders=folders))[3]
        assert found == Disagreements(
            (
                Disagreement("driver version", (("NVML", "580.95.05"), ("kernel module", "570.172.08"))),
                Disagreement("newest CUDA", (("NVML", "13.0"), ("libcuda", "12.8"))),
                Disagreement("number of GPUs", (("NVML", "1"), ("kernel module", "2"))),
            )
        )

    def test_the_libcuda_that_programs_get_says_which_cuda_runs(self) -> None:
        older = {**self.GOOD, "cuda": 12040}
        assert probe_driver(answering(older, self.CUDA))[1] == Driver(version=(580, 95, 5), cuda=(13, 0), source="NVML")
        refused = {"code": 804, "cuda": 13000}
        assert probe_driver(answering(older, refused))[1] == Driver(version=(580, 95, 5), cuda=(12, 4), source="NVML")

    def test_equal_numbers_under_other_names(self) -> None:
        files = {"/proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: NVIDIA T4\n"}
        folders = {"/proc/driver/nvidia/gpus": ["0000:01:00.0"]}
        found = probe_driver(answering(self.GOOD, self.CUDA, files=files, folders=folders))[3]
        names = Disagreement("names of the GPUs", (("NVML", "NVIDIA L4"), ("kernel module", "NVIDIA T4")))
        assert found == Disagreements((names,))

    def test_what_libcuda_shows_is_the_user_s_choice(self) -> None:
        nvml = {**self.GOOD, "gpus": [L4, {**L4, "index": 1}]}
        assert probe_driver(answering(nvml, self.CUDA))[3] == Disagreements()

    def test_one_source_cannot_disagree(self) -> None:
        nothing = Unknown("no two sources about the driver answer the same question")
        assert probe_driver(answering({"code": None}, {"code": 100, "cuda": 13000}, files=LOADED))[3] == nothing

    def test_a_gpu_that_nvml_cannot_open_is_kept_by_its_code(self) -> None:
        nvml = {**self.GOOD, "gpus": [L4, {"index": 1, "code": 15}]}
        gpus = probe_driver(answering(nvml, self.CUDA))[2]
        assert isinstance(gpus, Gpus)
        assert (len(gpus.found), gpus.lost) == (1, (15,))

    def test_the_module_is_believed_before_nvidia_smi(self) -> None:
        smi = "<log><driver_version>570.172.08</driver_version><cuda_version>12.8</cuda_version></log>"
        machine = answering(
            {"code": None},
            self.CUDA,
            files=LOADED,
            programs={"nvidia-smi": "/opt/bin/nvidia-smi"},
            commands={"nvidia-smi -q -x": said(smi)},
        )
        _, driver, gpus, disagreements = probe_driver(machine)
        assert driver == Driver(version=(580, 95, 5), cuda=(13, 0), source="libcuda")
        assert isinstance(gpus, Gpus)
        assert isinstance(disagreements, Disagreements)
        assert gpus.source == "libcuda"
        assert [one.what for one in disagreements.found] == ["driver version", "newest CUDA"]

    def test_a_module_alone_is_no_driver_that_answers(self) -> None:
        driver = probe_driver(answering({"code": 9}, {"code": 100}, files=LOADED))[1]
        assert driver == Unknown("NVML says 9: the kernel module is not loaded")
