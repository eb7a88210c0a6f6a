"""From a plan to a shared object: g++ and NVRTC side by side, then the images and the manifest, then the linker."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from doctor.build.jobs import Job, run_all
from doctor.build.plan import DEVICE_FLAGS, LIBRARY
from doctor.images import MANIFEST_SECTION, SECTION, Image, pack
from doctor.toolchain import NVRTC_CHILD, Nvrtc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doctor.build.jobs import Done
    from doctor.build.plan import Plan

# The names are hidden: an older build of the same process keeps its own.
BLOB = """
        .section {section},"a",%progbits
        .balign 64
        .globl  {symbol}_begin, {symbol}_end
        .hidden {symbol}_begin, {symbol}_end
{symbol}_begin:
        .incbin "{file}"
{symbol}_end:
        .byte   0
"""


def compile_and_link(plan: Plan, room: Path, manifest: dict[str, Any], tell: Callable[[Done], None]) -> Path:
    """Build in the folder `room`; return the shared object. Raises JobFailedError with the compiler's words."""
    host = [_host_job(plan, unit, room) for unit in plan.host_units]
    device = [
        _device_job(plan.nvrtc, source, arch, plan.targets_of(arch), room)
        for arch in reversed(plan.archs)
        for source in plan.device_sources
        if plan.nvrtc
    ]
    run_all([*host[:1], *device, *host[1:]], tell)  # what takes longest first
    images = [
        Image(source.stem, target, _code(room, source, target).read_bytes())
        for target in plan.targets
        for source in plan.device_sources
    ]
    (room / "images.bin").write_bytes(pack(images))
    (room / "manifest.bin").write_text(json.dumps(manifest, sort_keys=True), encoding="utf-8")
    (room / "blobs.s").write_text(_assembly(room), encoding="utf-8")
    run_all(
        [
            Job(
                "embed the device code",
                (plan.compiler.path, "-c", _blobs(room, "s"), "-o", _blobs(room, "o")),
                room / "embed.log",
            )
        ],
        tell,
    )
    run_all([_link_job(plan, room)], tell)
    return room / LIBRARY


def _host_job(plan: Plan, unit: tuple[Path, ...], room: Path) -> Job:
    includes = [word for folder in plan.includes for word in ("-isystem", str(folder))]
    words = (plan.compiler.path, *plan.host_flags, f"-I{plan.folder}", *includes)
    source, output = unit[0], _object(unit, room)
    if len(unit) > 1:
        source = output.with_suffix(".cpp")
        source.write_text("".join(f'#include "{path}"\n' for path in unit), encoding="utf-8")
    names = ", ".join(path.name for path in unit)
    return Job(f"compile {names}", (*words, "-c", str(source), "-o", str(output)), output.with_suffix(".log"))


def _object(unit: tuple[Path, ...], room: Path) -> Path:
    return room / ("_".join(path.stem for path in unit) + ".o")


def _device_job(nvrtc: Nvrtc, source: Path, arch: str, targets: tuple[str, ...], room: Path) -> Job:
    options = (*DEVICE_FLAGS, f"--include-path={nvrtc.headers}", f"--include-path={source.parent}")
    words = (
        sys.executable,
        "-B",
        str(NVRTC_CHILD),
        str(nvrtc.library),
        str(source),
        ",".join(targets),
        str(room),
        *options,
    )
    return Job(f"compile {source.name} for {' and '.join(targets)}", words, room / f"{source.stem}.{arch}.log")


def _link_job(plan: Plan, room: Path) -> Job:
    objects = [str(_object(unit, room)) for unit in plan.host_units]
    libraries = plan.torch.folder / "lib"
    # torch's own thread library, by its path: -fopenmp here would name the compiler's, a second one in the process
    openmp = [str(path) for path in _openmp(plan) if path.exists()]
    words = (
        plan.compiler.path,
        "-shared",
        *objects,
        _blobs(room, "o"),
        "-o",
        str(room / LIBRARY),
        f"-L{libraries}",
        "-Wl,--no-as-needed",
        "-ltorch_cpu",
        "-lc10",
        "-Wl,--as-needed",
        *openmp,
        "-ldl",
        f"-Wl,-rpath,{libraries}",
        "-Wl,--exclude-libs,ALL",
    )
    return Job("link", words, room / "link.log")


def _openmp(plan: Plan) -> tuple[Path, ...]:
    """Return where torch's thread library may lie: torch/lib, or torch.libs of repaired wheels."""
    if not plan.openmp:
        return ()
    root = plan.torch.folder
    return root / "lib" / plan.torch.openmp, root.parent / "torch.libs" / plan.torch.openmp


def _assembly(room: Path) -> str:
    images = BLOB.format(section=SECTION, symbol="bevready_images", file=room / "images.bin")
    manifest = BLOB.format(section=MANIFEST_SECTION, symbol="bevready_manifest", file=room / "manifest.bin")
    return f'{images}{manifest}\n        .section .note.GNU-stack,"",%progbits\n'


def _code(room: Path, source: Path, target: str) -> Path:
    return room / f"{source.stem}.{target}"


def _blobs(room: Path, ending: str) -> str:
    return str(room / f"blobs.{ending}")
