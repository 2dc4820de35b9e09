"""The two stages that every way through a detector has: photos are loaded one by one, and run group by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from detrt.detections import Detections
from detrt.errors import ImageError
from detrt.images.read import Pixels
from detrt.images.resize import Placement
from detrt.images.sources import Item

Place = TypeVar("Place")


@dataclass(frozen=True)
class Loaded:
    """A photo that lies in its row of a place.

    Attributes:
        row: of the place.
        placement: where the photo lies in the network's input.
        pixels: the photo itself, where they are at hand on the host.
    """

    row: int
    placement: Placement
    pixels: Pixels | None = None


class Lane(Protocol[Place]):
    """A way from photos to detections. Buffers for one group at a time are a place; a lane has as many as it needs.

    `load` is called by many threads at once, each with a row of its own; `run` by as many as there are runners, each
    with a place of its own, once all of its rows were loaded or have failed.

    Attributes:
        runners: groups that are worth running side by side.
        loads_together: loading takes so little time that one thread shall load a whole group.
    """

    @property
    def runners(self) -> int: ...

    @property
    def loads_together(self) -> bool: ...

    def place(self) -> Place:
        """Buffers for one group, to be used again and again."""
        ...

    def load(self, place: Place, row: int, item: Item) -> Loaded:
        """Decode a photo into a row.

        Raises:
            ImageError: it cannot be; nobody else is concerned.
        """
        ...

    def run(self, place: Place, loaded: Sequence[Loaded]) -> Sequence[Detections | ImageError]:
        """Run the network on the loaded rows, any of them, in order; an error where a photo turns out to be damaged.

        The place is free for the next group then, also where no row was loaded and nothing is run.

        Raises:
            ModelError: the network cannot run at all.
        """
        ...

    def use(self) -> None:
        """Called once by every thread before its first load or run."""
        ...

    def close(self) -> None:
        """Give every place back; no load and no run is under way any more."""
        ...
