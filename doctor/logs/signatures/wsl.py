"""Messages of the Windows Subsystem for Linux."""

from doctor.logs.signature import ROOT, Signature

WINDOWS_DRIVER = r"WDDM|Driver Version\s*:\s*(?:45[1-46-9]|46[1-46-9]|47[1-46-9]|49[6-9]|51[1-46-9]|52[1-46-9]|53[1-46-9]|54[1-46-9]|55[1-46-9]|56[1-46-9]|57[1-46-9])\.\d\d\b"

SIGNATURES = (
    Signature(
        name="wsl-without-adapter",
        category="wsl",
        rank=ROOT,
        needles=("wsl environment detected but no adapters",),
        patterns=(r"WSL environment detected but no adapters",),
        saw="Windows shows no GPU to WSL: WSL 1, an old Windows driver or kernel, or a GPU in TCC mode",
        fix=("wsl --update; wsl --shutdown; nvidia-smi # in PowerShell; wsl -l -v has to say version 2",),
        sample="nvidia-container-cli: initialization error: WSL environment detected but no adapters were found: unknown",
    ),
    Signature(
        name="wsl-1",
        category="wsl",
        rank=ROOT,
        needles=("function not implemented", "-microsoft", "kmod_search_moddep"),
        patterns=(
            r"could not insert '?nvidia\S*: Function not implemented",
            r"/lib/modules/(?:3\.4\.0\+|4\.4\.0-\d+-Microsoft)",
            r"\b4\.4\.0-\d{5}-Microsoft\b",
        ),
        saw="this is the first Windows subsystem (WSL 1): it has no GPU and no kernel modules",
        fix=(
            "wsl --set-version DISTRIBUTION 2 # in PowerShell; then a current NVIDIA driver for Windows, none inside",
        ),
        sample="modprobe: ERROR: could not insert 'nvidia_367': Function not implemented",
    ),
    Signature(
        name="wsl-blocked",
        category="wsl",
        rank=ROOT,
        needles=(
            "failed to initialize nvml: n/a",
            "0x80370102",
            "0x800701bc",
            "0x8007019e",
            "libdxcore.so",
            "/usr/lib/wsl/lib/nvidia-smi",
            "gpu access blocked by the operating system",
            "libcuda.so.1 is not a symbolic link",
            "wslregisterdistribution failed",
            "wsl/service/createinstance",
        ),
        patterns=(
            r"Failed to initialize NVML: N/A",
            r"0x(?:80370102|800701bc|8007019e)",
            r"libdxcore\.so",
            r"/usr/lib/wsl/lib/nvidia-smi: .*(?:denied|error|cannot)",
            r"GPU access blocked by the operating system",
            r"/usr/lib/wsl/lib/libcuda\.so\.1 is not a symbolic link",
            r"WslRegisterDistribution failed",
            r"Wsl/Service/CreateInstance/\S+",
        ),
        saw="the Windows side of WSL stands in the way: an old Windows driver or kernel, or WSL's libcuda is not set up",
        fix=(
            "wsl --update; wsl --shutdown # in PowerShell, after a current NVIDIA driver for Windows is installed",
            "install no Linux driver inside WSL: it hides /usr/lib/wsl/lib/libcuda.so.1",
        ),
        sample="Failed to initialize NVML: GPU access blocked by the operating system",
    ),
    Signature(
        name="wsl-libcuda-not-found",
        category="wsl",
        confidence="likely",
        needles=("libcuda.so",),
        patterns=(r"libcuda\.so(?:\.1)?\s*:\s*cannot open shared object",),
        also=r"microsoft-standard-WSL|/usr/lib/wsl|\bWSL2?\b|libcudnn_cnn_infer|/mnt/[a-z]/",
        saw="programs do not find WSL's libcuda in /usr/lib/wsl/lib",
        fix=("export LD_LIBRARY_PATH=/usr/lib/wsl/lib:$LD_LIBRARY_PATH",),
        sample="Could not load library libcudnn_cnn_infer.so.8. Error: libcuda.so: cannot open shared object file: No such file or directory",
    ),
    Signature(
        name="wsl-gpu-in-tcc-mode",
        category="wsl",
        confidence="likely",
        needles=("tcc/wddm", "wddm"),
        patterns=(
            r"TCC/WDDM",
            r"\bTCC\b.*\bWDDM\b",
            r"WDDM",
        ),
        also=r"\|\s+\d+\s+.*\bTCC\b",
        saw="a GPU is in TCC mode, which WSL cannot use; it needs WDDM",
        fix=("nvidia-smi -g 0 -dm 0 # in Windows, as administrator; then restart Windows",),
        sample="| GPU  Name            TCC/WDDM | Bus-Id\n|   0  Tesla P100-PCIE... TCC   | 00000000:04:00.0 Off |",
    ),
    Signature(
        name="windows-docker-without-wsl",
        category="wsl",
        rank=ROOT,
        needles=("could not select device driver",),
        patterns=(r"could not select device driver",),
        also=WINDOWS_DRIVER + r"|\bHyper-V\b|Windows 1[01]|PS C:\\|C:\\Users",
        saw="Docker on Windows reaches the GPU only through the WSL 2 back end, with a driver that knows WSL",
        fix=("switch Docker Desktop to the WSL 2 engine and install a current NVIDIA driver for Windows",),
        sample='docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].\nDriver Version                            : 451.67',
    ),
)
