"""CUD, continued: the GPUs that a build is told to compile for, and a linker's stand-in for the driver's library."""

from doctor.compat.archs import coverage
from doctor.compat.toolkits import parse_arch_list, toolkit_row
from doctor.facts import BuildVariables, Gpus, Toolkit, Unknown, dotted
from doctor.finding import Finding, Goal, Severity, rule
from doctor.words import say

VARIABLE = "TORCH_CUDA_ARCH_LIST"


@rule("CUD11", "TORCH_CUDA_ARCH_LIST is a list that PyTorch can read", category="gpu-arch-unsupported")
def arch_list_is_well_formed(variables: BuildVariables, goal: Goal) -> Finding | None:
    """`Unknown CUDA arch (sm_86) or GPU not supported`: every word is a number with a dot, or a family's name."""
    bad = parse_arch_list(variables.arch_list).bad
    if not bad:
        return None
    return Finding(
        saw=say("TORCH_CUDA_ARCH_LIST={value}: cannot read {word}", value=variables.arch_list, word=bad[0]),
        expected="numbers with a dot, split by semicolons: 8.6;9.0+PTX",
        fix=("export TORCH_CUDA_ARCH_LIST='8.6;9.0'", "or, for the GPUs that are here: unset TORCH_CUDA_ARCH_LIST"),
        severity=_for_build(goal),
    )


@rule("CUD12", "TORCH_CUDA_ARCH_LIST covers every GPU here", category="gpu-arch-unsupported")
def arch_list_covers_gpus(variables: BuildVariables, gpus: Gpus, goal: Goal) -> Finding | None:
    """`no kernel image is available`: what is built for other GPUs does not run on this one."""
    listed = parse_arch_list(variables.arch_list)
    if not listed.archs:
        return None
    left_out = [gpu for gpu in gpus.found if coverage(listed.names, gpu.capability) == "none"]
    if not left_out:
        return None
    wanted = ";".join(dict.fromkeys(dotted(gpu.capability) for gpu in gpus.found))
    return Finding(
        saw=say("TORCH_CUDA_ARCH_LIST={value} leaves out {gpu}", value=variables.arch_list, gpu=left_out[0]),
        expected=say("a list with {archs}", archs=wanted),
        fix=(say("export TORCH_CUDA_ARCH_LIST='{archs}'", archs=wanted), "or: unset TORCH_CUDA_ARCH_LIST"),
        severity=_for_build(goal),
    )


@rule("CUD13", "nvcc compiles for everything in TORCH_CUDA_ARCH_LIST", category="gpu-arch-unsupported")
def nvcc_knows_arch_list(variables: BuildVariables, toolkit: Toolkit, goal: Goal) -> Finding | None:
    """`nvcc fatal: Unsupported gpu architecture`: one word of the list that nvcc does not know ends the build."""
    row = toolkit_row(toolkit.version[:2])
    unknown = [arch for arch in parse_arch_list(variables.arch_list).archs if row and not row.compiles_for(arch)]
    if not unknown:
        return None
    return Finding(
        saw=say(
            "TORCH_CUDA_ARCH_LIST={value}, and nvcc {version} does not know {arch}",
            value=variables.arch_list,
            version=dotted(toolkit.version[:2]),
            arch=dotted(unknown[0]),
        ),
        expected="architectures of this nvcc",
        fix=(say("take {arch} out of TORCH_CUDA_ARCH_LIST, or build with another toolkit", arch=dotted(unknown[0])),),
        severity=_for_build(goal),
    )


@rule("CUD14", "a build without a GPU is told which GPUs to build for", category="gpu-arch-unsupported")
def blind_build_is_told(
    variables: BuildVariables, toolkit: Toolkit, gpus: Gpus | Unknown, goal: Goal
) -> Finding | None:
    """`docker build` sees no GPU: setup scripts then stop, build for the CPU only, or guess the architectures."""
    if not goal.builds or isinstance(gpus, Gpus) or not gpus.looked or variables.arch_list:
        return None
    return Finding(
        saw=say("{toolkit}, no GPU in sight, and TORCH_CUDA_ARCH_LIST is not set", toolkit=toolkit),
        expected="the architectures of the GPUs that it will run on",
        fix=(
            "export TORCH_CUDA_ARCH_LIST='8.6;9.0' FORCE_CUDA=1 # in a Dockerfile: ENV",
            "for bevready's own: ./bevready build-ext --arch 8.6,9.0",
        ),
        severity="warning",
    )


def _for_build(goal: Goal) -> Severity:
    return "warning" if goal.builds else "note"


RULES = (
    arch_list_is_well_formed,
    arch_list_covers_gpus,
    nvcc_knows_arch_list,
    blind_build_is_told,
)
