"""What the authors' process may say, line by line. Their code can write there too: nothing is believed before it fits.

The other end is child.py. Who waits for which event stands in exchange.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from repro.upstream.failures import garbled

if TYPE_CHECKING:
    from pathlib import Path

MOST = 1_000_000  # modules that any model could have
PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+\.npy$")]  # of a file in the scratch folder, nowhere else


class Event(BaseModel):
    """One line; `kind` is called "is" there."""

    model_config = ConfigDict(strict=True, frozen=True)


class Interpreter(Event):
    """It is a Python, and has started."""

    kind: Literal["python"] = Field(alias="is")
    version: str


class Packages(Event):
    """What their model stands on was imported."""

    kind: Literal["packages"] = Field(alias="is")
    versions: dict[str, str]


class Model(Event):
    """Their model was built; its weights and their shapes, and which modules were stood in for."""

    kind: Literal["model"] = Field(alias="is")
    weights: dict[str, list[int]]
    stand_ins: list[str]


class Running(Event):
    """It has our weights, and runs; so many modules will be told of in each frame."""

    kind: Literal["running"] = Field(alias="is")
    watched: int = Field(ge=0, le=MOST)


class Seen(Event):
    """A module has run on a frame; what it returned lies in these files of the scratch folder, by "MODULE/PART"."""

    kind: Literal["seen"] = Field(alias="is")
    frame: int = Field(ge=0)
    module: str
    files: dict[str, PlainName]


class Done(Event):
    """All frames have run."""

    kind: Literal["done"] = Field(alias="is")


class Failed(Event):
    """A step has failed: class, words and name of the exception, where it came from, and what was imported by then."""

    kind: Literal["failed"] = Field(alias="is")
    step: Literal["packages", "model", "operators", "weights", "run"]
    error: str
    words: str
    name: str | None
    where: str
    versions: dict[str, str]


AnyEvent = Interpreter | Packages | Model | Running | Seen | Done | Failed
_LINE: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="kind")])


def event_of(line: str, python: Path) -> AnyEvent:
    """Return what a line says. Raises UpstreamError for one that child.py does not write."""
    try:
        return _LINE.validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        at = "/".join(str(part) for part in first["loc"][1:])
        raise garbled(python, line, f"{at}: {first['msg']}" if at else first["msg"]) from error
