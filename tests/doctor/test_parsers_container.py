"""The parsers of containers, limits and indexes on real formats, and no parser fails on any text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.compat.toolkits import parse_arch_list
from doctor.facts import OpenFiles
from doctor.probes.container import DaemonConfig, parse_cdi, parse_daemon_json, parse_no_cgroups
from doctor.probes.network import parse_answers, parse_pip_config, without_password
from doctor.probes.system import UNLIMITED, parse_cpu_list, parse_groups, parse_open_files, parse_quota
from doctor.probes.toolchain import parse_ccbin, parse_cmake, parse_compiler_name
from doctor.probes.toolkits import parse_names, parse_version_json, parse_version_txt

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION_JSON = '{"cuda": {"name": "CUDA SDK", "version": "12.8.1"}, "cuda_nvcc": {"version": "12.8.93"}}'
CDI_YAML = """---
cdiVersion: 0.5.0
containerEdits:
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args:
    - nvidia-cdi-hook
    - create-symlinks
    - --link
    - libcuda.so.1::/usr/lib/x86_64-linux-gnu/libcuda.so
    hookName: createContainer
    path: /usr/bin/nvidia-cdi-hook
  mounts:
  - containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.144.03
    hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.144.03
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
  name: "0"
- name: all
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
kind: nvidia.com/gpu
"""
CDI_JSON = json.dumps(
    {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [{"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}]}}, {"name": "all"}],
        "containerEdits": {"mounts": [{"hostPath": "/usr/lib64/libcuda.so.550.144.03"}]},
    }
)
DAEMON_JSON = '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}, "exec-opts": ["native.cgroupdriver=%s"]}'
STATUS = "Name:\tpython3\nCpus_allowed:\tff\nCpus_allowed_list:\t0-3,8\nMems_allowed_list:\t0\n"
LIMITS = (
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max processes             513342               513342               processes \n"
    "Max open files            1024                 524288               files     \n"
)
PIP_CONF = (
    "[global]\nindex-url = https://mirror.example/simple\ntimeout = 60\n[install]\ntrusted_host = mirror.example\n"
)
ANSWERS = '[{"url": "https://pypi.org/simple", "said": "ok", "status": 200, "detail": ""}]'


@pytest.mark.parametrize(
    ("text", "config"),
    [
        (DAEMON_JSON % "cgroupfs", DaemonConfig(("nvidia",), cgroupfs=True)),
        (DAEMON_JSON % "systemd", DaemonConfig(("nvidia",))),
        ("", DaemonConfig()),
        (" \n", DaemonConfig()),
        ("\ufeff{}", DaemonConfig()),
        ('{"runtimes": []}', DaemonConfig()),
        ('{"exec-opts": "native.cgroupdriver=cgroupfs"}', DaemonConfig()),
        ("[]", DaemonConfig(problem="not a JSON object")),
    ],
)
def test_the_configuration_of_docker(text: str, config: DaemonConfig) -> None:
    assert parse_daemon_json(text) == config


def test_a_comma_that_is_missing_in_it() -> None:
    assert (
        parse_daemon_json('{"a": 1\n"b": 2}').problem == "not JSON: Expecting ',' delimiter: line 2 column 1 (char 8)"
    )
    assert parse_daemon_json("[" * 100000).problem.startswith("not JSON")


@pytest.mark.parametrize("text", [CDI_YAML, CDI_JSON, json.dumps(json.loads(CDI_JSON), indent=2)])
def test_a_cdi_file_in_both_languages(text: str) -> None:
    spec = parse_cdi(text, "/etc/cdi/nvidia.yaml")
    assert spec is not None
    assert (spec.devices, spec.driver) == (("0", "all"), (550, 144, 3))


def test_a_cdi_file_of_somebody_else() -> None:
    assert parse_cdi(CDI_YAML.replace("nvidia.com/gpu", "intel.com/gpu"), "x") is None
    assert parse_cdi(CDI_YAML.replace("nvidia.com/gpu", "nvidia.com/gpus-of-mine"), "x") is None
    assert parse_cdi("", "x") is None


def test_a_cdi_file_without_libraries() -> None:
    spec = parse_cdi("kind: nvidia.com/gpu\ndevices:\n", "x")
    assert spec is not None
    assert (spec.devices, spec.driver) == ((), None)


@pytest.mark.parametrize(
    ("text", "switched_off"),
    [
        ("[nvidia-container-cli]\nno-cgroups = true\n", True),
        ("no-cgroups=true", True),
        ("#no-cgroups = true", False),
        ("no-cgroups = false", False),
    ],
)
def test_the_switch_for_rootless_engines(text: str, *, switched_off: bool) -> None:
    assert parse_no_cgroups(text) is switched_off


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        (STATUS, 5),
        ("Cpus_allowed_list:\t0\n", 1),
        ("Cpus_allowed_list:\t0-127\n", 128),
        ("Cpus_allowed_list:\t5-2\n", 0),
        ("Cpus_allowed:\tff\n", 0),
        ("", 0),
    ],
)
def test_the_cpus_of_a_process(text: str, cores: int) -> None:
    assert parse_cpu_list(text) == cores


@pytest.mark.parametrize(
    ("text", "quota"),
    [("200000 100000\n", 2.0), ("150000 100000", 1.5), ("max 100000\n", None), ("-1 100000", None), ("0 0", None)],
)
def test_what_a_control_group_pays_for(text: str, quota: float | None) -> None:
    assert parse_quota(text) == quota


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("0::/user.slice/user-1000.slice\n", {"": "/user.slice/user-1000.slice"}),
        (
            "4:cpu,cpuacct:/a\n3:memory:/b:c\n1:name=systemd:/\n",
            {"cpu": "/a", "cpuacct": "/a", "memory": "/b:c", "name=systemd": "/"},
        ),
        ("nonsense", {}),
    ],
)
def test_the_control_groups_of_a_process(text: str, groups: dict[str, str]) -> None:
    assert parse_groups(text) == groups


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        (LIMITS, OpenFiles(1024, 524288)),
        ("Max open files            unlimited            unlimited            files", OpenFiles(UNLIMITED, UNLIMITED)),
        ("Max processes  1  2", None),
        ("", None),
    ],
)
def test_the_limit_of_open_files(text: str, limits: OpenFiles | None) -> None:
    assert parse_open_files(text) == limits


@pytest.mark.parametrize(
    ("text", "settings_of_pip"),
    [
        (
            PIP_CONF,
            {"index-url": "https://mirror.example/simple", "timeout": "60", "trusted-host": "mirror.example"},
        ),
        ("[install]\nindex-url = a\n[global]\nindex-url = b\n", {"index-url": "a"}),
        ("index-url = no section", {}),
        ("[global]\nindex-url = a\nindex-url = b\n", {"index-url": "b"}),
        ("[list]\nformat = columns\n", {}),
    ],
)
def test_the_configuration_of_pip(text: str, settings_of_pip: dict[str, str]) -> None:
    assert parse_pip_config(text) == settings_of_pip


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://ada:s3cret@mirror.example/simple", "https://mirror.example/simple"),
        ("https://token@mirror.example/simple", "https://mirror.example/simple"),
        ("https://ada:p@ss@mirror.example/simple", "https://mirror.example/simple"),
        ("https://mirror.example/simple/@scope", "https://mirror.example/simple/@scope"),
        ("https://mirror.example?mail=a@b", "https://mirror.example?mail=a@b"),
    ],
)
def test_a_password_is_taken_out_of_an_address(url: str, clean: str) -> None:
    assert without_password(url) == clean


def test_what_the_indexes_said() -> None:
    assert parse_answers(ANSWERS) == {"https://pypi.org/simple": ("ok", 200, "")}
    assert parse_answers(ANSWERS.replace('"ok"', '"perhaps"')) == {}
    assert parse_answers(ANSWERS.replace('"ok"', "[]")) == {}
    assert parse_answers("[1]") == {}


PARSERS: list[tuple[Callable[[str], object], str]] = [
    (parse_version_json, VERSION_JSON),
    (parse_version_txt, "CUDA Version 10.2.89"),
    (
        lambda text: parse_names(tuple(text.split())),
        "cuda-nvcc-12.8.93-hcdd1206_0.json nvidia_cuda_nvcc-13.0.88.dist-info",
    ),
    (parse_compiler_name, "/usr/bin/clang++-19"),
    (parse_ccbin, "-O3 --compiler-bindir=/usr/bin/g++-12"),
    (parse_cmake, "cmake version 3.22.1"),
    (parse_arch_list, "8.6;9.0a Ampere 12.0+PTX"),
    (parse_daemon_json, DAEMON_JSON % "cgroupfs"),
    (lambda text: parse_cdi(text, "x"), CDI_YAML),
    (lambda text: parse_cdi(text, "x"), CDI_JSON),
    (parse_no_cgroups, "no-cgroups = true"),
    (parse_cpu_list, STATUS),
    (parse_quota, "200000 100000"),
    (parse_groups, "4:cpu,cpuacct:/a\n0::/user.slice\n"),
    (parse_open_files, LIMITS),
    (parse_pip_config, PIP_CONF),
    (parse_answers, ANSWERS),
    (without_password, "https://ada:s3cret@mirror.example/simple"),
]


@pytest.mark.parametrize(("parse", "sample"), PARSERS)
@settings(max_examples=60)
@given(data=st.data())
def test_no_text_makes_a_parser_fail(parse: Callable[[str], object], sample: str, data: st.DataObject) -> None:
    parse(data.draw(st.text(max_size=200)))
    start = data.draw(st.integers(0, len(sample)))
    end = data.draw(st.integers(start, min(len(sample), start + 12)))
    parse(sample[:start] + data.draw(st.text(max_size=6)) + sample[end:])


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["cuda", "cuda_nvcc", "version", "runtimes", "url", "said", "status"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_no_json_makes_a_parser_fail(value: object) -> None:
    text = json.dumps(value)
    for parse in (parse_version_json, parse_daemon_json, parse_answers):
        parse(text)
