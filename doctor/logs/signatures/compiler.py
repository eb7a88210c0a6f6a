"""Messages of C++ compilers outside what nvcc or PyTorch's headers accept."""

from doctor.logs.signature import MISSING_HEADER, ROOT, Signature

CHOOSE = (
    "sudo apt install g++-{newest} && export CC=gcc-{newest} CXX=g++-{newest} NVCC_PREPEND_FLAGS='-ccbin g++-{newest}'"
)
OLDER = "sudo apt install g++-10 && export CC=gcc-10 CXX=g++-10 NVCC_PREPEND_FLAGS='-ccbin g++-10'"
NEWER = "sudo apt install g++-11 && export CC=gcc-11 CXX=g++-11 # RHEL: sudo dnf install gcc-toolset-12-gcc-c++; conda: conda install gxx_linux-64"

SIGNATURES = (
    Signature(
        name="gcc-too-new-for-nvcc",
        category="host-compiler-too-new",
        rank=ROOT,
        needles=("of the host compiler", "unsupported gnu version", "unsupported clang version"),
        patterns=(
            r"of the host compiler .{0,40}is not supported",
            r"unsupported (?:GNU|clang) version!?(?:.*?(?:later than|less than) (?P<newest>[\d.]+))?",
        ),
        saw="this nvcc accepts host compilers up to version {newest}; the default one is newer",
        fix=(CHOOSE, "or a newer CUDA toolkit; bevready's own extension needs no nvcc: ./bevready build-ext"),
        sample="/usr/local/cuda/include/crt/host_config.h:139:2: error: #error -- unsupported GNU version! gcc versions later than 10 are not supported!",
    ),
    Signature(
        name="msvc-unsupported-by-nvcc",
        category="host-compiler-too-new",
        needles=("unsupported microsoft visual studio version",),
        patterns=(r"unsupported Microsoft Visual Studio version",),
        saw="this nvcc does not accept this release of Visual Studio",
        fix=("install the build tools that the message names, beside the new ones",),
        sample="fatal error C1189: #error:  -- unsupported Microsoft Visual Studio version! Only the versions between 2017 and 2022 (inclusive) are supported!",
    ),
    Signature(
        name="nvcc-stumbles-over-gcc-headers",
        category="host-compiler-too-new",
        rank=ROOT,
        confidence="likely",
        needles=("parameter packs not expanded", "参数包未", "参数包没有", "参数包不", "/c++/1", "cast.h"),
        patterns=(
            r"(?:std_function\.h|functional|tuple|chrono|type_traits|std_mutex\.h|bits/\w+\.h):\d+:\d+: (?:internal compiler )?(?:error|错误):",
            r"parameter packs not expanded",
            r"参数包(?:未|没有|不).{0,4}展开",
            r"pybind11\S*cast\.h:\d+:\d+: (?:error|错误):",
        ),
        also=r"nvcc|\.cu\b|cuda",
        saw="nvcc cannot parse the C++ library headers of this GCC (CUDA 11.5 with GCC 11 is the stock pair of Ubuntu 22.04)",
        fix=(OLDER, "or a CUDA toolkit from 11.7 on in place of /usr/bin/nvcc"),
        sample="/usr/include/c++/11/bits/std_function.h:435:145: error: parameter packs not expanded with '...':\n/usr/bin/nvcc -c a.cu",
    ),
    Signature(
        name="nvcc-stumbles-over-glibc-headers",
        category="host-compiler-too-new",
        rank=ROOT,
        confidence="likely",
        needles=(
            "specification is incompatible",
            "mathcalls.h",
            "_float32",
            "_float128",
            "_float64",
            "__builtin_ia32",
            "exception specification is incompatible",
            "__bfloat16",
        ),
        patterns=(
            r"mathcalls\.h\(\d+\): error",
            r"specification is incompatible with that of previous function",
            r"identifier \"?'?(?:_Float\d+x?|__bf(?:loat)?16|__builtin_ia32_\w+)",
            r"exception specification is incompatible with that of previous function \"?'?(?:\w*pi|rsqrt)",
        ),
        saw="nvcc cannot parse the system's headers: GCC or glibc is newer than this CUDA toolkit",
        fix=(OLDER, "or a newer CUDA toolkit (glibc 2.41 needs CUDA 12.9 or later)"),
        sample='/usr/include/bits/floatn.h(86): error: identifier "_Float128" is undefined',
    ),
    Signature(
        name="gcc-too-old-for-torch",
        category="host-compiler-too-old",
        rank=ROOT,
        needles=(
            "too old version of gcc",
            "too old version of clang",
            "requires gcc",
            "gcc version is too old",
            "need gcc",
            "numpy requires gcc",
            "gcc >=",
        ),
        patterns=(
            r"too old version of (?:GCC|Clang).*?need (?:GCC|Clang) (?P<oldest>\d+)",
            r"requires (?:at least )?(?:GCC|g\+\+)\s*(?:version )?(?:>=|>)?\s*(?P<oldest2>[\d.]+)",
            r"GCC version is too old",
            r"need GCC (?P<oldest3>\d+) or",
        ),
        saw="the C++ compiler is older than the headers accept: they want GCC {oldest} or newer",
        fix=(NEWER,),
        sample='c10/util/C++17.h:16:2: error: #error "You\'re trying to build PyTorch with a too old version of GCC. We need GCC 9 or later."',
    ),
    Signature(
        name="gcc-knows-no-cpp17",
        category="host-compiler-too-old",
        needles=("is not a member of 'std'", "-std=", "iso c++ 20"),
        patterns=(
            r"'(?:make_unique|is_trivially_copyable|is_trivially_move_constructible|put_time|get_time|exchange|quoted|enable_if_t|decay_t|index_sequence|is_final)' is not a member of 'std'",
            r"(?:unrecognized command[- ]line option|unrecognised option|无法识别的命令行选项).{0,4}-std=(?:c|gnu)\+\+(?:11|14|17|20|0x|1y|1z|2a)",
            r"requires compiler and library support for the (?:upcoming )?ISO C\+\+ ?(?:20)?\d\d",
        ),
        saw="the C++ compiler is too old to know the language standard that is asked for",
        fix=(NEWER,),
        sample="c++: error: unrecognized command line option '-std=c++17'",
    ),
    Signature(
        name="cpp17-header-missing",
        category="host-compiler-too-old",
        confidence="likely",
        needles=("optional", "string_view", "filesystem", "charconv", "variant", "any:"),
        patterns=(
            MISSING_HEADER
            + r"(?P<header>optional|string_view|filesystem|charconv|variant|any|span|bit|concepts)'?\"? ?:",
        ),
        saw="<{header}> is missing: the C++ compiler's library is too old",
        fix=(NEWER,),
        sample="fatal error: optional: No such file or directory",
    ),
    Signature(
        name="abi-incompatible-compiler",
        category="host-compiler-too-old",
        confidence="likely",
        needles=("may be abi-incompatible with pytorch",),
        patterns=(r"Your compiler \((?P<compiler>[^)]*)\) may be ABI-incompatible with PyTorch",),
        saw="PyTorch warns that {compiler} may be too old for it",
        fix=(NEWER,),
        sample="Your compiler (c++ 4.8.5) may be ABI-incompatible with PyTorch!",
    ),
)
