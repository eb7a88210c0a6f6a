"""Messages about GPU code: architectures that a compiler, a wheel or an operator does not cover, and memory."""

from doctor.logs.signature import ROOT, Signature

STACK = "python3 -m doctor stack # names the pinned stack whose torch has code for this GPU"

SIGNATURES = (
    Signature(
        name="nvcc-unknown-architecture",
        category="gpu-arch-unsupported",
        rank=ROOT,
        needles=(
            "unsupported gpu architecture",
            "is not defined for option 'gpu-name'",
            "is not a valid value for option",
            "invalid value for --gpu-architecture",
            "unsupported gpu arch",
        ),
        patterns=(
            r"unsupported gpu arch(?:itecture)? '?(?P<arch>(?:compute|sm)_\w+)",
            r"Value '(?P<arch2>sm_\w+)' is not defined for option 'gpu-name'",
            r"invalid value for --gpu-architecture",
        ),
        saw="the CUDA toolkit that compiles does not know this GPU's architecture ({arch}): it is older than the GPU, or has dropped it",
        fix=(
            "nvcc --version; which -a nvcc # /usr/bin/nvcc of the distribution often hides a newer one in /usr/local/cuda",
            "compute_86 needs CUDA 11.1, 89 and 90 need 11.8, 100 and 120 need 12.8; bevready's own extension needs no nvcc: ./bevready build-ext",
        ),
        sample="nvcc fatal   : Unsupported gpu architecture 'compute_89'",
    ),
    Signature(
        name="torch-without-this-gpu",
        category="gpu-arch-unsupported",
        rank=ROOT,
        needles=("is not compatible with the current pytorch installation",),
        patterns=(
            r"(?P<gpu>\S.{0,80}?) with CUDA capability (?P<arch>sm_\w+) is not compatible with the current PyTorch",
        ),
        saw="the installed PyTorch has no code for {arch} ({gpu})",
        fix=(STACK,),
        sample="NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch installation.",
    ),
    Signature(
        name="torch-dropped-this-gpu",
        category="gpu-arch-unsupported",
        rank=ROOT,
        needles=("pytorch no longer supports this gpu", "minimum cuda capability supported", "which is too old"),
        patterns=(
            r"PyTorch no longer supports this GPU",
            r"minimum (?:cuda )?capability supported by this library is",
            r"cuda capability (?P<arch>[\d.]+)\..*too old",
        ),
        saw="this PyTorch has dropped the GPU: it is too old for the release",
        fix=(STACK,),
        sample="Found GPU0 Tesla K40c which is of cuda capability 3.5. PyTorch no longer supports this GPU because it is too old.",
    ),
    Signature(
        name="no-kernel-image",
        category="gpu-arch-unsupported",
        needles=(
            "no kernel image is available",
            "device kernel image is invalid",
            "cudaerrornokernelimagefordevice",
            "invalid device function",
            "cudaerrorinvaliddevicefunction",
        ),
        patterns=(
            r"no kernel image is available",
            r"device kernel image is invalid",
            r"cudaErrorNoKernelImageForDevice",
            r"invalid device function",
            r"cudaErrorInvalidDeviceFunction",
        ),
        saw="a compiled operator (or PyTorch itself) holds no code for this GPU",
        fix=(
            "python3 -m doctor # says whether it is torch or an extension",
            'rebuild the extension for this GPU: TORCH_CUDA_ARCH_LIST="8.6+PTX" pip install --no-build-isolation --force-reinstall …',
        ),
        sample="RuntimeError: CUDA error: no kernel image is available for execution on the device",
    ),
    Signature(
        name="arch-list-unknown-to-torch",
        category="gpu-arch-unsupported",
        needles=("unknown cuda arch",),
        patterns=(r"Unknown CUDA arch \((?P<arch>[\w.+]+)\) or GPU not supported",),
        saw="this PyTorch's build helper does not know the architecture {arch}",
        fix=("echo $TORCH_CUDA_ARCH_LIST # name architectures that this PyTorch and nvcc know, such as 8.6+PTX", STACK),
        sample="ValueError: Unknown CUDA arch (8.9) or GPU not supported",
    ),
    Signature(
        name="prebuilt-without-this-gpu",
        category="gpu-arch-unsupported",
        needles=(
            "isn't compiled in prebuilt",
            "only supports ampere",
            "compute capability of at least",
            "requires compute capability",
            "requires a gpu with compute capability",
            "hopper gpus",
        ),
        patterns=(
            r"isn't compiled in prebuilt",
            r"only supports Ampere",
            r"compute capability of at least (?P<arch>[\d.]+)",
            r"requires (?:a GPU with )?compute capability",
        ),
        saw="a prebuilt operator does not support this GPU's architecture",
        fix=(
            "choose another build of that package, or switch the operator off (for flash-attn: use PyTorch's own attention)",
        ),
        sample="RuntimeError: FlashAttention only supports Ampere GPUs or newer.",
    ),
    Signature(
        name="gpu-out-of-memory",
        category="cuda-oom",
        rank=ROOT,
        needles=(
            "cuda out of memory",
            "cuda error: out of memory",
            "outofmemoryerror",
            "cublas_status_alloc_failed",
            "cudnn_status_alloc_failed",
            "cudaerrormemoryallocation",
            "hip out of memory",
        ),
        patterns=(
            r"CUDA out of memory(?:\. Tried to allocate (?P<wanted>[\d.]+ \w+))?",
            r"CUDA error: out of memory",
            r"torch\.(?:cuda\.)?OutOfMemoryError",
            r"CU(?:BLAS|DNN)_STATUS_ALLOC_FAILED",
            r"cudaErrorMemoryAllocation",
        ),
        saw="the GPU's memory is full (training needs about 6.5 GB for bevformer_tiny, 10.5 for small, 28.5 for base)",
        fix=(
            "nvidia-smi # does another process hold the memory?",
            "a smaller recipe, activation checkpointing, or fp16/bf16; PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True against fragments",
        ),
        sample="RuntimeError: CUDA out of memory. Tried to allocate 26.00 MiB (GPU 0; 5.80 GiB total capacity)",
    ),
)
