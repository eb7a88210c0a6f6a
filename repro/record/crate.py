"""A run as an RO-Crate: one zip that archives and their search engines read, with the record as its provenance.

RO-Crate 1.1, through the `rocrate` package. What lies outside the run folder (the data set, weights from elsewhere) is
named with its hash and stays where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from repro.atomic import replacing
from repro.record.schema import RecordError, read_record
from repro.record.write import newest_record, record_paths

if TYPE_CHECKING:
    from pathlib import Path

    from repro.record.schema import FileFact, Record

FORMATS = {".json": "application/json", ".csv": "text/csv", ".md": "text/markdown", ".html": "text/html"}
FORMATS |= {".patch": "text/x-diff", ".pth": "application/octet-stream"}
SOURCE = "https://github.com/fundamentalvision/"  # where the two models were published
PAPERS = {"bevformer": f"{SOURCE}BEVFormer", "deformable_detr": f"{SOURCE}Deformable-DETR"}
PAGES = ("report.html", "report.md")  # drawn anew each time, so no record names their hash


def write_crate(run: Path, to: Path) -> int:
    """Write the newest record of a run folder, every file it names and its page into the zip `to`; return how many.

    Raises RecordError for no record, or a file that is missing. `to` appears whole or not at all.
    """
    path = newest_record(run)
    record, folder = read_record(path), path.parent
    inside = [file for file in record.files if not file.path.startswith("/")]
    missing = [file.path for file in inside if not (folder / file.path).is_file()]
    if missing:
        raise RecordError(f"{folder}: {missing[0]} is gone, and the record names it; `check` says what else is wrong")
    crate = ROCrate(version="1.1")
    _describe(crate, record)
    for file in inside:
        crate.add_file(str(folder / file.path), file.path, properties=_properties(file))
    for other in record_paths(folder):
        crate.add_file(str(other), other.name, properties={"name": "run record", "encodingFormat": FORMATS[".json"]})
    for page in (folder / name for name in PAGES if (folder / name).is_file()):
        crate.add_file(str(page), page.name, properties={"name": "page", "encodingFormat": FORMATS[page.suffix]})
    _add_run(crate, record, path.name, inside)
    with replacing(to) as part:
        zipped = part.with_name(f"{part.name}.zip")  # the package insists on this ending
        crate.write_zip(zipped)
        zipped.replace(part)
    return len(crate.data_entities)


def _describe(crate: ROCrate, record: Record) -> None:
    figures = ", ".join(f"{name} {value:.4f}" for name, value in record.metrics.headline.items())
    crate.name = f"{record.recipe['title']}: {record.verdict.outcome}"
    crate.description = f"{figures} on {record.metrics.eval_set}. {'; '.join(record.verdict.reasons)}"
    crate.datePublished = record.written
    crate.root_dataset["version"] = record.seal


def _properties(file: FileFact) -> dict[str, Any]:
    suffix = file.path[file.path.rfind(".") :]
    return {
        "name": file.role,
        "contentSize": str(file.size),
        "sha256": file.sha256,
        "encodingFormat": FORMATS.get(suffix, "application/octet-stream"),
    }


def _add_run(crate: ROCrate, record: Record, name: str, inside: list[FileFact]) -> None:
    """Say which software made which files from what, as RO-Crate's provenance has it: one CreateAction."""
    architecture = record.recipe["model"]["architecture"]
    model = crate.add(
        ContextEntity(crate, PAPERS[architecture], properties={"@type": "CreativeWork", "name": architecture})
    )
    software = crate.add(
        ContextEntity(
            crate,
            "#bevready",
            properties={
                "@type": "SoftwareApplication",
                "name": "bevready",
                "softwareVersion": f"{record.machine.bevready}, source {record.source.commit or 'unknown'}",
                "softwareRequirements": f"stack {record.stack.name}, lock SHA-256 {record.stack.lock_sha256}",
            },
        )
    )
    data = crate.add(
        ContextEntity(
            crate,
            f"#data-{record.data.fingerprint}",
            properties={
                "@type": "Dataset",
                "name": f"{record.data.dataset} {record.data.version}",
                "description": f"not in this crate; fingerprint {record.data.fingerprint}",
            },
        )
    )
    action = crate.add_action(
        software,
        identifier="#run",
        object=[data, crate.get("recipe.json")],
        result=[crate.get(file.path) for file in inside if file.role in {"checkpoint", "results", "stage"}],
        properties={"name": record.command, "endTime": record.written, "actionStatus": "CompletedActionStatus"},
    )
    crate.root_dataset["isBasedOn"] = model
    crate.root_dataset["mainEntity"] = crate.get(name)
    crate.root_dataset["mentions"] = action
