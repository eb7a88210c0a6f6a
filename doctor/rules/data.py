"""DAT: a data set folder is whole and of the right kind, as far as a quick look tells. Info files: `infos.py`."""

from doctor.facts import Coco, DataSet
from doctor.finding import Finding, Goal, rule
from doctor.rules import infos
from doctor.words import say

CAMERAS = 6
KNOWN_VERSIONS = ("v1.0-mini", "v1.0-trainval", "v1.0-test")
UNPUBLISHED = frozenset({"bevformer_nano"})  # recipes that stand for no published number
SCENES = {"v1.0-mini": 10, "v1.0-trainval": 850, "v1.0-test": 150}
REMOTE = ("9p", "afs", "ceph", "cifs", "drvfs", "fuse.gcsfuse", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "nfs", "smb3")


@rule("DAT01", "the data set folder holds nuScenes tables", category="dataset-layout")
def tables_are_there(data: DataSet) -> Finding | None:
    """The usual slip is one folder too high or too low."""
    if data.root_instead or not data.exists or not data.readable:
        return None  # DAT12 and DAT13 say it better
    if not data.versions:
        return Finding(
            saw=say("{path} has no folder v1.0-…", path=data.path),
            expected=say("one of {versions}", versions=", ".join(KNOWN_VERSIONS)),
            fix=(
                say("ls {path} # name the folder that holds samples/ and v1.0-*", path=data.path),
                "or try synthetic data: --data synth",
            ),
        )
    if not data.missing_tables:
        return None
    return Finding(
        saw=say("{path} lacks {tables}", path=data.path, tables=_few(data.missing_tables)),
        expected="the 13 tables of the nuScenes format",
        fix=("unpack the archive v1.0-*_meta.tgz again: its extraction was cut short",),
    )


@rule("DAT02", "the images of all six cameras are there", category="dataset-layout")
def cameras_are_there(data: DataSet) -> Finding | None:
    """BEVFormer reads six cameras; archives arrive one by one."""
    if not data.versions or len(data.cameras) >= CAMERAS:
        return None
    return Finding(
        saw=say("{path}/samples has {number} of 6 CAM_ folders", path=data.path, number=len(data.cameras)),
        expected="CAM_FRONT, CAM_FRONT_LEFT, CAM_FRONT_RIGHT, CAM_BACK, CAM_BACK_LEFT, CAM_BACK_RIGHT",
        fix=("unpack the remaining archives v1.0-*_blobs*.tgz into the same folder",),
    )


@rule("DAT03", "the CAN bus expansion is there", category="can-bus-missing")
def can_bus_is_there(data: DataSet) -> Finding | None:
    """Temporal attention takes the vehicle's motion from it; a few scenes never had one, and that is normal."""
    if not data.versions or data.can_bus or data.can_bus_instead:
        return None
    return Finding(
        saw=say("{path}/can_bus is missing or empty", path=data.path),
        expected="can_bus/scene-0001_pose.json and so on",
        fix=(say("unpack can_bus.zip (nuScenes download page, CAN bus expansion) into {path}", path=data.path),),
    )


@rule("DAT04", "the images that the tables name are on disk", category="dataset-layout")
def images_are_there(data: DataSet) -> Finding | None:
    """Ten archives hold the images of trainval; a missing one shows hours later, as a file that is not found."""
    for tables in data.tables:
        if tables.lost and len(data.cameras) >= CAMERAS:
            return Finding(
                saw=say(
                    "{lost} of {images} images that {version} names are not there, {example} for example",
                    lost=len(tables.lost),
                    images=tables.images,
                    version=tables.name,
                    example=tables.lost[0],
                ),
                expected="every one of them: they are a sample, evenly spread over the tables",
                fix=(
                    "unpack the remaining archives v1.0-*_blobs*.tgz into the same folder",
                    "or, with the images of mini only: take the tables v1.0-mini",
                ),
            )
    return None


@rule("DAT05", "the CAN bus lies where it is looked for", category="can-bus-missing")
def can_bus_is_not_elsewhere(data: DataSet, goal: Goal) -> Finding | None:
    """The archive holds a folder can_bus of its own, and other projects keep it beside the data set."""
    if not data.versions or not data.can_bus_instead:
        return None
    return Finding(
        saw=say("the CAN bus lies in {place}", place=data.can_bus_instead),
        expected=say("{path}/can_bus/scene-0001_pose.json and so on", path=data.path),
        fix=(_bring(data),),
        severity="problem" if goal.kind == "recipe" else "warning",
    )


@rule("DAT06", "every scene that ever had a CAN bus has it", category="can-bus-missing")
def can_bus_is_whole(data: DataSet) -> Finding | None:
    """Scenes 0161 to 0168 and 0170 to 0176 were never published; any other gap is an archive cut short."""
    if not data.scenes_without_can_bus:
        return None
    return Finding(
        saw=say(
            "{number} scenes have no CAN bus: {scenes}",
            number=len(data.scenes_without_can_bus),
            scenes=_few(data.scenes_without_can_bus),
        ),
        expected="a file scene-…_pose.json for each scene but 0161 to 0168 and 0170 to 0176",
        fix=(say("unpack can_bus.zip into {path} again", path=data.path),),
        severity="warning",
    )


@rule("DAT07", "the map expansion is there", category="dataset-layout")
def map_expansion_is_there(data: DataSet) -> Finding | None:
    """Detection does without it; map segmentation, map vectors and planning read maps/expansion/*.json."""
    if not data.versions or data.maps_expansion:
        return None
    return Finding(
        saw=say("{path}/maps/expansion is missing or empty", path=data.path),
        expected="singapore-onenorth.json and three more, for map tasks only",
        fix=(say("only for map tasks: unpack nuScenes-map-expansion-v1.3.zip into {path}/maps", path=data.path),),
        severity="note",
    )


@rule("DAT08", "scene.json has as many scenes as its version", category="dataset-layout")
def scenes_are_complete(data: DataSet) -> Finding | None:
    """Mini has 10 scenes, trainval 850, test 150; another number is a cut file, or a subset that no number fits."""
    for tables in data.tables:
        expected = SCENES.get(tables.name)
        if expected is None or tables.scenes is None or tables.scenes == expected:
            continue
        return Finding(
            saw=say("{version}/scene.json has {number} scenes", version=tables.name, number=tables.scenes),
            expected=say("{number} scenes", number=expected),
            fix=(
                "a subset made on purpose is fine for trying out; its numbers compare with nothing published",
                "else unpack the archive v1.0-*_meta.tgz again",
            ),
            severity="note" if tables.name == "v1.0-mini" else "warning",
        )
    return None


@rule("DAT09", "the tables are those that the published number stands for", category="dataset-layout")
def version_suits_the_recipe(data: DataSet, goal: Goal) -> Finding | None:
    """Published numbers are of trainval: 28130 key frames to learn from, 6019 to judge by; mini has 323 and 81."""
    if goal.kind != "recipe" or goal.recipe in UNPUBLISHED or not data.versions or "v1.0-trainval" in data.versions:
        return None
    return Finding(
        saw=say("{path} holds {versions} only", path=data.path, versions=", ".join(data.versions)),
        expected="v1.0-trainval",
        fix=(
            "to try out: --data nuscenes-mini; its result compares with nothing published",
            "else download v1.0-trainval from the nuScenes page (about 300 GB)",
        ),
        severity="warning",
    )


@rule("DAT12", "the data set folder is the one that holds the tables", category="dataset-layout")
def root_is_right(data: DataSet) -> Finding | None:
    """Everything below is looked for from this folder: one too high or too low finds nothing."""
    if not data.root_instead:
        return None
    return Finding(
        saw=say("{path} holds no tables, {there} does", path=data.path, there=data.root_instead),
        expected="the folder that holds samples/ and v1.0-*",
        fix=(say("--dataroot {there}", there=data.root_instead),),
    )


@rule("DAT13", "the data set folder can be read", category="dataset-layout")
def folder_is_readable(data: DataSet) -> Finding | None:
    """A folder of another user, or one that a container was not given, looks empty."""
    if not data.exists:
        return Finding(
            saw=say("{path} does not exist", path=data.path),
            expected="a nuScenes or COCO folder",
            fix=(
                say(
                    "ls -d {path} # is the disk mounted, the path absolute, the container given it (-v)?",
                    path=data.path,
                ),
                "or try synthetic data: --data synth",
            ),
        )
    if data.readable:
        return None
    return Finding(
        saw=say("{path} is there, but this user may not read it", path=data.path),
        expected="a folder that this user can list and read",
        fix=(say("sudo chmod -R a+rX {path}", path=data.path), "or ask its owner for access"),
    )


@rule("DAT14", "the data set lies on a fast disk", category="dataset-layout")
def disk_is_fast(data: DataSet) -> Finding | None:
    """Training reads hundreds of small files a second; over a network or from a Windows disk the GPUs wait for them."""
    if not data.versions or not data.filesystem.startswith(REMOTE):
        return None
    return Finding(
        saw=say("{path} is mounted by {filesystem}", path=data.path, filesystem=data.filesystem),
        expected="a local disk",
        fix=("copy the data set to a local disk, or expect the first epoch to be slow",),
        severity="note",
        confidence="likely",
    )


@rule("DAT15", "the categories are numbered where lidarseg is unpacked", category="dataset-layout")
def categories_are_numbered(data: DataSet) -> Finding | None:
    """Lidarseg brings a category.json with an index; converters that read it say KeyError: 'index' on the plain one."""
    plain = [tables.name for tables in data.tables if not tables.indexed_categories and not tables.missing]
    if not data.lidarseg or not plain:
        return None
    return Finding(
        saw=say("lidarseg/ is there, but {version}/category.json has no index", version=plain[0]),
        expected="the category.json of the lidarseg archive",
        fix=("unpack nuScenes-lidarseg-*.tar.bz2 again, over the tables",),
        severity="note",
    )


@rule("DAT16", "the COCO folder has its annotations and images", category="dataset-layout")
def coco_is_whole(coco: Coco) -> Finding | None:
    """Deformable DETR reads annotations/instances_train2017.json, instances_val2017.json, train2017/ and val2017/."""
    files = ("instances_train2017.json", "instances_val2017.json")
    lacking = [f"annotations/{name}" for name in files if name not in coco.annotations]
    lacking += [f"{name}/" for name in ("train2017", "val2017") if name not in coco.images or name in coco.empty]
    if not lacking:
        return None
    return Finding(
        saw=say("{path} lacks {files}", path=coco.path, files=", ".join(lacking)),
        expected="annotations/instances_{train,val}2017.json, train2017/ and val2017/",
        fix=("unpack annotations_trainval2017.zip, train2017.zip and val2017.zip into one folder",),
    )


def _bring(data: DataSet) -> str:
    """Return the command that brings the CAN bus where it belongs."""
    if data.can_bus_instead == f"{data.path}/can_bus/can_bus":
        return say("mv {path}/can_bus/can_bus/* {path}/can_bus/", path=data.path)
    return say("ln -s {place} {path}/can_bus", place=data.can_bus_instead, path=data.path)


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


RULES = (
    tables_are_there,
    cameras_are_there,
    can_bus_is_there,
    images_are_there,
    can_bus_is_not_elsewhere,
    can_bus_is_whole,
    map_expansion_is_there,
    scenes_are_complete,
    version_suits_the_recipe,
    *infos.RULES,
    root_is_right,
    folder_is_readable,
    disk_is_fast,
    categories_are_numbered,
    coco_is_whole,
)
