"""EXT05, 06, 07, 09: the files of compiled extensions are there, once, readable, and for this Python and CPU."""

from doctor.facts import Environment, Extensions, Packages, System, Unknown, dotted
from doctor.finding import Finding, rule
from doctor.rules.extension import OURS, rebuild, weight
from doctor.versions import find_version
from doctor.words import say


@rule("EXT05", "mmcv has its compiled operators", category="ext-missing-or-cpu-only")
def mmcv_has_operators(extensions: Extensions, packages: Packages) -> Finding | None:
    """The lite package, a source folder or a failed build have none: `No module named mmcv._ext`."""
    name = next((name for name in ("mmcv-full", "mmcv", "mmcv-lite") if packages.of(name)), None)
    if name is None or extensions.of("mmcv"):
        return None
    version = find_version(packages.of(name) or "") or ()
    lite = name == "mmcv-lite" or (name == "mmcv" and version < (2,))
    wanted = [guest for guest in ("mmdet", "mmdet3d", "mmsegmentation") if packages.of(guest)]
    return Finding(
        saw=say(
            "{name} {version} has no mmcv/_ext*.so: the package without operators", name=name, version=packages.of(name)
        )
        if lite
        else say("{name} {version} has no mmcv/_ext*.so", name=name, version=packages.of(name)),
        expected="mmcv-full (1.x) or mmcv (2.x) with its operators",
        fix=(
            "pip uninstall -y mmcv mmcv-lite mmcv-full",
            "MMCV_WITH_OPS=1 pip install --no-cache-dir --no-build-isolation mmcv-full==1.4.0 # or mmcv 2.x",
            OURS,
        ),
        severity="problem" if wanted or not lite else "warning",
    )


@rule("EXT06", "compiled extensions are for this Python", category="ext-abi-mismatch")
def is_for_this_python(extensions: Extensions, packages: Packages) -> Finding | None:
    """The import passes over a file for another Python without a word and says `No module named …`."""
    usable = {extension.package for extension in extensions.loadable(packages.version)}
    for extension in extensions.found:
        if extension.package in usable:
            continue
        return Finding(
            saw=say(
                "{file} is for Python {other}; here is {version}",
                file=extension.path,
                other=dotted(extension.python or ()),
                version=dotted(packages.version),
            ),
            expected=say("a file for Python {version}", version=dotted(packages.version[:2])),
            fix=(rebuild(extension), OURS),
            severity=weight(extension),
        )
    return None


@rule("EXT07", "no old egg lies beside a newer build", category="ext-abi-mismatch")
def no_stale_egg(extensions: Extensions, environment: Environment) -> Finding | None:
    """`setup.py install` leaves its eggs in the path: the one that is found first may be years old."""
    eggs = {extension.package: extension for extension in extensions.found if extension.place == "egg"}
    twice = [egg for package, egg in eggs.items() if len(extensions.of(package)) > 1]
    copies = [copy for copy in environment.copies if copy.is_egg]
    names = [copy.name for copy in copies]
    stale = twice[0].path if twice else next((f"{c.folder}/{c.file}" for c in copies if names.count(c.name) > 1), None)
    if stale is None:
        return None
    return Finding(
        saw=say("{file} is not the only build of its package", file=stale),
        expected="one build",
        fix=(f"rm -r {_egg_of(stale)}", "and the lines that name it: grep -n egg easy-install.pth"),
        severity="warning",
    )


@rule("EXT09", "compiled extensions can be read and are for this CPU", category="other")
def can_be_read(extensions: Extensions, system: System | Unknown) -> Finding | None:
    """A download cut short, a Git LFS pointer or a file for another CPU ends in `invalid ELF header`."""
    for extension in extensions.found:
        machine = system.machine if isinstance(system, System) else extension.machine
        if not extension.problem and extension.machine in {machine, ""}:
            continue
        return Finding(
            saw=say("{file}: {problem}", file=extension.path, problem=extension.problem)
            if extension.problem
            else say(
                "{file} is for {other}; this is {machine}",
                file=extension.path,
                other=extension.machine,
                machine=machine,
            ),
            expected="a shared object for this CPU",
            fix=(rebuild(extension),),
            severity=weight(extension),
        )
    return None


def _egg_of(path: str) -> str:
    return path[: path.index(".egg") + 4] if ".egg" in path else path


RULES = (mmcv_has_operators, is_for_this_python, no_stale_egg, can_be_read)
