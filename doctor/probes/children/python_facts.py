"""Runs in the interpreter under examination (3.6 or newer): prints what it is and has. Imports none of it."""

import json
import os
import re
import sys

NAMES_OF_EXTENSIONS = r"(MultiScaleDeformableAttention|flash_attn_2_cuda|flash_attn_3_cuda|_ext|_C|core_cc)(\..+)?\.so$"
PACKAGES_WITH_EXTENSIONS = (
    "mmcv",
    "detectron2",
    "torchvision",
    "spconv",
    "cumm",
    "xformers",
    "detrex",
    "groundingdino",
)
FOLDERS_OF_A_CHECKOUT = (
    ".",
    "build",
    "mmcv",
    "ops",
    "models/ops",
    "models/ops/build",
    "projects/mmdet3d_plugin/ops",
    "ops/build",
    "dist",
)
SHADOWING = ("mmcv", "mmdet", "mmdet3d", "mmseg", "mmengine", "torch", "torchvision", "numpy", "tools", "projects")
CONDA_PACKAGES = r"(pytorch|libtorch|pytorch-cuda|pytorch-gpu|cudatoolkit|cuda-version|numpy|mkl)-[^-]+-[^-]+\.json$"
DISTRIBUTION = re.compile(r"^(~?.+?)-([0-9][^-]*?)(?:-py[0-9.]+(?:-.+)?)?\.(dist-info|egg-info|egg)$")


def folders() -> "list[str]":
    """Return the folders of this interpreter's path, without this script's own, each once however it is linked."""
    own = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 — pathlib costs a tenth of this script's time
    found = {}  # type: dict[str, str]
    for folder in sys.path:
        path = os.path.abspath(folder or ".")  # noqa: PTH100
        if path != own and not path.endswith(".zip"):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def checkout() -> str:
    """Return the folder of the checkout: the one named by `--here=`, else the one this was started in."""
    named = [word[7:] for word in sys.argv if word.startswith("--here=")]
    return named[0] if named else os.getcwd()  # noqa: PTH109


def names(folder: str) -> "list[str]":
    """Return the names in a folder, none where it cannot be read."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []


def distributions() -> "list[list[str]]":
    """Return name, version, folder and file name of every distribution, in the order an import finds them."""
    found = []
    for folder in folders():
        for name in names(folder):
            match = DISTRIBUTION.match(name)
            if match:
                found.append([re.sub(r"[-_.]+", "-", match.group(1)).lower(), match.group(2), folder, name])
    return found


def text_of(*parts: str) -> str:
    """Return the start of a text file, empty where it cannot be read."""
    try:
        with open(os.path.join(*parts), encoding="utf-8", errors="replace") as file:  # noqa: PTH118, PTH123
            return file.read(65536)
    except OSError:
        return ""


def torch_version_file() -> str:
    """Return the text of torch/version.py, empty where there is no torch."""
    texts = (text_of(folder, "torch", "version.py") for folder in folders())
    return next((text[:4096] for text in texts if text), "")


def environment(rows: "list[list[str]]") -> "dict[str, object]":
    """Return how the packages lie: twice, half, shadowed, from where."""
    links = editable(rows)
    counts = {}  # type: dict[str, int]
    for row in rows:
        counts[row[0]] = counts.get(row[0], 0) + 1
    return {
        "prefix": sys.prefix,
        "base_prefix": getattr(sys, "base_prefix", sys.prefix),
        "folders": folders(),
        "pythonpath": os.environ.get("PYTHONPATH", ""),
        "user_site": user_site(),
        "conda": [name[:-5] for name in names(sys.prefix + "/conda-meta") if re.match(CONDA_PACKAGES, name)],
        "copies": [row for row in rows if counts[row[0]] > 1 or row[0].startswith("~") or row[3].endswith(".egg")],
        "torch": torch(rows),
        "editable": links,
        "here": checkout(),
        "shadows": shadows(),
        "modules": [[name, folder] for name in ("mmcv", "tools") for folder in folders() if is_package(folder, name)],
        "extensions": extensions(links),
    }


def user_site() -> str:
    """Return the user's own folder of packages where this interpreter looks into it."""
    home = os.path.expanduser("~/.local")  # noqa: PTH111
    return next((folder for folder in folders() if folder.startswith(home) and folder.endswith("-packages")), "")


def torch(rows: "list[list[str]]") -> "dict[str, object]":
    """Return what the torch that an import finds consists of, and what its metadata asks for."""
    meta = next((row for row in rows if row[0] == "torch"), None)
    folder = next((path for path in folders() if os.path.isdir(os.path.join(path, "torch"))), "")  # noqa: PTH112, PTH118
    inside = os.path.join(folder, "torch") if folder else ""  # noqa: PTH118
    text = text_of(meta[2], meta[3], "METADATA") or text_of(meta[2], meta[3], "PKG-INFO") if meta else ""
    return {
        "folder": inside,
        "files": [name for name in names(inside) if name == "__init__.py" or re.match(r"_C\..*so$", name)]
        if inside
        else [],
        "libraries": [name for name in names(os.path.join(inside, "lib")) if ".so" in name] if inside else [],  # noqa: PTH118
        "requires": re.findall(r"^Requires-Dist:\s*((?:nvidia|triton|pytorch-triton)[^\n]*)", text, re.MULTILINE),
        "installer": text_of(meta[2], meta[3], "INSTALLER").strip() if meta else "",
    }


def editable(rows: "list[list[str]]") -> "list[list[str]]":
    """Return the distributions that are links into a checkout, with the folder."""
    found = []
    for name, _, folder, file in rows:
        if file.endswith(".dist-info") and os.path.exists(os.path.join(folder, file, "direct_url.json")):  # noqa: PTH110, PTH118
            text = text_of(folder, file, "direct_url.json")
            match = re.search(r'"url":\s*"file://([^"]+)"', text)
            if match and re.search(r'"editable":\s*true', text):
                found.append([name, match.group(1)])
    for folder in folders():
        links = [name for name in names(folder) if name.endswith(".egg-link")]
        found += [[name[:-9].lower().replace("_", "-"), text_of(folder, name).split("\n")[0]] for name in links]
    return found


def is_package(folder: str, name: str) -> bool:
    """Return whether the folder holds a regular package of this name."""
    return os.path.exists(os.path.join(folder, name, "__init__.py"))  # noqa: PTH110, PTH118


def shadows() -> "list[str]":
    """Return the packages and plain folders here that a script started here may find before the installed ones."""
    here = checkout()
    return [name for name in SHADOWING if os.path.isdir(os.path.join(here, name))]  # noqa: PTH112, PTH118


def extensions(links: "list[list[str]]") -> "list[list[str]]":
    """Return package, path and place of the compiled extensions that this project's readers build."""
    found = {}  # type: dict[str, list[str]]
    for folder, how in places(links):
        pattern = r".+\.so$" if os.path.basename(os.path.dirname(folder)) == "ops" else NAMES_OF_EXTENSIONS  # noqa: PTH119, PTH120
        for name in names(folder):
            if re.match(pattern, name):
                path = os.path.join(folder, name)  # noqa: PTH118
                found.setdefault(path, [package_of(folder, name), path, how])
    return list(found.values())[:64]


def places(links: "list[list[str]]") -> "list[tuple[str, str]]":
    """Return the folders that may hold extensions, installed ones first, and what they are."""
    found = []
    for folder in folders() + [link[1] for link in links]:
        found.append((folder, "installed"))
        found += [(os.path.join(folder, name), "installed") for name in PACKAGES_WITH_EXTENSIONS]  # noqa: PTH118
        operators = os.path.join(folder, "mmdet3d", "ops")  # noqa: PTH118
        found += [(os.path.join(operators, name), "installed") for name in names(operators)]  # noqa: PTH118
        found += [(os.path.join(folder, name), "egg") for name in names(folder) if name.endswith(".egg")]  # noqa: PTH118
    for place in FOLDERS_OF_A_CHECKOUT:
        folder = os.path.normpath(os.path.join(checkout(), place))  # noqa: PTH118
        found.append((folder, "checkout"))
        if place.endswith("build"):
            found += [(os.path.join(folder, name), "checkout") for name in names(folder) if name.startswith("lib")]  # noqa: PTH118
    return found


def package_of(folder: str, name: str) -> str:
    """Return the package that an extension belongs to: its own name, or for `_ext` and `_C` its folder's."""
    stem = name.split(".", maxsplit=1)[0]
    if os.path.basename(os.path.dirname(folder)) == "ops":  # noqa: PTH119, PTH120
        return "mmdet3d"
    return os.path.basename(folder) if stem in {"_ext", "_C", "core_cc"} else stem  # noqa: PTH119


def has_modules(*wanted: str) -> bool:
    """Return whether the modules can be found."""
    from importlib.util import find_spec  # noqa: PLC0415 — only the full answer pays for it

    return all(find_spec(name) is not None for name in wanted)


def glibc() -> str:
    """Return such a text as `glibc 2.36`, empty where the C library is another one."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return ""


def main() -> None:
    """Print the answer."""
    answer = {
        "version": ".".join(map(str, sys.version_info[:3])),
        "prefix": sys.prefix,
        "has_venv": has_modules("venv", "ensurepip"),
        "glibc": glibc(),
    }
    if "--packages" in sys.argv:
        rows = distributions()
        answer["packages"] = {row[0]: row[1] for row in reversed(rows) if not row[0].startswith("~")}
        answer["torch_version_file"] = torch_version_file()
        answer["environment"] = environment(rows)
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
