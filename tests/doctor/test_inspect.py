"""What is inside a shared object: real ones, read here and by binutils; hostile ones, which may only be refused."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sysconfig
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from doctor.elf import NotReadableError, SharedObject, gnu_hash
from doctor.fatbin import architectures
from doctor.inspect import inspect
from doctor.shell import LiveHost

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "extensions"
EXTENSION = FIXTURES / "extension.so"
DEVICE_CODE = (FIXTURES / "device_code.fatbin").read_bytes()
TORCH = Path(sysconfig.get_path("purelib")) / "torch" / "lib"
TORCHVISION = TORCH.parents[1] / "torchvision"
needs_torch = pytest.mark.skipif(not (TORCH / "libc10.so").exists(), reason="torch is not installed here")
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler to make libraries with")


def shared_object(data: bytes) -> SharedObject:
    return SharedObject(memoryview(data))


def fat_binary(*entries: tuple[int, int], magic: int = 0xBA55ED50) -> memoryview:
    """Return a fat binary with these kinds and architectures and no code."""
    body = b"".join(
        struct.pack("<HHIQ", kind, 0x101, 48, 0) + bytes(12) + struct.pack("<IQQ", arch, 0, 0) for kind, arch in entries
    )
    return memoryview(struct.pack("<IHHQ", magic, 1, 16, len(body)) + body)


class TestDeviceCode:
    def test_both_kinds_of_code_and_no_other(self) -> None:
        assert architectures(fat_binary((2, 80), (1, 90), (8, 86), (2, 9), (2, 10), (2, 999), (2, 1000))) == (
            "sm_10",
            "sm_80",
            "sm_999",
            "compute_90",
        )

    def test_what_is_no_fat_binary_is_passed_over(self) -> None:
        foreign = bytes(fat_binary((2, 70), magic=0x12345678))[:16]
        assert architectures(memoryview(foreign + bytes(fat_binary((2, 80))))) == ("sm_80",)

    def test_the_walk_ends_after_many_entries(self) -> None:
        assert architectures(fat_binary(*[(2, 80)] * 19_999, (2, 90))) == ("sm_80", "sm_90")
        assert architectures(fat_binary(*[(2, 80)] * 20_000, (2, 90))) == ("sm_80",)

    def test_a_fat_binary_as_nvcc_writes_it(self) -> None:
        assert architectures(memoryview(DEVICE_CODE)) == ("sm_80", "sm_90", "sm_90a", "sm_100f", "compute_90")

    def test_code_that_waits_for_the_device_linker(self) -> None:
        assert architectures(memoryview((FIXTURES / "relocatable.fatbin").read_bytes())) == ("sm_80",)

    def test_two_of_them_with_padding_between(self) -> None:
        both = DEVICE_CODE + bytes(16) + (FIXTURES / "relocatable.fatbin").read_bytes()
        assert architectures(memoryview(both)) == architectures(memoryview(DEVICE_CODE))

    def test_one_cut_short_gives_what_is_there(self) -> None:
        assert architectures(memoryview(DEVICE_CODE[:200])) == ("sm_80",)

    @pytest.mark.parametrize("data", [b"", bytes(400), b"\x50\xed\x55\xba", DEVICE_CODE[:16]])
    def test_no_entry_no_architecture(self, data: bytes) -> None:
        assert architectures(memoryview(data)) == ()

    def test_an_entry_that_claims_no_size_ends_the_walk(self) -> None:
        endless = struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 1 << 62) + bytes(64)
        assert architectures(memoryview(endless)) == ()

    @given(st.binary(max_size=300))
    @example(struct.pack("<IHHQ", 0xBA55ED50, 1, 0, 0) * 8)
    def test_any_bytes(self, data: bytes) -> None:
        architectures(memoryview(data))

    @given(st.data())
    def test_a_damaged_one(self, data: st.DataObject) -> None:
        changed = bytearray(DEVICE_CODE)
        for _ in range(data.draw(st.integers(1, 6))):
            changed[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
        architectures(memoryview(changed))


class TestAnExtension:
    def test_its_needs_and_its_code(self) -> None:
        found = inspect(str(EXTENSION))
        assert found["machine"] == "x86_64"
        assert found["needed"] == ["libstdc++.so.6", "libgcc_s.so.1"]
        assert found["search_path"] == ["$ORIGIN/../torch/lib"]
        assert found["versions"] == {"CXXABI": "1.3", "GLIBCXX": "3.4.21"}
        assert found["archs"] == ["sm_80", "sm_90", "sm_90a", "sm_100f", "compute_90"]

    def test_without_a_library_to_compare_with_nothing_is_missing(self) -> None:
        found = inspect(str(EXTENSION))
        assert (found["compared_with"], found["missing"], found["lacking"]) == (0, [], 0)

    def test_what_no_library_defines_is_missing_but_for_optional_and_standard_names(self) -> None:
        found = inspect(str(EXTENSION), [str(EXTENSION)])
        assert sorted(found["missing"]) == [
            "_Z15op_cuda_forwardRKN2at6TensorE",
            "_ZN3c104cuda9SetDeviceEa",
            "_ZN3c104failEPKcRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
        ]
        assert found["lacking"] == 3

    def test_its_own_symbols_are_found_by_hash(self) -> None:
        extension = shared_object(EXTENSION.read_bytes())
        assert extension.defines(b"_Z10op_forwardRKN2at6TensorE")
        assert not extension.defines(b"_Z15op_cuda_forwardRKN2at6TensorE")
        assert not extension.defines(b"op_forward")

    def test_a_library_that_cannot_be_read_is_left_out(self) -> None:
        assert inspect(str(EXTENSION), ["/no/such/libc10.so", str(FIXTURES / "make.sh")])["compared_with"] == 0


@needs_gcc
class TestLibrariesMadeHere:
    def made(self, folder: Path, name: str, source: str, *flags: str) -> str:
        (folder / "source.c").write_text(source, encoding="utf-8")
        words = ["gcc", "-shared", "-fPIC", *flags, "-o", str(folder / name), str(folder / "source.c")]
        subprocess.run(words, check=True)
        return str(folder / name)

    def test_another_library_fills_the_gap(self, tmp_path: Path) -> None:
        user = self.made(tmp_path, "user.so", "void _ZN2at4oncev(void); void run(void) { _ZN2at4oncev(); }")
        owner = self.made(tmp_path, "owner.so", "void _ZN2at4oncev(void) {}")
        stranger = self.made(tmp_path, "stranger.so", "void _ZN2at5twicev(void) {}")
        assert inspect(user, [stranger])["missing"] == ["_ZN2at4oncev"]
        assert inspect(user, [stranger, owner])["missing"] == []

    def test_what_it_defines_itself_and_c_functions_are_not_missing(self, tmp_path: Path) -> None:
        stranger = self.made(tmp_path, "stranger.so", "void _ZN2at5twicev(void) {}")
        source = "void from_c(void); void _ZN2at4oncev(void) { from_c(); }"
        assert inspect(self.made(tmp_path, "own.so", source), [stranger])["missing"] == []

    @pytest.mark.parametrize(
        "name", ["_ZdlPvm", "_Znwm", "_ZNSt13runtime_errorC1EPKc", "_ZTISt9exception", "_ZNKSs4sizeEv"]
    )
    def test_the_standard_library_is_always_there(self, tmp_path: Path, name: str) -> None:
        user = self.made(tmp_path, "user.so", f"void {name}(void); void run(void) {{ {name}(); }}")
        assert inspect(user, [str(EXTENSION)])["missing"] == []

    def test_a_name_of_a_versioned_library_is_that_library_s_business(self, tmp_path: Path) -> None:
        (tmp_path / "versions").write_text("MINE_1.0 { *; };", encoding="utf-8")
        source = "void _ZN4mine4oncev(void) {}"
        owner = self.made(tmp_path, "libowner.so", source, f"-Wl,--version-script={tmp_path / 'versions'}")
        user = self.made(
            tmp_path,
            "user.so",
            "void _ZN4mine4oncev(void); void run(void) { _ZN4mine4oncev(); }",
            "-Wl,--no-as-needed",
            owner,
        )
        assert inspect(user, [str(EXTENSION)])["missing"] == []
        assert str(owner) in inspect(user)["needed"]

    def test_a_name_of_the_same_hash_is_another_name(self, tmp_path: Path) -> None:
        library = shared_object(Path(self.made(tmp_path, "one.so", "void _ZN2at2abv(void) {}")).read_bytes())
        assert gnu_hash(b"_ZN2at2abv") == gnu_hash(b"_ZN2at2bAv")
        assert library.defines(b"_ZN2at2abv")
        assert not library.defines(b"_ZN2at2bAv")

    def test_a_library_without_a_gnu_hash_table_defines_nothing_that_we_see(self, tmp_path: Path) -> None:
        old = self.made(tmp_path, "old.so", "void _ZN2at4oncev(void) {}", "-Wl,--hash-style=sysv")
        assert not shared_object(Path(old).read_bytes()).defines(b"_ZN2at4oncev")

    @pytest.mark.parametrize("flag", ["--enable-new-dtags", "--disable-new-dtags"])
    def test_both_kinds_of_search_path(self, tmp_path: Path, flag: str) -> None:
        made = self.made(tmp_path, "path.so", "", f"-Wl,{flag}", "-Wl,-rpath,/one:/two")
        assert inspect(made)["search_path"] == ["/one", "/two"]

    def test_a_library_with_thousands_of_names(self, tmp_path: Path) -> None:
        source = "\n".join(f"void _ZN2at{i}v(void) {{}}" for i in range(3000))
        many = shared_object(Path(self.made(tmp_path, "many.so", source)).read_bytes())
        assert all(many.defines(b"_ZN2at%dv" % i) for i in range(3000))
        assert not any(many.defines(b"_ZN2at%dv" % i) for i in range(3000, 3300))


class TestHostileFiles:
    @pytest.mark.parametrize(
        ("place", "value"),
        [(0x3A, 0), (0x3A, 40), (0x3C, 0), (0x3C, 0xFFFF), (0x3E, 0xFFFF)],
        ids=["no header size", "another header size", "no section", "too many sections", "names outside"],
    )
    def test_a_damaged_section_table_is_refused(self, place: int, value: int) -> None:
        data = bytearray(EXTENSION.read_bytes())
        struct.pack_into("<H", data, place, value)
        with pytest.raises(NotReadableError, match="section table is missing or damaged"):
            shared_object(bytes(data))

    def test_a_section_that_points_outside_of_the_table_is_refused(self) -> None:
        data = bytearray(EXTENSION.read_bytes())
        sections = shared_object(bytes(data)).sections
        (start,) = struct.unpack_from("<Q", data, 0x28)
        index = next(index for index, section in enumerate(sections) if section.name == ".dynsym")
        struct.pack_into("<I", data, start + index * 64 + 40, len(sections))
        with pytest.raises(NotReadableError, match="points outside of the table"):
            list(shared_object(bytes(data)).symbols())

    @pytest.mark.parametrize("place", [0, 8], ids=["no buckets", "no Bloom filter"])
    def test_a_hash_table_that_is_empty_defines_nothing(self, place: int) -> None:
        data = bytearray(EXTENSION.read_bytes())
        table = next(section for section in shared_object(bytes(data)).sections if section.name == ".gnu.hash")
        data[table.offset + place : table.offset + place + 4] = bytes(4)
        assert not shared_object(bytes(data)).defines(b"_Z10op_forwardRKN2at6TensorE")

    @pytest.mark.parametrize(
        "data",
        [b"", b"\x7fELF", b"version https://git-lfs.github.com/spec/v1\n", bytes(200), EXTENSION.read_bytes()[:3000]],
        ids=["empty", "magic only", "a pointer file", "zeros", "cut short"],
    )
    def test_are_refused_in_one_way(self, data: bytes, tmp_path: Path) -> None:
        path = tmp_path / "bad.so"
        path.write_bytes(data)
        with pytest.raises(NotReadableError):
            inspect(str(path))

    def test_a_folder_and_nothing_at_all(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.so")
        for path in (tmp_path, tmp_path / "nothing", tmp_path / "pipe.so"):
            with pytest.raises(NotReadableError, match="it is no file that can be read"):
                inspect(str(path))

    def test_names_that_would_steer_a_terminal_are_made_plain(self, tmp_path: Path) -> None:
        data = EXTENSION.read_bytes()
        (tmp_path / "bad.so").write_bytes(data.replace(b"libgcc_s.so.1\0", b"lib\x1b[2J\xff.so.1\0"))
        needed = inspect(str(tmp_path / "bad.so"))["needed"]
        assert needed == ["libstdc++.so.6", "lib?[2J\ufffd.so.1"]
        json.dumps(needed).encode("utf-8")

    def test_the_host_says_why_instead(self, tmp_path: Path) -> None:
        (tmp_path / "bad.so").write_bytes(b"no ELF at all, but long enough to look for a header in it, is it not?")
        answer = LiveHost().inspect(str(tmp_path / "bad.so"), ())
        assert answer == {"problem": "not a 64-bit little-endian ELF file"}

    @settings(max_examples=150)
    @given(st.data())
    def test_a_damaged_extension_is_read_or_refused(self, data: st.DataObject) -> None:
        changed = bytearray(EXTENSION.read_bytes())
        size = len(changed)
        for _ in range(data.draw(st.integers(1, 8))):
            near_the_tables = st.sampled_from([range(64), range(0x200, 0xA00), range(size - 2200, size)])
            place = data.draw(near_the_tables.flatmap(st.sampled_from))
            changed[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
        try:
            extension = shared_object(bytes(changed))
            list(extension.symbols())
            extension.needs(), extension.search_path(), extension.versions(), extension.architectures()
            extension.defines(b"_Z10op_forwardRKN2at6TensorE")
        except NotReadableError:
            return


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no CUDA compiler to make device code with")
class TestDeviceCodeMadeHere:
    def made(self, folder: Path, *flags: str) -> list[str]:
        source = folder / "kernel.cu"
        source.write_text("__global__ void twice(float* x) { x[threadIdx.x] *= 2; }\n", encoding="utf-8")
        path = folder / "kernel.so"
        words = ["nvcc", "-shared", "-Xcompiler", "-fPIC", "-cudart", "none", *flags, "-o", str(path), str(source)]
        subprocess.run(words, check=True, capture_output=True)
        archs: list[str] = inspect(str(path))["archs"]
        return archs

    @pytest.mark.parametrize("squeeze", [(), ("-no-compress",)], ids=["compressed", "plain"])
    def test_machine_code_and_ptx(self, tmp_path: Path, squeeze: tuple[str, ...]) -> None:
        made = self.made(tmp_path, "-gencode", "arch=compute_80,code=[sm_80,compute_80]", *squeeze)
        assert made == ["sm_80", "compute_80"]

    def test_ptx_alone_for_one_chip_only(self, tmp_path: Path) -> None:
        assert self.made(tmp_path, "-gencode", "arch=compute_90a,code=compute_90a") == ["compute_90a"]


def test_the_hash_of_gnu_tables() -> None:
    assert gnu_hash(b"") == 5381
    assert gnu_hash(b"printf") == 0x156B2BB8


@needs_torch
class TestTorchItself:
    LIBRARIES = tuple(str(TORCH / name) for name in ("libc10.so", "libtorch_cpu.so", "libtorch_python.so"))

    def test_its_libraries_define_what_binutils_lists(self) -> None:
        path = TORCH / "libc10.so"
        if shutil.which("nm") is None:
            pytest.skip("no binutils to compare with")
        lines = subprocess.run(["nm", "-D", "--defined-only", str(path)], capture_output=True, text=True, check=True)
        listed = {line.split()[-1].split("@")[0] for line in lines.stdout.splitlines()}
        library = shared_object(path.read_bytes())
        assert {symbol.name for symbol in library.symbols() if symbol.defined} == listed
        assert all(library.defines(name.encode()) for name in list(listed)[:400])

    def test_torchvision_lacks_nothing_beside_its_own_torch(self) -> None:
        operators = TORCHVISION / "_C.so"
        if not operators.exists():
            pytest.skip("torchvision is not installed here")
        libraries = [str(path) for path in sorted(TORCH.glob("lib*.so"))]
        assert inspect(str(operators), libraries)["missing"] == []

    def test_an_extension_of_another_torch_lacks_something(self) -> None:
        assert (
            "_ZN3c104failEPKcRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
            in (inspect(str(EXTENSION), self.LIBRARIES)["missing"])
        )
