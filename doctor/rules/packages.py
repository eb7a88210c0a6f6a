"""PKG: the installed packages go together, each is there once, and nothing lies in front of it."""

from doctor.compat import mmcv as mm
from doctor.compat.packages import OPENCV, Drift, drifts_of, newest_numpy
from doctor.facts import Extensions, Packages, Torch, Unknown, Version, dotted
from doctor.finding import Finding, Goal, rule
from doctor.versions import find_version, parse_version
from doctor.words import say

UPSTREAM = "the authors' own set: torch 1.9.1, mmcv-full 1.4.0, mmdet 2.14.0, mmsegmentation 0.14.1, mmdet3d 0.17.1"
GENERATIONS = ("mmcv", "mmcv-full", "mmcv-lite", "mmdet", "mmdet3d", "mmsegmentation")


@rule("PKG01", "the OpenMMLab packages are of one generation", category="mm-stack-version-mismatch")
def one_generation(packages: Packages) -> Finding | None:
    """Code for mmcv 1.x imports mmcv.parallel and mmcv.runner; mmcv 2 moved them to mmengine."""
    ages: dict[int, list[str]] = {}
    for name in GENERATIONS:
        version = find_version(packages.of(name) or "")
        if version:
            ages.setdefault(mm.generation(name, version), []).append(f"{name} {packages.of(name)}")
    if len(ages) < 2:
        return None
    return Finding(
        saw=say("{old} with {new}", old=", ".join(ages[1]), new=", ".join(ages[2])),
        expected="all of them before OpenMMLab 2.0, or all of them on mmengine and mmcv 2",
        fix=(
            'pip install "mmcv-full==1.4.0" "mmdet==2.14.0" "mmsegmentation==0.14.1" # for BEVFormer and its relatives',
            "or none of it: ./bevready repro … needs no OpenMMLab package",
        ),
        evidence=(UPSTREAM,),
    )


@rule("PKG02", "the OpenMMLab packages accept each other's versions", category="mm-stack-version-mismatch")
def inside_the_windows(packages: Packages) -> Finding | None:
    """Each package checks the others as it is imported and refuses with `is used but incompatible`."""
    for window in mm.WINDOWS:
        own, other = packages.of(window.package), packages.of(window.other)
        if not own or not other or _release(own) != window.version or not mm_same_generation(window, other):
            continue
        if not window.accepts(parse_version(other)):
            high = dotted(window.high)
            return Finding(
                saw=say(
                    "{package} {own} with {other} {version}",
                    package=window.package,
                    own=own,
                    other=window.other,
                    version=other,
                ),
                expected=say(
                    "{other} from {low} to below {high}" if not window.inclusive else "{other} from {low} to {high}",
                    other=window.other,
                    low=dotted(window.low),
                    high=high,
                ),
                fix=(f'pip install "{window.other}>={dotted(window.low)},{"<=" if window.inclusive else "<"}{high}"',),
            )
    return None


@rule("PKG03", "mmcv is installed under one name only", category="mm-stack-version-mismatch")
def one_mmcv(packages: Packages) -> Finding | None:
    """mmcv, mmcv-full and mmcv-lite unpack into the same folder: the last one wins, in part."""
    found = [f"{name} {packages.of(name)}" for name in ("mmcv", "mmcv-full", "mmcv-lite") if packages.of(name)]
    if len(found) < 2:
        return None
    keep = packages.of("mmcv-full")
    again = f"mmcv-full=={keep}" if keep else f"mmcv=={packages.of('mmcv')}"
    return Finding(
        saw=say("{names} are installed together", names=", ".join(found)),
        expected="one of them",
        fix=("pip uninstall -y mmcv mmcv-full mmcv-lite", f'pip install --no-cache-dir "{again}"'),
    )


@rule("PKG04", "mmcv comes compiled for this torch", category="mm-stack-version-mismatch")
def mmcv_has_a_wheel(packages: Packages, torch: Torch, extensions: Extensions | Unknown) -> Finding | None:
    """Without a wheel for the pair pip compiles from source without a word, for many minutes, and often fails."""
    name = next((name for name in ("mmcv-full", "mmcv") if packages.of(name)), None)
    built = isinstance(extensions, Extensions) and any(e.loads_in(packages.version) for e in extensions.of("mmcv"))
    if name is None or built:
        return None
    version, release = find_version(packages.of(name) or ""), parse_version(torch.version)
    if version is None or (name == "mmcv" and version < (2,)):
        return None
    row = mm.wheels_for(name, release)
    if row and row.oldest <= version <= row.newest and (torch.cuda is None or torch.cuda in row.cudas):
        return None
    known = say("{low} to {high}", low=dotted(row.oldest), high=dotted(row.newest)) if row else "none"
    return Finding(
        saw=say(
            "{name} {version} with {torch}: there is no compiled release",
            name=name,
            version=packages.of(name),
            torch=torch,
        ),
        expected=say("compiled releases for torch {torch}: {known}", torch=dotted(release[:2]), known=known),
        fix=(
            "./bevready repro … needs no mmcv: its operator is compiled in seconds for this torch",
            "to keep mmcv: a torch from the table of its install page, with that page's index after -f",
        ),
        severity="warning",
    )


@rule("PKG05", "yapf is one that mmcv can call", category="dependency-pin")
def yapf_is_old_enough(packages: Packages) -> Finding | None:
    """Mmcv 1.x prints its configuration with an argument that yapf 0.40.2 took away: training stops at the start."""
    return _drift(packages, "yapf")


@rule("PKG06", "setuptools is one that the installed packages can use", category="dependency-pin")
def setuptools_fits(packages: Packages, goal: Goal) -> Finding | None:
    """Newer setuptools left out distutils.version and then pkg_resources, which old setup scripts import."""
    return _drift(packages, "setuptools", severity="problem" if goal.builds else "warning")


@rule("PKG07", "protobuf is one that the installed packages were generated for", category="dependency-pin")
def protobuf_fits(packages: Packages) -> Finding | None:
    """Code generated by an old protoc refuses to load with protobuf 4, on the first import of tensorboard or onnx."""
    return _drift(packages, "protobuf")


@rule("PKG08", "NumPy is one that the installed packages can use", category="dependency-pin")
def numpy_fits(packages: Packages) -> Finding | None:
    """NumPy 1.24 took np.int and np.bool away; NumPy 2 refuses extensions compiled for NumPy 1."""
    return _drift(packages, "numpy")


@rule("PKG09", "numba accepts this NumPy", category="dependency-pin")
def numba_accepts_numpy(packages: Packages) -> Finding | None:
    """Numba is compiled against NumPy's internals: a newer NumPy than it knows fails on import or in its types."""
    numba, numpy = find_version(packages.of("numba") or ""), find_version(packages.of("numpy") or "")
    newest = newest_numpy(numba) if numba else None
    if newest is None or numpy is None or numpy[:2] <= newest:
        return None
    beyond = dotted((newest[0], newest[1] + 1))
    return Finding(
        saw=say("numba {numba} with numpy {numpy}", numba=packages.of("numba"), numpy=packages.of("numpy")),
        expected=say("numpy up to {newest}", newest=dotted(newest)),
        fix=(f'pip install "numpy<{beyond}"', "or a newer numba: pip install -U numba"),
        confidence="likely",
    )


@rule("PKG10", "OpenCV is installed once", category="dependency-pin")
def one_opencv(packages: Packages) -> Finding | None:
    """All of OpenCV's packages unpack into cv2: mixed, it asks for libGL.so.1 or loses its plug-ins."""
    found = [f"{name} {packages.of(name)}" for name in OPENCV if packages.of(name)]
    if len(found) < 2:
        return None
    version = packages.of("opencv-python-headless") or packages.of("opencv-python") or packages.of(OPENCV[2])
    return Finding(
        saw=say("{names} share the folder cv2", names=", ".join(found)),
        expected="one of them; without a screen the headless one",
        fix=(f"pip uninstall -y {' '.join(OPENCV)}", f'pip install "opencv-python-headless=={version}"'),
        severity="warning",
    )


def mm_same_generation(window: mm.Window, other: str) -> bool:
    """Return whether the other package is of the window's generation; PKG01 speaks where it is not."""
    if window.other == "mmengine":
        return True
    return mm.generation(window.other, parse_version(other)) == mm.generation(window.package, window.version)


def _release(text: str) -> Version:
    """Return (1, 0, 0) for `1.0.0rc6` and `1.0`."""
    return (*(find_version(text) or ()), 0, 0, 0)[:3]


def _drift(packages: Packages, package: str, *, severity: str = "problem") -> Finding | None:
    """Return the finding of the first row of the table that holds, with every guest it breaks."""
    version = find_version(packages.of(package) or "")
    rows = [row for row in drifts_of(package, version) if _breaks(packages, row)] if version else []
    if not rows:
        return None
    guests = ", ".join(dict.fromkeys(f"{row.guest} {packages.of(row.guest)}" for row in rows))
    saw = say("{package} {version} with {guests}", package=package, version=packages.of(package), guests=guests)
    message = rows[0].message
    return Finding(
        saw=say("{pair}: it ends in `{message}`", pair=saw, message=message) if message else saw,
        expected=rows[0].pin,
        fix=(f'pip install "{rows[0].pin}"',),
        severity="warning" if severity == "warning" else "problem",
        confidence="sure" if message else "likely",
        evidence=tuple(row.source for row in rows),
    )


def _breaks(packages: Packages, row: Drift) -> bool:
    guest = find_version(packages.of(row.guest) or "")
    return guest is not None and row.first <= guest < row.below


RULES = (
    one_generation,
    inside_the_windows,
    one_mmcv,
    mmcv_has_a_wheel,
    yapf_is_old_enough,
    setuptools_fits,
    protobuf_fits,
    numpy_fits,
    numba_accepts_numpy,
    one_opencv,
)
