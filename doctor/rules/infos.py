"""DAT, the info files that converters write for the authors' code: generation and origin. bevready reads the tables."""

from doctor.facts import DataSet, Infos
from doctor.finding import Finding, rule
from doctor.words import say

FRAMES = {
    ("v1.0-mini", "train"): 323,
    ("v1.0-mini", "val"): 81,
    ("v1.0-trainval", "train"): 28130,
    ("v1.0-trainval", "val"): 6019,
    ("v1.0-test", "test"): 6008,
}
TEMPORAL = ("can_bus", "next", "prev", "scene_token")
CONVERTER = (
    "run the converter of the repository that will read them (BEVFormer: tools/create_data.py nuscenes --canbus)"
)


@rule("DAT10", "the info files are of the generation that BEVFormer reads", category="dataset-layout")
def infos_are_of_this_generation(data: DataSet) -> Finding | None:
    """mmdet3d 1.0 swapped width and length, 1.1 renamed the keys. The former shows only as an orientation error of 1.5.

    bevready reads the tables themselves; info files matter to the authors' code.
    """
    found = next(((infos, why) for infos in data.infos if (why := _foreign(infos))), None)
    if found is None:
        return None
    infos, why = found
    return Finding(
        saw=say("{file}: {why}", file=infos.name, why=why),
        expected="`infos` with can_bus, prev and next for each frame, boxes as width, length, height",
        fix=(CONVERTER,),
        severity="warning",
        evidence=(f"keys: {' '.join(infos.keys[:30])}",) if infos.keys else (),
    )


@rule("DAT11", "the info files belong to these tables", category="dataset-layout")
def infos_match_the_tables(data: DataSet) -> Finding | None:
    """Else evaluation ends with `Samples in split doesn't match samples in predictions`, after hours."""
    for infos in data.infos:
        split = infos.name.removesuffix(".pkl").rpartition("_")[2]
        wanted = FRAMES.get((infos.version, split))
        if infos.version and data.versions and infos.version not in data.versions:
            saw = say("{file} was made from {version}", file=infos.name, version=infos.version)
            expected = say("one of {versions}", versions=", ".join(data.versions))
        elif wanted is not None and infos.count is not None and infos.count != wanted:
            saw = say(
                "{file} has {count} frames of {version}", file=infos.name, count=infos.count, version=infos.version
            )
            expected = say("{number} frames", number=wanted)
        else:
            continue
        return Finding(saw=saw, expected=expected, fix=(CONVERTER,), severity="warning")
    return None


def _foreign(infos: Infos) -> str:
    """Return what is foreign about an info file, nothing where it is as BEVFormer writes it."""
    lacking = [key for key in TEMPORAL if key not in infos.keys]
    if infos.problem:
        return say("it cannot be read ({problem})", problem=infos.problem)
    if infos.generation == "data_list":
        return "it holds data_list and metainfo, as mmdet3d 1.1 writes them: KeyError: 'infos'"
    if infos.generation != "infos":
        return "it holds no infos"
    if infos.boxes == "lwh":
        return "its boxes are length, width, height, as mmdet3d 1.0 writes them"
    if infos.keys and lacking:
        return say("its frames lack {keys}: another project's converter", keys=", ".join(lacking))
    return ""


RULES = (infos_are_of_this_generation, infos_match_the_tables)
