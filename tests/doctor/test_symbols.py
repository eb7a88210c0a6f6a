"""What a missing C++ symbol tells: whose it is, and which torch the extension was compiled for; dispute F12."""

from __future__ import annotations

import pytest

from doctor.compat.symbols import compiled_for, is_torch_symbol, own_function

SET_DEVICE_INT = "_ZN3c104cuda9SetDeviceEi"
NEW_STRING = "_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
OLD_STRING = "_ZN3c106detail14torchCheckFailEPKcS2_jRKSs"
OWN = "_Z27ms_deform_attn_cuda_forwardRKN2at6TensorES2_"


@pytest.mark.parametrize(
    "name",
    [
        SET_DEVICE_INT,
        NEW_STRING,
        "_ZN2at4_ops9_pad_enum4callE",
        "_ZTIN5torch8autograd4NodeE",
        "_ZNK2at6Tensor3dimEv",
    ],
)
def test_torch_s_own_name_spaces(name: str) -> None:
    assert is_torch_symbol(name)
    assert own_function(name) is None


@pytest.mark.parametrize(
    ("name", "function"),
    [
        (OWN, "ms_deform_attn_cuda_forward"),
        (
            "_ZN10detectron228ROIAlignRotated_forward_cudaERKN2at6TensorE",
            "detectron2::ROIAlignRotated_forward_cuda",
        ),
        ("_ZN8pybind1112error_scopeC1Ev", None),
        ("_Z9abI", None),
        ("_Z0", None),
        ("main", None),
    ],
)
def test_a_function_of_the_extension_s_own(name: str, function: str | None) -> None:
    assert not is_torch_symbol(name)
    assert own_function(name) == function


def test_python_s_side_of_torch() -> None:
    assert is_torch_symbol("_Z16THPVariable_WrapN2at10TensorBaseE")


@pytest.mark.parametrize(
    ("name", "torch", "abi", "other"),
    [
        (SET_DEVICE_INT, (2, 3), False, "a torch before 2.3"),
        (SET_DEVICE_INT, (2, 2, 2), False, "another torch"),
        ("_ZN3c104cuda9SetDeviceEa", (2, 2, 2), False, "torch 2.3 or newer"),
        ("_ZN3c104cuda9SetDeviceEab", (2, 2, 2), False, "torch 2.3 or newer"),
        ("_ZN3c104cuda9SetDeviceEa", (2, 11), True, "another torch"),
        ("_ZN3c104cuda9SetDeviceEa", (2, 3), False, "another torch"),
        ("_ZN2at5sliceERKNS_6TensorElN3c108optionalIlEES5_l", (2, 2), False, "a torch before 2.2"),
        ("_ZN2at4_ops5zeros4callENS2_8optionalINS2_10ScalarTypeEE", (2, 4), False, "a torch before 2.2"),
        ("_ZN2at4_ops5zeros4callESt8optionalIN3c1010ScalarTypeEE", (2, 1, 2), False, "torch 2.2 or newer"),
        (
            "_ZN2at4_ops9_pad_enum4callERKNS_6TensorEN3c108ArrayRefINS5_6SymIntEEE",
            (1, 12),
            False,
            "torch 1.13 or newer",
        ),
        ("_ZNK3c107SymBool10guard_boolEPKcl", (2, 0), False, "torch 2.1 or newer"),
        ("_ZN3c104impl3cow23materialize_cow_storageERNS_11StorageImplE", (2, 13), True, "a torch before 2.13"),
        ("_ZN2at4cuda17getTHCState_dummyEP8THCState", (1, 11), False, "a torch before 1.11"),
        ("_ZN2at4fourEv", (2, 11), True, "another torch"),
    ],
)
def test_what_a_missing_name_tells(name: str, torch: tuple[int, ...], abi: bool, other: str) -> None:  # noqa: FBT001 — a table
    assert compiled_for([name], torch=torch, cuda=True, cxx11_abi=abi) == other


@pytest.mark.parametrize(
    ("name", "abi", "words"),
    [
        (NEW_STRING, False, "with the C++11 ABI"),
        (NEW_STRING, None, "with the C++11 ABI"),
        (OLD_STRING, True, "with the old ABI"),
        (NEW_STRING, True, "another torch"),
        (OLD_STRING, False, "another torch"),
    ],
)
def test_both_sides_of_the_string_abi(name: str, abi: bool | None, words: str) -> None:  # noqa: FBT001 — a table
    assert words in compiled_for([name], torch=(2, 6), cuda=True, cxx11_abi=abi)


def test_a_cuda_extension_beside_a_cpu_torch() -> None:
    assert "CUDA build" in compiled_for([SET_DEVICE_INT], torch=(2, 5), cuda=False, cxx11_abi=False)
    assert compiled_for(["_ZN2at4fourEv"], torch=(2, 5), cuda=False, cxx11_abi=False) == "another torch"


def test_names_that_are_not_torch_s_tell_nothing() -> None:
    assert compiled_for([OWN + "RKSs"], torch=(2, 11), cuda=True, cxx11_abi=True) == "another torch"
