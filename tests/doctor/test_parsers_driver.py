"""The parsers of the driver's room on text in the tools' real formats, and on any text: none of them fails.

Formats: nvidia-smi's XML as public tools keep it in their tests (nvsmi_device_v12), dkms 2 and 3, modinfo, modprobe.d.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.facts import DkmsBuild, Flavour, Gpu
from doctor.probes.driver import cuda_of, parse_child, parse_proc_gpu
from doctor.probes.fabric import parse_active, parse_fabric_version
from doctor.probes.kernel import parse_dkms_status, parse_lockdown, parse_make_log, parse_modinfo
from doctor.probes.library import parse_library_name, parse_wsl_kernel
from doctor.probes.pci import parse_blacklist, parse_flavour
from doctor.probes.smi import parse_smi_banner, parse_smi_query, parse_smi_xml

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
GPU_XML = """\t<gpu id="00000000:3B:00.0">
\t\t<product_name>NVIDIA A100 80GB PCIe</product_name>
\t\t<persistence_mode>Enabled</persistence_mode>
\t\t<mig_mode>
\t\t\t<current_mig>Enabled</current_mig>
\t\t\t<pending_mig>Enabled</pending_mig>
\t\t</mig_mode>
\t\t<mig_devices>
\t\t\t<mig_device><index>0</index><fb_memory_usage><total>9856 MiB</total></fb_memory_usage></mig_device>
\t\t\t<mig_device><index>1</index><fb_memory_usage><total>9856 MiB</total></fb_memory_usage></mig_device>
\t\t</mig_devices>
\t\t<pci>
\t\t\t<pci_device>20B5</pci_device>
\t\t\t<pci_device_id>20B510DE</pci_device_id>
\t\t</pci>
\t\t<fb_memory_usage>
\t\t\t<total>81920 MiB</total>
\t\t\t<reserved>557 MiB</reserved>
\t\t\t<used>0 MiB</used>
\t\t\t<free>81362 MiB</free>
\t\t</fb_memory_usage>
\t\t<compute_mode>Exclusive_Process</compute_mode>
\t</gpu>
"""
HEAD_XML = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
\t<timestamp>Fri Oct 11 18:24:09 2024</timestamp>
\t<driver_version>535.129.03</driver_version>
\t<cuda_version>12.2</cuda_version>
\t<attached_gpus>1</attached_gpus>
"""
SMI_XML = HEAD_XML + GPU_XML + "</nvidia_smi_log>\n"
DKMS_3 = (
    "nvidia/580.95.05, 6.8.0-60-generic, x86_64: installed\nnvidia/580.95.05: added\n"
    "zfs/2.2.2, 6.8.0-60-generic, x86_64: installed\n"
)
DKMS_2 = (
    "nvidia, 535.129.03, 5.15.0-91-generic, x86_64: installed (WARNING! Diff between built and installed module!)\n"
)
MODINFO = (
    "filename:       /lib/modules/6.8.0-87-generic/updates/dkms/nvidia.ko.zst\n"
    "version:        580.95.05\nlicense:        Dual MIT/GPL\n"
    "vermagic:       6.8.0-87-generic SMP preempt mod_unload modversions \n"
    "sig_id:         PKCS#7\nsigner:         Secure Boot Module Signature key\nsignature:      30:82\n\t\t02:AB\n"
)
MAKE_LOG = (
    "DKMS make.log for nvidia-550.90.07 for kernel 6.5.0-41-generic (x86_64)\n"
    "make[1]: Entering directory '/usr/src/linux-headers-6.5.0-41-generic'\n"
    "cc: error: unrecognized command-line option '-ftrivial-auto-var-init=zero'\n"
    "make[3]: *** [scripts/Makefile.build:251: nvidia/nv.o] Error 1\n"
)
PROC_GPU = "Model: \t\t NVIDIA GeForce RTX 4090\nIRQ:   \t\t 178\nGPU UUID: \t GPU-0\nVideo BIOS: \t 95.02.3c.40.b8\n"
NVRM_OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder@U22)\n"
NVRM_PROPRIETARY = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.135  Fri Jan 10 20:00:00 UTC 2025\n"


class TestSmiXml:
    def test_a_gpu_cut_in_two(self) -> None:
        gpus, driver, cuda = parse_smi_xml(SMI_XML)
        assert (driver, cuda) == ((535, 129, 3), (12, 2))
        assert gpus == (
            Gpu(
                "NVIDIA A100 80GB PCIe",
                (8, 0),
                81920 * MIB,
                free=81362 * MIB,
                index=0,
                mig=True,
                mig_instances=2,
                persistence=True,
                compute_mode="exclusive",
            ),
        )

    def test_mig_without_instances_and_mig_off(self) -> None:
        cut = SMI_XML.split("<mig_devices>")[0] + "<mig_devices>None</mig_devices>" + SMI_XML.split("</mig_devices>")[1]
        assert [gpu.mig_instances for gpu in parse_smi_xml(cut)[0]] == [0]
        off = SMI_XML.replace("<current_mig>Enabled", "<current_mig>Disabled")
        assert [(gpu.mig, gpu.mig_instances) for gpu in parse_smi_xml(off)[0]] == [(False, None)]
        unable = SMI_XML.replace("<current_mig>Enabled", "<current_mig>N/A")
        assert [(gpu.mig, gpu.mig_instances) for gpu in parse_smi_xml(unable)[0]] == [(None, None)]

    def test_two_gpus_keep_their_order(self) -> None:
        other = GPU_XML.replace("20B510DE", "233010DE").replace("NVIDIA A100 80GB PCIe", "NVIDIA H100 80GB HBM3")
        gpus, _, _ = parse_smi_xml(HEAD_XML + GPU_XML + other + "</nvidia_smi_log>")
        assert [(gpu.name, gpu.index, gpu.capability) for gpu in gpus] == [
            ("NVIDIA A100 80GB PCIe", 0, (8, 0)),
            ("NVIDIA H100 80GB HBM3", 1, (9, 0)),
        ]

    def test_the_second_generation_names_its_versions_otherwise(self) -> None:
        text = SMI_XML.replace("driver_version", "kmd_version").replace("cuda_version", "cuda_umd_version")
        assert parse_smi_xml(text)[1:] == ((535, 129, 3), (12, 2))

    def test_a_gpu_that_the_table_does_not_know_has_no_capability_to_tell(self) -> None:
        assert parse_smi_xml(SMI_XML.replace("20B510DE", "3FFF10DE"))[0] == ()

    def test_a_gpu_without_a_name_takes_the_table_s(self) -> None:
        text = SMI_XML.replace("<product_name>NVIDIA A100 80GB PCIe</product_name>", "<product_name></product_name>")
        assert [gpu.name for gpu in parse_smi_xml(text)[0]] == ["A100 PCIe 80GB"]

    def test_persistence_and_what_it_does_not_say(self) -> None:
        off = SMI_XML.replace("<persistence_mode>Enabled", "<persistence_mode>Disabled")
        assert [gpu.persistence for gpu in parse_smi_xml(off)[0]] == [False]
        unable = SMI_XML.replace("<persistence_mode>Enabled", "<persistence_mode>N/A")
        assert [gpu.persistence for gpu in parse_smi_xml(unable)[0]] == [None]

    def test_a_gpu_inside_a_gpu_is_none(self) -> None:
        text = SMI_XML.replace("<compute_mode>", "<gpu><product_name>x</product_name></gpu><compute_mode>")
        assert len(parse_smi_xml(text)[0]) == 1

    def test_memory_that_is_not_told(self) -> None:
        text = SMI_XML.replace("81920 MiB", "N/A").replace("81362 MiB", "[Not Supported]")
        assert [(gpu.memory, gpu.free) for gpu in parse_smi_xml(text)[0]] == [(None, None)]

    @pytest.mark.parametrize(
        "declared",
        [
            '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">',
            '<!ENTITY file SYSTEM "file:///etc/passwd">',
            '<!ENTITY % remote SYSTEM "http://example.invalid/x.dtd">',
        ],
    )
    def test_a_document_that_declares_an_entity_is_refused(self, declared: str) -> None:
        text = SMI_XML.replace('SYSTEM "nvsmi_device_v12.dtd"', f"[{declared}]")
        assert parse_smi_xml(text) == ((), None, None)

    def test_a_document_that_is_too_deep_is_refused(self) -> None:
        deep = "<a>" * 40 + "</a>" * 40
        assert parse_smi_xml(SMI_XML.replace("<attached_gpus>1</attached_gpus>", deep)) == ((), None, None)

    def test_a_document_that_is_cut_short_is_refused(self) -> None:
        assert parse_smi_xml(SMI_XML[:-30]) == ((), None, None)
        assert parse_smi_xml(SMI_XML + " " * MIB) == parse_smi_xml(SMI_XML)
        assert parse_smi_xml(HEAD_XML + " " * MIB + GPU_XML + "</nvidia_smi_log>") == ((), None, None)


def test_the_model_in_proc() -> None:
    assert parse_proc_gpu(PROC_GPU) == "NVIDIA GeForce RTX 4090"
    assert parse_proc_gpu("Model: \t\t\nIRQ: 5\n") == ""
    assert parse_proc_gpu("IRQ: 5") == ""


@pytest.mark.parametrize(
    ("number", "version"), [(999, None), (1000, (1, 0)), (999990, (999, 99)), (1000000, None), (13010, (13, 1))]
)
def test_the_bounds_of_what_a_driver_may_say_of_cuda(number: int, version: tuple[int, int] | None) -> None:
    assert cuda_of(number) == version


@pytest.mark.parametrize(
    ("text", "flavour"), [(NVRM_OPEN, "open"), (NVRM_PROPRIETARY, "proprietary"), ("GCC version: 12", ""), ("", "")]
)
def test_the_kind_of_module(text: str, flavour: Flavour) -> None:
    assert parse_flavour(text) == flavour


@pytest.mark.parametrize(
    "text",
    ["blacklist nvidia\n", "# no\n  blacklist\tnvidia \n", "alias nvidia off\n", "install nvidia /bin/false\n"],
)
def test_a_file_that_forbids_the_module(text: str) -> None:
    assert parse_blacklist(text)


@pytest.mark.parametrize(
    "text",
    [
        "# blacklist nvidia\n",
        "blacklist nvidiafb\n",
        "blacklist nvidia-drm\n",
        "blacklist nouveau\n",
        "options nvidia NVreg_PreserveVideoMemoryAllocations=1\n",
        "install nvidia /sbin/modprobe --ignore-install nvidia && modprobe nvidia-uvm\n",
        "",
    ],
)
def test_a_file_that_does_not(text: str) -> None:
    assert not parse_blacklist(text)


def test_dkms_of_both_releases() -> None:
    assert parse_dkms_status(DKMS_3) == (
        DkmsBuild("nvidia", "580.95.05", "6.8.0-60-generic", "installed"),
        DkmsBuild("nvidia", "580.95.05", "", "added"),
    )
    assert parse_dkms_status("nvidia/1.0, 6.1: built\n") == (DkmsBuild("nvidia", "1.0", "6.1", "built"),)
    assert parse_dkms_status(DKMS_2) == (DkmsBuild("nvidia", "535.129.03", "5.15.0-91-generic", "installed"),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Error! Could not locate dkms.conf file.",
        "nvidia: installed",
        "nvidia/1, a, b, c, d: installed",
        "nvidia/1: 50%",
    ],
)
def test_what_dkms_does_not_say(text: str) -> None:
    assert parse_dkms_status(text) == ()


def test_the_fields_of_modinfo() -> None:
    fields = parse_modinfo(MODINFO)
    assert fields["license"] == "Dual MIT/GPL"
    assert fields["signer"] == "Secure Boot Module Signature key"
    assert fields["signature"] == "30:82"
    assert "02" not in fields
    assert parse_modinfo("modinfo: ERROR: Module nvidia not found.")["modinfo"] == "ERROR: Module nvidia not found."
    assert parse_modinfo("name: a\nname: b\n") == {"name": "a"}


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("none [integrity] confidentiality\n", "integrity"),
        ("[none] integrity confidentiality\n", "none"),
        ("", ""),
        ("none", ""),
    ],
)
def test_the_mode_of_lockdown(text: str, mode: str) -> None:
    assert parse_lockdown(text) == mode


def test_the_cause_in_a_make_log() -> None:
    assert parse_make_log(MAKE_LOG) == "cc: error: unrecognized command-line option '-ftrivial-auto-var-init=zero'"
    assert parse_make_log("nv.c:3:10: fatal error: linux/x.h: No such file\n").startswith("nv.c:3:10: fatal error:")
    assert parse_make_log("make[1]: *** error: Error 2\nall well\n") == ""
    assert len(parse_make_log("x: error: " + "y" * 999)) == 300


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Fabric Manager version is : 580.95.05\n", (580, 95, 5)),
        ("\n\n\tFabric Manager version is : 535.161.08\n", (535, 161, 8)),
        ("command not found", None),
    ],
)
def test_the_version_of_the_fabric_manager(text: str, version: tuple[int, ...] | None) -> None:
    assert parse_fabric_version(text) == version


@pytest.mark.parametrize(
    ("text", "active"),
    [("active\n", True), ("inactive\n", False), ("failed\n", False), ("activating\n", False), ("unknown\n", None)],
)
def test_the_state_of_a_service(text: str, active: bool | None) -> None:  # noqa: FBT001 — a table
    assert parse_active(text) is active


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("libcuda.so.580.95.05", (580, 95, 5)),
        ("libnvidia-ml.so.550.135", (550, 135)),
        ("libcuda.so.1", None),
        ("libcuda.so.1.1", None),
        ("libcuda.so", None),
        ("libcudart.so.13.0.88", None),
        ("libcuda.so.580.95.05.bak", None),
    ],
)
def test_the_version_in_a_library_s_name(name: str, version: tuple[int, ...] | None) -> None:
    assert parse_library_name(name) == version


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("6.6.87.2-microsoft-standard-WSL2\n", (2, (6, 6, 87, 2))),
        ("4.19.128-microsoft-standard", (2, (4, 19, 128))),
        ("5.10.16.3-Microsoft-custom-WSL2", (2, (5, 10, 16, 3))),
        ("4.4.0-19041-Microsoft", (1, (4, 4, 0))),
        ("6.8.0-87-generic", None),
        ("microsoft", None),
        ("", None),
    ],
)
def test_the_kernel_of_wsl(text: str, known: tuple[int, tuple[int, ...]] | None) -> None:
    assert parse_wsl_kernel(text) == known


PARSERS: tuple[Callable[[str], object], ...] = (
    parse_smi_banner,
    parse_smi_query,
    parse_smi_xml,
    parse_proc_gpu,
    parse_flavour,
    parse_blacklist,
    parse_dkms_status,
    parse_modinfo,
    parse_lockdown,
    parse_make_log,
    parse_fabric_version,
    parse_active,
    parse_library_name,
    parse_wsl_kernel,
    lambda text: parse_child(text, "NVML"),
)
NVML_ANSWER = (
    '{"code": 0, "driver": "580.95.05", "cuda": 13000, "library": "/l/libnvidia-ml.so.580.95.05", "gpus": [{"index": 0,'
    ' "name": "NVIDIA L4", "capability": [8, 9], "memory": 25, "free": 5, "mig": true, "mig_instances": 0,'
    ' "compute_mode": 3, "fabric": 3}, {"index": 1, "code": 15}]}'
)
SAMPLES = (SMI_XML, DKMS_3, DKMS_2, MODINFO, MAKE_LOG, PROC_GPU, NVRM_OPEN, NVRM_PROPRIETARY, NVML_ANSWER)
SPLICES = (
    "",
    "\x00",
    "\ud800",
    "²",
    "٣",
    "9" * 400,
    "<",
    ">",
    "&a;",
    "]]>",
    ":",
    ",",
    "/",
    "\n",
    "-1",
    "1e999",
    "null",
)


def spoilt(sample: str, seed: int) -> str:
    """Return a sample with a few pieces cut out, doubled or replaced."""
    dice = random.Random(seed)  # noqa: S311 — not a secret
    for _ in range(dice.randint(1, 4)):
        start, length = dice.randrange(len(sample) + 1), dice.randint(0, 12)
        piece = dice.choice((*SPLICES, sample[start : start + length] * 2))
        sample = sample[:start] + piece + sample[start + length :]
    return sample


@given(st.text(max_size=300))
def test_no_parser_fails_on_any_text(text: str) -> None:
    for parse in PARSERS:
        parse(text)


@given(st.sampled_from(SAMPLES), st.integers(0, 1 << 32))
def test_no_parser_fails_on_spoilt_output(sample: str, seed: int) -> None:
    for parse in PARSERS:
        parse(spoilt(sample, seed))
