"""PKG11 to PKG17: each package is there once and whole, and nothing on the path lies in front of it."""

from doctor.facts import Copy, Environment, Packages, dotted
from doctor.finding import Finding, rule
from doctor.words import say

DISTRIBUTION_OF = {"mmseg": "mmsegmentation"}
WORTH_A_WORD = ("torch", "torchvision", "numpy", "triton", "setuptools", "protobuf", "numba")
FAMILIES = ("mm", "nvidia-", "opencv-", "nuscenes-")
ENVIRONMENT_ALONE = "export PYTHONNOUSERSITE=1 # the user's own packages stay out"


@rule("PKG11", "no package is installed twice", category="dependency-pin")
def installed_once(environment: Environment) -> Finding | None:
    """What is imported is the first found, what pip shows is another: fixes land in the copy that nobody uses."""
    for name in dict.fromkeys(copy.name for copy in environment.copies if _is_worth_a_word(copy.name)):
        copies = [copy for copy in environment.copies if copy.name == name and not copy.is_egg]
        if len({copy.version for copy in copies}) < 2:
            continue
        together = len({copy.folder for copy in copies}) == 1
        own = any(copy.folder == environment.user_site for copy in copies)
        again = f'pip install --no-cache-dir "{name}=={copies[0].version}"'
        return Finding(
            saw=say("{name} is there as {copies}", name=name, copies=_listed(copies)),
            expected="one copy",
            fix=(
                *((ENVIRONMENT_ALONE,) if own else ()),
                say("pip uninstall -y {name} # again, until pip says that it is not installed", name=name),
                again,
            ),
            severity="problem" if together and name == "torch" else "warning",
        )
    return None


@rule("PKG12", "no installation was cut short", category="dependency-pin")
def nothing_cut_short(environment: Environment) -> Finding | None:
    """Pip renames what it replaces to `~name`; where that stays, it was stopped half way and files are missing."""
    left = [copy for copy in environment.copies if copy.name.startswith("~")]
    if not left:
        return None
    return Finding(
        saw=say("pip left {file} in {folder}", file=left[0].file, folder=left[0].folder),
        expected="no name that begins with ~",
        fix=(f"rm -r {left[0].folder}/~*", "then install that package again with --force-reinstall --no-cache-dir"),
        severity="warning",
    )


@rule("PKG13", "no folder here hides an installed package", category="mm-stack-version-mismatch")
def nothing_hidden(environment: Environment, packages: Packages) -> Finding | None:
    """A script started in a checkout may import its folder: another version, and without the compiled operators."""
    linked = {name for name, folder in environment.editable if folder.rstrip("/") == environment.here.rstrip("/")}
    for name in environment.shadows:
        distribution = DISTRIBUTION_OF.get(name, name)
        known = packages.of(distribution) or (packages.of("mmcv-full") if name == "mmcv" else None)
        if known is None or distribution in linked:
            continue
        on_path = environment.here in (*environment.folders, *environment.pythonpath)
        return Finding(
            saw=say(
                "{here}/{name} lies in front of the installed {distribution} {version}",
                here=environment.here,
                name=name,
                distribution=distribution,
                version=known,
            ),
            expected="one of the two",
            fix=(
                "start from another folder",
                say("or rename it: mv {here}/{name} {here}/{name}.source", here=environment.here, name=name),
            ),
            severity="warning",
            confidence="sure" if on_path else "likely",
        )
    return None


@rule("PKG14", "PYTHONPATH brings no other Python's packages", category="python-version")
def pythonpath_is_own(environment: Environment, packages: Packages) -> Finding | None:
    """It comes before the environment's own packages: ROS and old notes in ~/.bashrc put other versions there."""
    own = (f"{environment.prefix}/", environment.user_site or "/no such folder")
    foreign = [
        path
        for path in environment.pythonpath
        if path.rstrip("/").endswith(("/site-packages", "/dist-packages")) and not path.startswith(own)
    ]
    if not foreign:
        return None
    other = f"/python{dotted(packages.version[:2])}/" not in foreign[0] and "/python3/" not in foreign[0]
    return Finding(
        saw=say("PYTHONPATH holds {path}", path=foreign[0]),
        expected=say("packages of {prefix} only", prefix=environment.prefix),
        fix=("unset PYTHONPATH # and take the line out of ~/.bashrc",),
        severity="problem" if other else "warning",
        confidence="likely",
    )


@rule("PKG15", "a checkout's `tools` can be imported", category="data-converter-import")
def tools_can_be_imported(environment: Environment) -> Finding | None:
    """A regular package `tools` anywhere on the path wins over a checkout's plain folder of that name."""
    foreign = [folder for name, folder in environment.modules if name == "tools"]
    if "tools" not in environment.shadows or not foreign or ("tools", environment.here) in environment.modules:
        return None
    return Finding(
        saw=say("{folder}/tools is an installed package; here is a folder tools of the same name", folder=foreign[0]),
        expected="only the checkout's own",
        fix=(
            "pip uninstall tools",
            "or make the checkout's a package too: touch tools/__init__.py; export PYTHONPATH=$PWD",
        ),
        severity="warning",
    )


@rule("PKG16", "a checkout with plug-ins is on PYTHONPATH", category="data-converter-import")
def checkout_is_on_path(environment: Environment) -> Finding | None:
    """`No module named projects` or `tools`: Python looks where the script lies, not where it was started."""
    on_path = environment.here in (*environment.folders, *environment.pythonpath) or "." in environment.pythonpath
    if not {"tools", "projects"} <= set(environment.shadows) or on_path:
        return None
    return Finding(
        saw=say("{here} holds tools/ and projects/ and is not on the path", here=environment.here),
        expected="PYTHONPATH with the checkout's folder",
        fix=("export PYTHONPATH=$PWD:$PYTHONPATH",),
        severity="note",
        confidence="likely",
    )


@rule("PKG17", "packages installed as links lead to folders that are there", category="dependency-pin")
def links_lead_somewhere(environment: Environment) -> Finding | None:
    """`pip install -e` keeps only the path of a checkout: move or delete it, and the package is gone."""
    if not environment.dead_links:
        return None
    name, folder = environment.dead_links[0]
    return Finding(
        saw=say("{name} is a link to {folder}, which is not there", name=name, folder=folder),
        expected="a folder there",
        fix=(
            say(
                "move it back, or install it from where it is now: pip install -e FOLDER # in place of {folder}",
                folder=folder,
            ),
            f"pip uninstall -y {name}",
        ),
    )


def _is_worth_a_word(name: str) -> bool:
    return name in WORTH_A_WORD or name.startswith(FAMILIES)


def _listed(copies: list[Copy]) -> str:
    return ", ".join(f"{copy.version} ({copy.folder})" for copy in copies)


RULES = (
    installed_once,
    nothing_cut_short,
    nothing_hidden,
    pythonpath_is_own,
    tools_can_be_imported,
    checkout_is_on_path,
    links_lead_somewhere,
)
