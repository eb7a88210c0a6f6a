"""An environment as the probes see it: where its folders lie, a whole torch of CUDA 12.4, packages and copies."""

from __future__ import annotations

from doctor.facts import Copy, Environment, Packages, Torch, TorchFiles

SITE = "/env/lib/python3.10/site-packages"
USER = "/home/user/.local/lib/python3.10/site-packages"
HERE = "/home/user/BEVFormer"
CUDA_FILES = TorchFiles(
    folder=f"{SITE}/torch",
    files=("_C.cpython-310-x86_64-linux-gnu.so", "__init__.py"),
    libraries=("libc10.so", "libc10_cuda.so", "libtorch_cpu.so", "libtorch_cuda.so", "libtorch_python.so"),
    requires=(("nvidia-cudnn-cu12", "9.1.0.70"), ("triton", "3.1.0")),
    installer="pip",
)
WHOLE = Environment(prefix="/env", here=HERE, folders=(SITE,), torch=CUDA_FILES)
CU124 = Torch(version="2.5.1+cu124", cuda=(12, 4))
CPU = Torch(version="2.5.1+cpu", cuda=None)


def packages(**found: str) -> Packages:
    return Packages("/env/bin/python", (3, 10, 14), tuple((name.replace("_", "-"), v) for name, v in found.items()))


def copy(name: str, version: str, folder: str = SITE, file: str = "") -> Copy:
    return Copy(name, version, folder, file or f"{name}-{version}.dist-info")
