"""DAT: a nuScenes folder is whole, as far as its folders tell. It is looked at where `--dataroot` names one."""

from doctor.facts import DataSet
from doctor.finding import Finding, rule

CAMERAS = 6
KNOWN_VERSIONS = ("v1.0-mini", "v1.0-trainval", "v1.0-test")


@rule("DAT01", "the data set folder holds nuScenes tables", category="dataset-layout")
def tables_are_there(data: DataSet) -> Finding | None:
    """The usual slip is one folder too high or too low."""
    if not data.versions:
        return Finding(
            saw=f"{data.path} has no folder v1.0-…",
            expected=f"one of {', '.join(KNOWN_VERSIONS)}",
            fix=(
                f"ls {data.path} # name the folder that holds samples/ and v1.0-*",
                "or try synthetic data: --data synth",
            ),
        )
    if not data.missing_tables:
        return None
    return Finding(
        saw=f"{data.path} lacks {', '.join(data.missing_tables[:3])}{' …' if len(data.missing_tables) > 3 else ''}",
        expected="the 13 tables of the nuScenes format",
        fix=("unpack the archive v1.0-*_meta.tgz again: its extraction was cut short",),
    )


@rule("DAT02", "the images of all six cameras are there", category="dataset-layout")
def cameras_are_there(data: DataSet) -> Finding | None:
    """BEVFormer reads six cameras; archives arrive one by one."""
    if not data.versions or len(data.cameras) >= CAMERAS:
        return None
    return Finding(
        saw=f"{data.path}/samples has {len(data.cameras)} of 6 CAM_ folders",
        expected="CAM_FRONT, CAM_FRONT_LEFT, CAM_FRONT_RIGHT, CAM_BACK, CAM_BACK_LEFT, CAM_BACK_RIGHT",
        fix=("unpack the remaining archives v1.0-*_blobs*.tgz into the same folder",),
    )


@rule("DAT03", "the CAN bus expansion is there", category="can-bus-missing")
def can_bus_is_there(data: DataSet) -> Finding | None:
    """Temporal attention takes the vehicle's motion from it; a few scenes never had one, and that is normal."""
    if not data.versions or data.can_bus:
        return None
    return Finding(
        saw=f"{data.path}/can_bus is missing or empty",
        expected="can_bus/scene-0001_pose.json and so on",
        fix=(f"unpack can_bus.zip (nuScenes download page, CAN bus expansion) into {data.path}",),
    )


RULES = (tables_are_there, cameras_are_there, can_bus_is_there)
