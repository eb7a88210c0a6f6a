"""DRV, kernel side: each rule fires on its fault and stays silent beside it."""

from __future__ import annotations

import pytest

from doctor.facts import (
    Dkms,
    DkmsBuild,
    Flavour,
    KernelModule,
    ModuleFile,
    ModulePolicy,
    PciGpu,
    PciGpus,
    System,
    Unknown,
)
from doctor.rules import kernel, signing

KERNEL = "6.8.0-87-generic"
OLD_KERNEL = "6.8.0-60-generic"
UBUNTU = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu 22.04.5 LTS", secure_boot=False)
ROCKY = System(kernel="5.14.0-503.el9", machine="x86_64", distribution="Rocky Linux 9.5", secure_boot=False)
LOCKED = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu 22.04.5 LTS", secure_boot=True)
IN_DOCKER = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu 22.04.5 LTS", container="docker")
WSL = System(kernel="6.6.87-microsoft-standard-WSL2", machine="x86_64", distribution="Ubuntu 24.04", wsl=True, dxg=True)
LOADED = KernelModule(loaded=(580, 95, 5), built_for=(KERNEL,))
NOT_LOADED = KernelModule(loaded=None)
BUILT = KernelModule(loaded=None, built_for=(KERNEL,))
BUILT_FOR_OLD = KernelModule(loaded=None, built_for=(OLD_KERNEL,))
NO_DKMS = Unknown("DKMS does not hold an NVIDIA module")
NO_POLICY = Unknown("the kernel does not show its lockdown state")
NO_FILE = Unknown("there is no module file for the running kernel")
STRICT = ModulePolicy(lockdown="integrity")
OLD_BUILD = Dkms(builds=(DkmsBuild("nvidia", "580.95.05", OLD_KERNEL, "installed"),))
UNSIGNED = ModuleFile(path="/lib/modules/k/updates/dkms/nvidia.ko", signed=False, version=(580, 95, 5))
SIGNED = ModuleFile(path="/lib/modules/k/updates/dkms/nvidia.ko", signed=True, signer="DKMS module signing key")
V100 = PciGpu("0000:01:00.0", "1db1", "nvidia", "Tesla V100-SXM2-16GB", (7, 0))
RTX_2080 = PciGpu("0000:02:00.0", "1e87", "nvidia", "GeForce RTX 2080", (7, 5))
H100 = PciGpu("0000:03:00.0", "2330", "nvidia", "H100 SXM5 80GB", (9, 0))
GH200 = PciGpu("0009:01:00.0", "2342", "nvidia", "GH200 120GB / 480GB", (9, 0))
B200 = PciGpu("0000:04:00.0", "2901", "nvidia", "B200", (10, 0))
UNNAMED = PciGpu("0000:05:00.0", "ffff", "nvidia")


def held_by(driver_name: str) -> PciGpus:
    return PciGpus((PciGpu("0000:01:00.0", "2684", driver_name, "NVIDIA GeForce RTX 4090", (8, 9)),))


class TestModuleIsLoaded:
    def test_no_driver_installed(self) -> None:
        found = kernel.module_is_loaded(
            pci=held_by(""), module=NOT_LOADED, system=UBUNTU, dkms=NO_DKMS, policy=NO_POLICY
        )
        assert found is not None
        assert "no NVIDIA driver is installed" in found.saw

    def test_built_for_another_kernel_names_the_headers(self) -> None:
        module = KernelModule(loaded=None, built_for=("6.8.0-60-generic",))
        found = kernel.module_is_loaded(pci=held_by(""), module=module, system=UBUNTU, dkms=NO_DKMS, policy=NO_POLICY)
        assert found is not None
        assert f"linux-headers-{KERNEL}" in found.fix[0]

    def test_secure_boot_does_not_excuse_a_driver_that_is_not_installed(self) -> None:
        locked = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu 22.04.5 LTS", secure_boot=True)
        assert (
            kernel.module_is_loaded(pci=held_by(""), module=NOT_LOADED, system=locked, dkms=NO_DKMS, policy=NO_POLICY)
            is not None
        )

    def test_built_but_not_loaded(self) -> None:
        module = KernelModule(loaded=None, built_for=(KERNEL,))
        found = kernel.module_is_loaded(pci=held_by(""), module=module, system=UBUNTU, dkms=NO_DKMS, policy=NO_POLICY)
        assert found is not None
        assert found.fix[0].startswith("sudo modprobe nvidia")

    def test_red_hat_s_headers_have_another_name(self) -> None:
        module = KernelModule(loaded=None, built_for=("5.14.0-427.el9",))
        found = kernel.module_is_loaded(pci=held_by(""), module=module, system=ROCKY, dkms=NO_DKMS, policy=NO_POLICY)
        assert found is not None
        assert found.fix[0].startswith("sudo dnf install kernel-devel-5.14.0-503.el9")

    def test_a_lockdown_that_refuses_nothing_excuses_nothing(self) -> None:
        lax = ModulePolicy(lockdown="none")
        assert kernel.module_is_loaded(pci=held_by(""), module=BUILT, system=UBUNTU, dkms=NO_DKMS, policy=lax)

    def test_lockdown_does_not_excuse_a_module_that_is_not_there(self) -> None:
        assert kernel.module_is_loaded(pci=held_by(""), module=NOT_LOADED, system=UBUNTU, dkms=NO_DKMS, policy=STRICT)

    def test_dkms_does_not_excuse_a_module_that_is_built_and_not_loaded(self) -> None:
        assert kernel.module_is_loaded(pci=held_by(""), module=BUILT, system=UBUNTU, dkms=OLD_BUILD, policy=NO_POLICY)

    @pytest.mark.parametrize(
        ("module", "dkms", "policy"),
        [
            (BUILT, NO_DKMS, STRICT),
            (BUILT_FOR_OLD, OLD_BUILD, NO_POLICY),
            (KernelModule(loaded=None, prime="off", built_for=(KERNEL,)), NO_DKMS, NO_POLICY),
            (
                KernelModule(loaded=None, blacklisted_in="/etc/modprobe.d/x.conf", built_for=(KERNEL,)),
                NO_DKMS,
                NO_POLICY,
            ),
        ],
        ids=["DRV14", "DRV12", "DRV16", "DRV16 too"],
    )
    def test_gives_way_to_the_rule_that_knows_the_cause(
        self, module: KernelModule, dkms: Dkms | Unknown, policy: ModulePolicy | Unknown
    ) -> None:
        found = kernel.module_is_loaded(pci=held_by(""), module=module, system=UBUNTU, dkms=dkms, policy=policy)
        assert found is None

    @pytest.mark.parametrize(
        ("pci", "module", "system"),
        [
            (held_by("nvidia"), LOADED, UBUNTU),
            (PciGpus(()), NOT_LOADED, UBUNTU),
            (held_by(""), NOT_LOADED, WSL),
            (held_by(""), NOT_LOADED, IN_DOCKER),
            (held_by("vfio-pci"), NOT_LOADED, UBUNTU),
            (held_by("nouveau"), KernelModule(loaded=None, nouveau=True), UBUNTU),
        ],
        ids=["loaded", "no GPU", "WSL", "container", "passed through", "nouveau has its own rule"],
    )
    def test_silent(self, pci: PciGpus, module: KernelModule, system: System) -> None:
        assert kernel.module_is_loaded(pci=pci, module=module, system=system, dkms=NO_DKMS, policy=NO_POLICY) is None


class TestNouveau:
    def test_holds_the_gpu(self) -> None:
        found = kernel.nouveau_is_away(
            pci=held_by("nouveau"), module=KernelModule(loaded=None, nouveau=True), system=UBUNTU, dkms=NO_DKMS
        )
        assert found is not None
        assert "blacklist nouveau" in found.fix[1]

    def test_is_loaded_while_nothing_holds_the_gpu(self) -> None:
        assert (
            kernel.nouveau_is_away(
                pci=held_by(""), module=KernelModule(loaded=None, nouveau=True), system=UBUNTU, dkms=NO_DKMS
            )
            is not None
        )

    def test_holds_the_gpu_from_inside_the_kernel(self) -> None:
        assert (
            kernel.nouveau_is_away(pci=held_by("nouveau"), module=NOT_LOADED, system=UBUNTU, dkms=NO_DKMS) is not None
        )

    def test_silent_where_it_is_not_loaded_at_all(self) -> None:
        assert kernel.nouveau_is_away(pci=held_by(""), module=NOT_LOADED, system=UBUNTU, dkms=NO_DKMS) is None

    def test_silent_where_nvidia_is_loaded_beside_it(self) -> None:
        assert kernel.nouveau_is_away(pci=held_by("nouveau"), module=LOADED, system=UBUNTU, dkms=NO_DKMS) is None

    def test_silent_where_nvidia_holds_it(self) -> None:
        assert kernel.nouveau_is_away(pci=held_by("nvidia"), module=LOADED, system=UBUNTU, dkms=NO_DKMS) is None

    def test_silent_without_a_gpu(self) -> None:
        assert (
            kernel.nouveau_is_away(
                pci=PciGpus(()), module=KernelModule(loaded=None, nouveau=True), system=UBUNTU, dkms=NO_DKMS
            )
            is None
        )

    def test_gives_way_where_dkms_left_the_gap_that_it_filled(self) -> None:
        away = kernel.nouveau_is_away(pci=held_by("nouveau"), module=BUILT_FOR_OLD, system=UBUNTU, dkms=OLD_BUILD)
        assert away is None

    def test_fires_beside_a_module_that_dkms_has_built(self) -> None:
        assert kernel.nouveau_is_away(pci=held_by("nouveau"), module=BUILT, system=UBUNTU, dkms=OLD_BUILD) is not None


class TestSecureBoot:
    LOCKED = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu 22.04.5 LTS", secure_boot=True)
    BUILT = KernelModule(loaded=None, built_for=(KERNEL,))

    def test_module_on_disk_and_not_loaded(self) -> None:
        found = signing.secure_boot_lets_it_in(
            pci=held_by(""), module=self.BUILT, system=self.LOCKED, file=NO_FILE, policy=NO_POLICY
        )
        assert found is not None
        assert "Key was rejected by service" in found.fix[0]

    def test_then_the_general_rule_holds_its_tongue(self) -> None:
        assert (
            kernel.module_is_loaded(
                pci=held_by(""),
                module=self.BUILT,
                system=self.LOCKED,
                dkms=NO_DKMS,
                policy=NO_POLICY,
            )
            is None
        )

    @pytest.mark.parametrize(
        ("module", "system"),
        [(BUILT, UBUNTU), (LOADED, LOCKED), (NOT_LOADED, LOCKED)],
        ids=["off", "loaded all the same", "nothing to load"],
    )
    def test_silent(self, module: KernelModule, system: System) -> None:
        assert (
            signing.secure_boot_lets_it_in(
                pci=held_by(""), module=module, system=system, file=NO_FILE, policy=NO_POLICY
            )
            is None
        )

    def test_it_is_not_blamed_for_nouveau(self) -> None:
        module = KernelModule(loaded=None, nouveau=True, built_for=(KERNEL,))
        assert (
            signing.secure_boot_lets_it_in(
                pci=held_by("nouveau"), module=module, system=self.LOCKED, file=NO_FILE, policy=NO_POLICY
            )
            is None
        )

    def test_without_a_gpu_nothing_wants_in(self) -> None:
        assert (
            signing.secure_boot_lets_it_in(
                pci=PciGpus(()), module=self.BUILT, system=self.LOCKED, file=NO_FILE, policy=NO_POLICY
            )
            is None
        )

    def test_in_a_container_it_is_the_host_s_business(self) -> None:
        system = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu", secure_boot=True, container="docker")
        assert (
            signing.secure_boot_lets_it_in(
                pci=held_by(""), module=self.BUILT, system=system, file=NO_FILE, policy=NO_POLICY
            )
            is None
        )

    def test_unknown_state_accuses_nobody(self) -> None:
        unknown = System(kernel=KERNEL, machine="x86_64", distribution="Ubuntu", secure_boot=None)
        assert (
            signing.secure_boot_lets_it_in(
                pci=held_by(""), module=self.BUILT, system=unknown, file=NO_FILE, policy=NO_POLICY
            )
            is None
        )

    def test_a_shim_that_validates_nothing_lets_every_module_in(self) -> None:
        policy = ModulePolicy(shim_off=True)
        refused = signing.secure_boot_lets_it_in(
            pci=held_by(""), module=self.BUILT, system=self.LOCKED, file=UNSIGNED, policy=policy
        )
        assert refused is None
        assert kernel.module_is_loaded(pci=held_by(""), module=BUILT, system=LOCKED, dkms=NO_DKMS, policy=policy)

    def test_lockdown_beside_secure_boot_changes_nothing(self) -> None:
        found = signing.secure_boot_lets_it_in(
            pci=held_by(""), module=self.BUILT, system=self.LOCKED, file=UNSIGNED, policy=STRICT
        )
        assert found is not None

    def test_says_what_is_known_of_the_signature(self) -> None:
        said = []
        for file in (
            NO_FILE,
            UNSIGNED,
            SIGNED,
            ModuleFile(path="nvidia.ko", signed=True),
            ModuleFile(path="nvidia.ko"),
        ):
            found = signing.secure_boot_lets_it_in(
                pci=held_by(""), module=self.BUILT, system=self.LOCKED, file=file, policy=NO_POLICY
            )
            assert found is not None
            said.append((found.saw.split("(")[1].split(")")[0], found.confidence))
        assert said == [
            ("whether it is signed cannot be told", "likely"),
            ("not signed", "sure"),
            ("signed by DKMS module signing key; whether that key is enrolled, only mokutil can say", "likely"),
            ("signed; whether the key is enrolled, only mokutil can say", "likely"),
            ("whether it is signed cannot be told", "likely"),
        ]

    def test_red_hat_s_key_is_dkms_s_own(self) -> None:
        locked = System(kernel=ROCKY.kernel, machine="x86_64", distribution=ROCKY.distribution, secure_boot=True)
        module = KernelModule(loaded=None, built_for=(ROCKY.kernel,))
        found = signing.secure_boot_lets_it_in(
            pci=held_by(""), module=module, system=locked, file=UNSIGNED, policy=NO_POLICY
        )
        assert found is not None
        assert "/var/lib/dkms/mok.pub" in found.fix[2]

    def test_an_unsigned_module_is_signed_or_replaced_and_a_signed_one_s_key_enrolled(self) -> None:
        fixes = []
        for file in (UNSIGNED, ModuleFile(path="nvidia.ko", signed=False), SIGNED):
            found = signing.secure_boot_lets_it_in(
                pci=held_by(""), module=self.BUILT, system=self.LOCKED, file=file, policy=NO_POLICY
            )
            assert found is not None
            fixes.append(found.fix[1].split(" ")[3 if "apt" in found.fix[1] else 1])
        assert fixes == ["linux-modules-nvidia-580-generic", "linux-modules-nvidia-615-generic", "mokutil"]


class TestDkms:
    def test_headers_are_missing(self) -> None:
        dkms = Dkms(builds=OLD_BUILD.builds, headers=False)
        found = kernel.dkms_has_built_it(pci=held_by(""), module=BUILT_FOR_OLD, system=UBUNTU, dkms=dkms)
        assert found is not None
        assert found.saw == (
            f"DKMS has nvidia/580.95.05, {OLD_KERNEL}: installed;"
            f" nothing for the running kernel {KERNEL}, whose headers are not installed"
        )
        assert found.fix[0] == f"sudo apt install linux-headers-{KERNEL} && sudo dkms autoinstall"

    def test_headers_are_there_and_the_build_failed(self) -> None:
        found = kernel.dkms_has_built_it(pci=held_by(""), module=BUILT_FOR_OLD, system=UBUNTU, dkms=OLD_BUILD)
        assert found is not None
        assert found.saw.endswith(f"nothing for the running kernel {KERNEL}")
        assert found.fix[0] == f"sudo dkms install -m nvidia -v 580.95.05 -k {KERNEL}"
        assert found.evidence == ()

    def test_the_compiler_is_older_than_the_kernel_s(self) -> None:
        error = "cc: error: unrecognized command-line option '-ftrivial-auto-var-init=zero'"
        dkms = Dkms(builds=OLD_BUILD.builds, error=error)
        found = kernel.dkms_has_built_it(pci=held_by(""), module=NOT_LOADED, system=UBUNTU, dkms=dkms)
        assert found is not None
        assert found.fix[0].startswith("sudo apt install gcc-12")
        assert found.evidence == (error,)

    def test_any_other_error_is_only_quoted(self) -> None:
        dkms = Dkms(builds=OLD_BUILD.builds, error="nv.c:12: error: too few arguments to function")
        found = kernel.dkms_has_built_it(pci=held_by(""), module=NOT_LOADED, system=UBUNTU, dkms=dkms)
        assert found is not None
        assert found.fix[0].startswith("sudo dkms install")

    def test_built_and_not_installed(self) -> None:
        dkms = Dkms(builds=(DkmsBuild("nvidia", "580.95.05", KERNEL, "built"),))
        found = kernel.dkms_has_built_it(pci=held_by(""), module=NOT_LOADED, system=UBUNTU, dkms=dkms)
        assert found is not None
        assert "did not install it" in found.saw

    def test_fires_although_nouveau_took_the_gpu(self) -> None:
        module = KernelModule(loaded=None, nouveau=True, built_for=(OLD_KERNEL,))
        assert kernel.dkms_has_built_it(pci=held_by("nouveau"), module=module, system=UBUNTU, dkms=OLD_BUILD)

    @pytest.mark.parametrize(
        ("pci", "module", "system"),
        [
            (PciGpus(()), BUILT_FOR_OLD, UBUNTU),
            (held_by("nvidia"), KernelModule(loaded=(580, 95, 5)), UBUNTU),
            (held_by(""), BUILT_FOR_OLD, IN_DOCKER),
            (held_by(""), BUILT, UBUNTU),
        ],
        ids=["no GPU", "loaded", "container", "on disk"],
    )
    def test_silent(self, pci: PciGpus, module: KernelModule, system: System) -> None:
        assert kernel.dkms_has_built_it(pci=pci, module=module, system=system, dkms=OLD_BUILD) is None

    @pytest.mark.parametrize(
        ("state", "of_kernel", "built"),
        [("installed", KERNEL, True), ("built", KERNEL, True), ("added", KERNEL, False), ("built", OLD_KERNEL, False)],
    )
    def test_what_counts_as_built(self, state: str, of_kernel: str, built: bool) -> None:  # noqa: FBT001 — a table
        assert Dkms(builds=(DkmsBuild("nvidia", "1.0", of_kernel, state),)).built_for(KERNEL) is built


class TestHeaders:
    WITHOUT = Dkms(builds=OLD_BUILD.builds, headers=False)

    def test_missing_beside_a_loaded_module_is_a_note(self) -> None:
        found = kernel.headers_are_there(dkms=self.WITHOUT, module=LOADED, system=UBUNTU)
        assert found is not None
        assert (found.severity, found.fix) == ("note", (f"sudo apt install linux-headers-{KERNEL}",))

    @pytest.mark.parametrize(
        ("dkms", "module", "system"),
        [
            (OLD_BUILD, LOADED, UBUNTU),
            (WITHOUT, NOT_LOADED, UBUNTU),
            (WITHOUT, LOADED, IN_DOCKER),
            (WITHOUT, LOADED, WSL),
        ],
        ids=["there", "the module itself is missing", "container", "WSL"],
    )
    def test_silent(self, dkms: Dkms, module: KernelModule, system: System) -> None:
        assert kernel.headers_are_there(dkms=dkms, module=module, system=system) is None


class TestLockdown:
    @pytest.mark.parametrize(("signed", "confidence"), [(False, "sure"), (None, "likely"), (True, "guess")])
    def test_refuses_a_module(self, signed: bool | None, confidence: str) -> None:  # noqa: FBT001 — a table
        file = ModuleFile(path="nvidia.ko", signed=signed)
        found = signing.lockdown_lets_it_in(module=BUILT, system=UBUNTU, policy=STRICT, file=file)
        assert found is not None
        assert found.confidence == confidence
        assert found.saw.startswith("the kernel demands signed modules (lockdown integrity); ")

    def test_sig_enforce_is_named(self) -> None:
        policy = ModulePolicy(lockdown="none", sig_enforce=True)
        found = signing.lockdown_lets_it_in(module=BUILT, system=UBUNTU, policy=policy, file=UNSIGNED)
        assert found is not None
        assert found.saw == (
            "the kernel demands signed modules (sig_enforce); NVIDIA's is on disk (not signed) and not loaded"
        )

    @pytest.mark.parametrize("policy", [ModulePolicy(lockdown="confidentiality"), ModulePolicy(sig_enforce=True)])
    def test_every_kind_of_demand(self, policy: ModulePolicy) -> None:
        assert signing.lockdown_lets_it_in(module=BUILT, system=UBUNTU, policy=policy, file=UNSIGNED) is not None

    @pytest.mark.parametrize(
        ("module", "system", "policy"),
        [
            (LOADED, UBUNTU, STRICT),
            (KernelModule(loaded=None, nouveau=True), UBUNTU, STRICT),
            (BUILT, LOCKED, STRICT),
            (BUILT, IN_DOCKER, STRICT),
            (BUILT, WSL, STRICT),
            (BUILT, UBUNTU, ModulePolicy(lockdown="none")),
            (BUILT, UBUNTU, ModulePolicy()),
        ],
        ids=["loaded", "nouveau", "Secure Boot is DRV10's", "container", "WSL", "none", "unknown"],
    )
    def test_silent(self, module: KernelModule, system: System, policy: ModulePolicy) -> None:
        assert signing.lockdown_lets_it_in(module=module, system=system, policy=policy, file=UNSIGNED) is None


class TestFlavour:
    @pytest.mark.parametrize("gpu", [B200, GH200], ids=str)
    def test_blackwell_and_grace_hopper_need_the_open_one(self, gpu: PciGpu) -> None:
        module = KernelModule(loaded=(580, 95, 5), flavour="proprietary")
        found = kernel.flavour_fits(pci=PciGpus((H100, gpu)), module=module, file=NO_FILE)
        assert found is not None
        assert found.saw == f"{gpu} has the proprietary kernel module"
        assert found.fix[0] == "sudo apt install nvidia-driver-580-open && sudo reboot"
        assert "requires use of the NVIDIA open kernel modules" in found.fix[1]

    def test_volta_needs_the_proprietary_one(self) -> None:
        module = KernelModule(loaded=(580, 95, 5), flavour="open")
        found = kernel.flavour_fits(pci=PciGpus((V100,)), module=module, file=NO_FILE)
        assert found is not None
        assert found.fix[0] == "sudo apt install nvidia-driver-580 && sudo reboot"
        assert "modinfo" in found.fix[1]

    @pytest.mark.parametrize("flavour", ["open", "proprietary"])
    def test_no_module_drives_gpus_of_both_kinds(self, flavour: Flavour) -> None:
        module = KernelModule(loaded=(580, 95, 5), flavour=flavour)
        found = kernel.flavour_fits(pci=PciGpus((H100, V100, B200)), module=module, file=NO_FILE)
        assert found is not None
        one, other = (V100, B200) if flavour == "open" else (B200, V100)
        kinds = ("proprietary", "open") if flavour == "open" else ("open", "proprietary")
        assert found.saw == f"{one} needs the {kinds[0]} kernel module, {other} needs the {kinds[1]} kernel module"
        assert not [step for step in found.fix if "apt install" in step]

    def test_the_file_on_disk_tells_where_no_module_is_loaded(self) -> None:
        file = ModuleFile(path="nvidia.ko", flavour="proprietary", version=(575, 51, 3))
        found = kernel.flavour_fits(pci=PciGpus((B200,)), module=NOT_LOADED, file=file)
        assert found is not None
        assert "nvidia-driver-575-open" in found.fix[0]

    def test_a_file_without_a_version_asks_for_the_newest_branch(self) -> None:
        file = ModuleFile(path="nvidia.ko", flavour="proprietary")
        found = kernel.flavour_fits(pci=PciGpus((B200,)), module=NOT_LOADED, file=file)
        assert found is not None
        assert "nvidia-driver-615-open" in found.fix[0]

    def test_an_old_gpu_and_an_open_file_of_unknown_version(self) -> None:
        file = ModuleFile(path="nvidia.ko", flavour="open")
        assert kernel.flavour_fits(pci=PciGpus((V100,)), module=NOT_LOADED, file=file) is not None

    @pytest.mark.parametrize(
        ("gpu", "version", "flavour"),
        [
            (B200, (580, 95, 5), "open"),
            (H100, (580, 95, 5), "proprietary"),
            (H100, (580, 95, 5), "open"),
            (RTX_2080, (580, 95, 5), "open"),
            (RTX_2080, (580, 95, 5), "proprietary"),
            (V100, (580, 95, 5), "proprietary"),
            (V100, (590, 48, 1), "open"),
            (B200, (580, 95, 5), ""),
            (UNNAMED, (580, 95, 5), "proprietary"),
        ],
    )
    def test_silent(self, gpu: PciGpu, version: tuple[int, ...], flavour: Flavour) -> None:
        module = KernelModule(loaded=version, flavour=flavour)
        assert kernel.flavour_fits(pci=PciGpus((gpu,)), module=module, file=NO_FILE) is None


class TestSwitchedOff:
    def test_prime_select_chose_the_integrated_graphics(self) -> None:
        module = KernelModule(loaded=None, prime="off", blacklisted_in="/lib/modprobe.d/b.conf", built_for=(KERNEL,))
        found = kernel.module_is_not_switched_off(module=module, system=UBUNTU, pci=PciGpus(()))
        assert found is not None
        assert (found.severity, found.fix) == ("problem", ("sudo prime-select on-demand && sudo reboot",))

    def test_a_file_of_modprobe_forbids_it(self) -> None:
        module = KernelModule(loaded=None, blacklisted_in="/etc/modprobe.d/x.conf", built_for=(KERNEL,))
        found = kernel.module_is_not_switched_off(module=module, system=UBUNTU, pci=held_by(""))
        assert found is not None
        assert found.saw == "/etc/modprobe.d/x.conf forbids the module nvidia"
        assert found.severity == "problem"

    def test_what_is_left_over_where_no_driver_is_installed_forbids_nothing(self) -> None:
        for module in (KernelModule(loaded=None, prime="off"), KernelModule(loaded=None, blacklisted_in="/etc/x.conf")):
            assert kernel.module_is_not_switched_off(module=module, system=UBUNTU, pci=held_by("")) is None
            assert kernel.module_is_loaded(
                pci=held_by(""), module=module, system=UBUNTU, dkms=NO_DKMS, policy=NO_POLICY
            )

    @pytest.mark.parametrize("pci", [PciGpus(()), Unknown("no /sys")], ids=["no GPU", "unknown"])
    def test_where_no_gpu_is_seen_it_is_only_a_note(self, pci: PciGpus | Unknown) -> None:
        module = KernelModule(loaded=None, blacklisted_in="/etc/modprobe.d/x.conf", built_for=(KERNEL,))
        found = kernel.module_is_not_switched_off(module=module, system=UBUNTU, pci=pci)
        assert found is not None
        assert found.severity == "note"

    @pytest.mark.parametrize(
        ("module", "system", "pci"),
        [
            (KernelModule(loaded=(580, 95, 5), prime="off", built_for=(KERNEL,)), UBUNTU, held_by("nvidia")),
            (KernelModule(loaded=None, prime="off", built_for=(KERNEL,)), IN_DOCKER, held_by("")),
            (KernelModule(loaded=None, prime="on-demand", built_for=(KERNEL,)), UBUNTU, held_by("")),
            (
                KernelModule(loaded=None, blacklisted_in="/etc/modprobe.d/x.conf", built_for=(KERNEL,)),
                UBUNTU,
                held_by("vfio-pci"),
            ),
        ],
        ids=["loaded", "container", "on-demand", "meant for a guest"],
    )
    def test_silent(self, module: KernelModule, system: System, pci: PciGpus) -> None:
        assert kernel.module_is_not_switched_off(module=module, system=system, pci=pci) is None
