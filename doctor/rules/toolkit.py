"""CUD: the CUDA toolkit, judged for other people's extensions. bevready's own needs none (NVRTC)."""

from doctor.compat.toolkits import AS_OF, NEWEST, first_toolkit_for, toolkit_row
from doctor.facts import CudaHome, Gpus, Toolkit, Torch, dotted
from doctor.finding import Finding, Goal, rule


@rule("CUD01", "CUDA_HOME names a toolkit", category="toolkit-missing")
def cuda_home_is_real(home: CudaHome, goal: Goal) -> Finding | None:
    """Build scripts believe the variable before they look at PATH."""
    if home.has_nvcc:
        return None
    return Finding(
        saw=f"{home}, but {home.path}/bin/nvcc does not exist",
        expected="a folder with bin/nvcc",
        fix=("unset CUDA_HOME CUDA_PATH", "or point it to a toolkit: ls -d /usr/local/cuda*"),
        severity="warning" if goal.builds else "note",
    )


@rule("CUD02", "nvcc and PyTorch share a CUDA major version", category="toolkit-torch-mismatch")
def nvcc_matches_torch(toolkit: Toolkit, torch: Torch, goal: Goal) -> Finding | None:
    """An extension links PyTorch's libcudart; across majors PyTorch refuses to build. Minors may differ."""
    if torch.cuda is None or toolkit.version[0] == torch.cuda[0]:
        return None
    fitting = [folder for folder in toolkit.others if folder.rsplit("-", 1)[-1].split(".")[0] == str(torch.cuda[0])]
    export = f"export CUDA_HOME={fitting[-1]} PATH={fitting[-1]}/bin:$PATH" if fitting else ""
    return Finding(
        saw=f"{toolkit}, and PyTorch was built for CUDA {dotted(torch.cuda)}",
        expected=f"nvcc of CUDA {torch.cuda[0]}",
        fix=(
            export or f"install the CUDA {dotted(torch.cuda)} toolkit",
            "not needed for ./bevready build-ext, which uses NVRTC",
        ),
        severity="warning" if goal.builds else "note",
    )


@rule("CUD03", "nvcc compiles for every GPU", category="gpu-arch-unsupported")
def nvcc_knows_gpus(toolkit: Toolkit, gpus: Gpus, goal: Goal) -> Finding | None:
    """`Unsupported gpu architecture`: the toolkit is older than the GPU, or dropped it."""
    row = toolkit_row(toolkit.version[:2])
    for gpu in gpus.found:
        if row is None or row.compiles_for(gpu.capability):
            continue
        first = first_toolkit_for(gpu.capability)
        expected = f"CUDA {dotted(first)} or a later one that still has it" if first else "a newer toolkit"
        return Finding(
            saw=f"nvcc {dotted(toolkit.version[:2])} does not compile for {gpu}",
            expected=expected,
            fix=("ls -d /usr/local/cuda-* # another one? export CUDA_HOME to it", f"else install {expected}"),
            severity="warning" if goal.builds else "note",
        )
    return None


@rule("CUD04", "nvcc is one that the doctor's table knows", category="other")
def nvcc_is_known(toolkit: Toolkit) -> Finding | None:
    """What is newer than the table cannot be judged by it, and is not called wrong."""
    if toolkit.version[:2] <= NEWEST:
        return None
    return Finding(
        saw=f"nvcc {dotted(toolkit.version)} is newer than the table of {AS_OF}",
        expected=f"CUDA up to {dotted(NEWEST)}",
        fix=("nothing to do; which compilers it accepts stands in its crt/host_config.h",),
        severity="note",
    )


RULES = (cuda_home_is_real, nvcc_matches_torch, nvcc_knows_gpus, nvcc_is_known)
