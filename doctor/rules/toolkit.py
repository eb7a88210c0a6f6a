"""CUD: the CUDA toolkits, judged for other people's extensions. bevready's own needs none (NVRTC)."""

from doctor.compat.toolkits import AS_OF, NEWEST, first_toolkit_for, toolkit_row
from doctor.facts import CudaHome, Gpus, Packages, Toolkit, ToolkitFolder, Toolkits, Torch, Unknown, dotted
from doctor.finding import Finding, Goal, Severity, rule
from doctor.versions import find_version
from doctor.words import say

OWN_NEEDS_NONE = "not needed for ./bevready build-ext, which uses NVRTC"
CUDART = "libcudart.so"
WHEEL_PARTS = ("nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-cuda-crt")


@rule("CUD01", "CUDA_HOME names a toolkit", category="toolkit-missing")
def cuda_home_is_real(home: CudaHome, goal: Goal) -> Finding | None:
    """Build scripts believe the variable before they look at PATH."""
    if home.has_nvcc:
        return None
    return Finding(
        saw=say("{home}, but {path}/bin/nvcc does not exist", home=home, path=home.path),
        expected="a folder with bin/nvcc",
        fix=("unset CUDA_HOME CUDA_PATH", "or point it to a toolkit: ls -d /usr/local/cuda*"),
        severity=_for_build(goal),
    )


@rule("CUD02", "nvcc and PyTorch share a CUDA major version", category="toolkit-torch-mismatch")
def nvcc_matches_torch(toolkit: Toolkit, torch: Torch, goal: Goal) -> Finding | None:
    """An extension links PyTorch's libcudart; across majors PyTorch refuses to build. Minors may differ."""
    if torch.cuda is None or toolkit.version[0] == torch.cuda[0]:
        return None
    fitting = [folder for folder in toolkit.others if folder.rsplit("-", 1)[-1].split(".")[0] == str(torch.cuda[0])]
    cuda = dotted(torch.cuda)
    return Finding(
        saw=say("{toolkit}, and PyTorch was built for CUDA {cuda}", toolkit=toolkit, cuda=cuda),
        expected=say("nvcc of CUDA {major}", major=torch.cuda[0]),
        fix=(
            _lead_to(fitting[-1]) if fitting else say("install the CUDA {cuda} toolkit", cuda=cuda),
            OWN_NEEDS_NONE,
        ),
        severity=_for_build(goal),
    )


@rule("CUD03", "nvcc compiles for every GPU", category="gpu-arch-unsupported")
def nvcc_knows_gpus(toolkit: Toolkit, gpus: Gpus, goal: Goal) -> Finding | None:
    """`Unsupported gpu architecture`: the toolkit is older than the GPU, or dropped it."""
    row = toolkit_row(toolkit.version[:2])
    for gpu in gpus.found:
        if row is None or row.compiles_for(gpu.capability):
            continue
        first = first_toolkit_for(gpu.capability)
        expected = (
            say("CUDA {first} or a later one that still has it", first=dotted(first)) if first else "a newer toolkit"
        )
        return Finding(
            saw=say("nvcc {version} does not compile for {gpu}", version=dotted(toolkit.version[:2]), gpu=gpu),
            expected=expected,
            fix=(
                "ls -d /usr/local/cuda-* # another one? export CUDA_HOME to it",
                say("else install {toolkit}", toolkit=expected),
            ),
            severity=_for_build(goal),
        )
    return None


@rule("CUD04", "nvcc is one that the doctor's table knows", category="other")
def nvcc_is_known(toolkit: Toolkit) -> Finding | None:
    """An nvcc that is newer than the table cannot be judged by it, and is not called wrong."""
    if toolkit.version[:2] <= NEWEST:
        return None
    return Finding(
        saw=say("nvcc {version} is newer than the table of {date}", version=dotted(toolkit.version), date=AS_OF),
        expected=say("CUDA up to {newest}", newest=dotted(NEWEST)),
        fix=("nothing to do; which compilers it accepts stands in its crt/host_config.h",),
        severity="note",
    )


@rule("CUD05", "the toolkit has the headers that extensions include", category="toolkit-missing")
def toolkit_is_whole(toolkit: Toolkit, toolkits: Toolkits | Unknown, goal: Goal) -> Finding | None:
    """PyTorch's ATen/cuda headers include cusparse.h, cublas_v2.h and cusolverDn.h; a partial toolkit lacks them."""
    here = toolkits.at(toolkits.taken) if isinstance(toolkits, Toolkits) else None
    kind = here.kind if here else "folder"
    lacks = [name for name in toolkit.lacks if not (kind == "wheels" and name == CUDART)]
    if not lacks:
        return None
    release = dotted(toolkit.version[:2])
    remedies = {
        "conda": say("conda install -c nvidia cuda-toolkit={release}", release=release),
        "wheels": "pip install nvidia-cuda-cccl nvidia-cublas nvidia-cusparse nvidia-cusolver",
    }
    package: str = say("sudo apt install cuda-toolkit-{release}", release=release.replace(".", "-"))
    others = toolkits.not_taken if isinstance(toolkits, Toolkits) else ()
    another = [_lead_to(folder.root) for folder in others if folder.kind == "folder"][-1:]
    install = remedies.get(kind, package)
    return Finding(
        saw=say("{toolkit} lacks {names}", toolkit=toolkit, names=", ".join(lacks)),
        expected="a whole toolkit",
        fix=(*another, install, OWN_NEEDS_NONE),
        severity=_for_build(goal),
    )


@rule("CUD06", "CUDA_HOME and PATH lead to the same toolkit", category="toolkit-torch-mismatch")
def home_agrees_with_path(home: CudaHome, toolkit: Toolkit, toolkits: Toolkits, goal: Goal) -> Finding | None:
    """PyTorch builds with the one of CUDA_HOME, CMake and make with the one on PATH: two halves that may not link."""
    on_path = toolkits.at(toolkits.on_path)
    if on_path is None or toolkits.on_path == toolkits.taken or not home.has_nvcc:
        return None
    if on_path.version and on_path.version[:2] == toolkit.version[:2]:
        return None
    return Finding(
        saw=say(
            "{home} is CUDA {version}, but nvcc on PATH is {other}",
            home=home,
            version=dotted(toolkit.version[:2]),
            other=on_path,
        ),
        expected="one toolkit",
        fix=(say("export PATH={path}/bin:$PATH", path=home.path),),
        severity=_for_build(goal),
    )


@rule("CUD07", "no other nvcc hides NVIDIA's toolkit", category="toolkit-torch-mismatch")
def nothing_shadows(toolkit: Toolkit, toolkits: Toolkits, torch: Torch | Unknown, goal: Goal) -> Finding | None:
    """Ubuntu's package puts CUDA 11.5 into /usr/bin, conda its own nvcc first on PATH; builds take what is first."""
    here = toolkits.at(toolkits.taken)
    if toolkit.found_by != "PATH" or here is None or here.kind not in {"distribution", "conda"}:
        return None
    others = [
        folder
        for folder in toolkits.not_taken
        if folder.kind == "folder" and folder.version and folder.version[:2] != toolkit.version[:2]
    ]
    if not others:
        return None
    best = _best(others, torch)
    return Finding(
        saw=say("a build takes {toolkit}, while {other} is here", toolkit=toolkit, other=best),
        expected="the toolkit that you mean first on PATH",
        fix=(_lead_to(best.root), *(("sudo apt remove nvidia-cuda-toolkit",) if here.kind == "distribution" else ())),
        severity=_for_build(goal),
        evidence=tuple(map(str, toolkits.found)),
    )


@rule("CUD08", "a build finds a CUDA toolkit", category="toolkit-missing")
def a_build_finds_one(
    toolkit: Toolkit | Unknown,
    toolkits: Toolkits | Unknown,
    home: CudaHome | Unknown,
    torch: Torch | Unknown,
    goal: Goal,
) -> Finding | None:
    """`CUDA_HOME environment variable is not set`: extensions of other projects are compiled with nvcc."""
    if isinstance(toolkit, Toolkit) or not toolkit.looked or isinstance(home, CudaHome):
        return None
    if isinstance(toolkits, Toolkits):
        best = _best(list(toolkits.found), torch)
        return Finding(
            saw=say("{toolkit} is here, but neither PATH nor CUDA_HOME leads to it", toolkit=best),
            expected="nvcc on PATH",
            fix=(_lead_to(best.root), OWN_NEEDS_NONE),
            severity=_for_build(goal),
        )
    if not goal.builds:
        return None
    cuda = torch.cuda if isinstance(torch, Torch) and torch.cuda else NEWEST
    return Finding(
        saw="there is no CUDA toolkit on this machine",
        expected=say("none for bevready; CUDA {cuda} for the extensions of other projects", cuda=dotted(cuda)),
        fix=(OWN_NEEDS_NONE, _install(cuda)),
        severity="note",
    )


@rule("CUD09", "nvcc from pip's wheels has parts of one version", category="toolkit-torch-mismatch")
def wheels_agree(packages: Packages, goal: Goal) -> Finding | None:
    """`Unsupported .version`: pip pulls the newest nvvm and crt beside an older nvcc unless all three are pinned."""
    versions = {name: find_version(packages.of(name) or "") for name in WHEEL_PARTS}
    releases = {version[:2] for version in versions.values() if version}
    nvcc = versions[WHEEL_PARTS[0]]
    if nvcc is None or len(releases) == 1:
        return None
    release = dotted(nvcc[:2])
    return Finding(
        saw=", ".join(f"{name} {packages.of(name)}" for name, version in versions.items() if version),
        expected=say("all of {release}", release=release),
        fix=(say("pip install {names}", names=" ".join(f"{name}=={release}.*" for name in WHEEL_PARTS)),),
        severity=_for_build(goal),
    )


@rule("CUD10", "a toolkit from pip's wheels can link", category="toolkit-missing")
def wheels_link(toolkit: Toolkit, toolkits: Toolkits, goal: Goal) -> Finding | None:
    """`cannot find -lcudart`: the wheels hold libcudart.so.13, a linker asks for libcudart.so."""
    here = toolkits.at(toolkits.taken)
    if here is None or here.kind != "wheels" or CUDART not in toolkit.lacks:
        return None
    return Finding(
        saw=say("{root}/lib has no {library}", root=here.root, library=CUDART),
        expected="links by the names that linkers ask for",
        fix=(
            say("ln -s libcudart.so.{major} {root}/lib/libcudart.so", major=toolkit.version[0], root=here.root),
            say("ln -s lib {root}/lib64", root=here.root),
        ),
        severity=_for_build(goal),
    )


def _best(folders: list[ToolkitFolder], torch: Torch | Unknown) -> ToolkitFolder:
    """Return the toolkit that fits torch, the newest of several."""
    major = torch.cuda[:1] if isinstance(torch, Torch) and torch.cuda else None
    return max(folders, key=lambda folder: ((folder.version or ())[:1] == major, folder.version or ()))


def _lead_to(root: str) -> str:
    return f"export CUDA_HOME={root} PATH={root}/bin:$PATH"


def _install(cuda: tuple[int, int]) -> str:
    """Return how to get a toolkit of this release: from PyPI where that is whole (CUDA 13), else from NVIDIA's."""
    release = dotted(cuda)
    if cuda[0] < 13:
        return f"sudo apt install cuda-toolkit-{release.replace('.', '-')}"
    parts = " ".join(f"{name}=={release}.*" for name in (*WHEEL_PARTS, "nvidia-cuda-runtime"))
    return f"pip install {parts} nvidia-cuda-cccl"


def _for_build(goal: Goal) -> Severity:
    return "warning" if goal.builds else "note"


RULES = (
    cuda_home_is_real,
    nvcc_matches_torch,
    nvcc_knows_gpus,
    nvcc_is_known,
    toolkit_is_whole,
    home_agrees_with_path,
    nothing_shadows,
    a_build_finds_one,
    wheels_agree,
    wheels_link,
)
