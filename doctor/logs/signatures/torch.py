"""Messages of PyTorch builds without CUDA, and of C++ that PyTorch has removed."""

from doctor.logs.signature import MISSING_HEADER, ROOT, Signature

DOCKER_BUILD = r"^#?\d+ \d+\.\d+ |^\d+\.\d{3} {2,}|failed to solve|^Step \d+/\d+ :|ERROR \[|^The command '/bin/sh -c|did not complete successfully"
REPLACE = "./bevready repro … installs a pinned CUDA build into .venv; elsewhere: pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu128"

SIGNATURES = (
    Signature(
        name="torch-without-cuda",
        category="torch-cpu-only-build",
        rank=ROOT,
        needles=(
            "torch not compiled with cuda enabled",
            "pytorch was compiled without cuda",
            "not linked with support for cuda",
            "distributed package doesn't have nccl",
        ),
        patterns=(
            r"Torch not compiled with CUDA enabled",
            r"PyTorch was compiled without CUDA",
            r"not linked with support for cuda",
            r"Distributed package doesn't have NCCL",
        ),
        saw="the installed PyTorch is a CPU-only build",
        fix=(REPLACE,),
        sample="AssertionError: Torch not compiled with CUDA enabled",
    ),
    Signature(
        name="build-without-gpu-in-docker",
        category="docker-gpu-runtime",
        rank=ROOT,
        needles=("arch_list[-1] += '+ptx'", "no cuda runtime is found", "cuda is not availabel"),
        patterns=(
            r"arch_list\[-1\] \+= '\+PTX'",
            r"No CUDA runtime is found",
            r"Cuda is not availabel",
        ),
        also=DOCKER_BUILD,
        saw="an image is built without a GPU, so PyTorch cannot guess for which architectures to compile",
        fix=(
            'in the Dockerfile: ENV TORCH_CUDA_ARCH_LIST="8.0;8.6;8.9;9.0+PTX" FORCE_CUDA=1',
            "a build has no GPU, whatever the runtime; --gpus belongs to docker run",
        ),
        sample="1.181     arch_list[-1] += '+PTX'\n1.181 IndexError: list index out of range\nERROR: failed to solve: process",
    ),
    Signature(
        name="no-gpu-while-building",
        category="torch-cpu-only-build",
        rank=ROOT,
        confidence="likely",
        needles=("arch_list[-1] += '+ptx'", "no cuda runtime is found", "_cpu as pytorch extensions root"),
        patterns=(
            r"arch_list\[-1\] \+= '\+PTX'",
            r"No CUDA runtime is found",
            r"py\d+_cpu as PyTorch extensions root",
        ),
        also=r"Traceback|\bError\b|Error:|error:|错误",
        saw="PyTorch sees no GPU while it compiles CUDA code: a CPU-only build, no driver, or the GPU is hidden",
        fix=(
            "python3 -c 'import torch; print(torch.__version__, torch.version.cuda)' # None: a CPU-only build",
            'to build without a GPU: export TORCH_CUDA_ARCH_LIST="8.6" FORCE_CUDA=1',
        ),
        sample="No CUDA runtime is found, using CUDA_HOME='/usr/local/cuda-11.3'\nIndexError: list index out of range",
    ),
    Signature(
        name="cuda-checkpoint-on-cpu",
        category="torch-cpu-only-build",
        confidence="likely",
        needles=("deserialize object on a cuda device", "deserialize object on cuda device"),
        patterns=(r"deserialize object on (?:a )?CUDA device.*(?:is_available\(\) is False|device_count)",),
        saw="a file saved on a GPU is loaded where PyTorch sees none",
        fix=("torch.load(file, map_location='cpu', weights_only=True)", REPLACE),
        sample="RuntimeError: Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False.",
    ),
    Signature(
        name="cuda-half-of-torch-missing",
        category="torch-cpu-only-build",
        confidence="likely",
        needles=("libtorch_cuda.so", "libc10_cuda.so", "c10/cuda/cudamacros.h", "cuda_cmake_macros.h"),
        patterns=(
            r"lib(?:torch_cuda|c10_cuda)\.so: cannot open shared object",
            r"cuda_cmake_macros\.h",
        ),
        saw="a CUDA operator is used with a PyTorch that has no CUDA half: a CPU-only build",
        fix=(REPLACE,),
        sample="ImportError: libtorch_cuda.so: cannot open shared object file: No such file or directory",
    ),
    Signature(
        name="thc-headers",
        category="header-removed-in-torch",
        rank=ROOT,
        needles=("thc/", "th/th", "thcunn", "thcdeviceutils", "thcatomics"),
        patterns=(MISSING_HEADER + r"(?P<header>THC?(?:UNN)?/[\w./]+)",),
        saw="the sources include {header}; PyTorch 1.11 removed the TH and THC headers",
        fix=(
            "use a newer release of that package, or replace THC calls by their ATen twins (THCCeilDiv → at::ceil_div, THCudaMalloc → c10::cuda::CUDACachingAllocator)",
            "or PyTorch 1.10 and older",
        ),
        sample="fatal error: THC/THC.h: No such file or directory",
    ),
    Signature(
        name="thc-names",
        category="header-removed-in-torch",
        needles=(
            "thcceildiv",
            "thcudacheck",
            "thcudamalloc",
            "thcudafree",
            "thcstate",
            "at_check",
            "at_assert",
            "thcnumerics",
            "thargcheck",
            "therror",
            "thtensor",
        ),
        patterns=(
            r"(?:error|错误|Fehler|erreur).{0,80}'?\"?(?P<name>TH[A-Z]\w+|AT_CHECK|AT_ASSERTM?)\"?'?",
            r"'?\"?(?P<name2>TH[A-Z]\w+|AT_CHECK)\"?'? (?:was not declared|is undefined|未声明|在此作用域中尚未声明)",
        ),
        saw="the sources use names that PyTorch has removed (TH, THC, AT_CHECK)",
        fix=(
            "use a newer release of that package; AT_CHECK became TORCH_CHECK, THC names became at:: and c10::cuda:: ones",
        ),
        sample='error: identifier "AT_CHECK" is undefined',
    ),
    Signature(
        name="tensor-type",
        category="header-removed-in-torch",
        rank=ROOT,
        needles=("deprecatedtypeproperties",),
        patterns=(
            r"(?:no suitable conversion|cannot convert|could not convert|no viable conversion|invalid conversion|无法从|不能将).{0,60}DeprecatedTypeProperties",
            r"DeprecatedTypeProperties.{0,80}(?:ScalarType|to type)",
        ),
        never=r"^(?!.*error).*warning.*is deprecated(?![\s\S]*error)",
        saw="AT_DISPATCH is given Tensor.type(), which PyTorch 2.6 no longer converts",
        fix=(
            "in the sources: AT_DISPATCH_…(value.type(), …) → value.scalar_type(); value.type().is_cuda() → value.is_cuda()",
            "or PyTorch 2.5 and older; bevready's own operator compiles with all pinned stacks",
        ),
        sample='error: no suitable conversion function from "const at::DeprecatedTypeProperties" to "c10::ScalarType" exists',
    ),
    Signature(
        name="caffe2-headers",
        category="header-removed-in-torch",
        confidence="likely",
        needles=("caffe2/", "aten/cuda/", "c10/", "torch/csrc/"),
        patterns=(MISSING_HEADER + r"(?P<header>(?:caffe2|ATen/cuda|c10|torch/csrc)/[\w./+]+)",),
        saw="the sources include {header}, which this PyTorch does not have",
        fix=("use a release of that package made for this PyTorch, or the PyTorch it was written for",),
        sample="fatal error: caffe2/core/macros.h: No such file or directory",
    ),
    Signature(
        name="member-removed",
        category="header-removed-in-torch",
        confidence="likely",
        needles=("has no member", "is not a member of", "no member named"),
        patterns=(
            r"(?:class|struct|namespace)? ?\"?'?(?:at|c10|torch)(?:::\w+)*(?:<[^>]*>)?\"?'? has no member (?:named )?\"?'?(?P<name>\w+)",
            r"'(?P<name2>\w+)' is not a member of '(?:at|c10|torch)(?:::\w+)*'",
            r"no member named '(?P<name3>\w+)' in (?:namespace )?'(?:at|c10|torch)",
        ),
        saw="the sources use a member of PyTorch's C++ interface that this release does not have",
        fix=("use a release of that package made for this PyTorch, or the PyTorch it was written for",),
        sample="error: 'class at::Tensor' has no member named 'is_distributed_tensor'",
    ),
)
