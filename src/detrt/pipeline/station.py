"""Where groups of photos that lie on the device are run, one behind the other on one stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy.typing as npt

from detrt.contract import ModelContract
from detrt.images.gpu.preprocess import EnqueuesPreprocessing
from detrt.images.resize import Placement
from detrt.pipeline.device_place import DevicePlace, Event
from detrt.runtime.device import DeviceSession
from detrt.runtime.gpu import Gpu


class Station:
    """One session of the engine. Threads enqueue groups behind each other and wait, each for its own.

    The GPU so goes from group to group without waiting for the host, and the station never runs the engine twice at a
    time, which would be no faster. Where that would be wrong too, several stations of an engine take turns.
    """

    def __init__(
        self,
        session: DeviceSession,
        gpu: Gpu,
        contract: ModelContract,
        preprocess: EnqueuesPreprocessing,
        event: Callable[[], Event],
        batch: int,
        *,
        alone: bool = False,
    ) -> None:
        """Take a session over and shape it, which takes long.

        Args:
            session: of the engine.
            gpu: where.
            contract: of the model.
            preprocess: the kernel.
            event: makes events.
            batch: photos a group.
            alone: groups come one at a time, so that photos need no stream of their own to arrive while others run.

        Raises:
            ModelError: the engine does not take such a batch.
        """
        self._session, self._gpu, self._preprocess, self._batch = session, gpu, preprocess, batch
        self._event, self._alone = event, alone
        shapes: dict[str, tuple[int, ...]] = {contract.input_name: (batch, 3, *contract.input_size)}
        if contract.sizes_name:
            shapes[contract.sizes_name] = (batch, 2)
        with session.turn:
            session.shape(shapes)
        self._images = session.inputs[contract.input_name]
        self._sizes = session.inputs[contract.sizes_name] if contract.sizes_name else None
        self._outputs = session.outputs

    def place(self) -> DevicePlace:
        """Room for a group; who asked closes it before the station."""
        stream = self._session.stream if self._alone else None
        return DevicePlace(self._gpu, self._batch, self._event, self._outputs, stream)

    def start(self, place: DevicePlace, rows: Sequence[int], placements: Sequence[Placement]) -> None:
        """Enqueue preprocessing and network for every row of the place, of which `rows` hold photos."""
        place.describe(rows, placements)
        stream = self._session.stream
        with self._session.turn:
            place.round = place.round or self._session.within(partial(self._bring, place), partial(self._fetch, place))
            place.hold(stream)  # until the photos are there; this thread goes on
            place.round.launch(stream)
            place.done.record(stream)

    def finish(self, place: DevicePlace, rows: Sequence[int]) -> dict[str, npt.NDArray[Any]]:
        """Wait; the network's outputs of `rows`, as arrays of the caller's own."""
        place.done.synchronize()
        every = len(rows) == self._batch
        return {name: array.copy() if every else array[rows] for name, array in place.results.arrays.items()}

    def close(self) -> None:
        """Give the session back."""
        self._session.close()

    def _bring(self, place: DevicePlace, stream: int) -> None:
        """Enqueue what makes the network's inputs of the photos of a place."""
        if self._sizes:
            self._gpu.copy(self._sizes.pointer, place.sizes.pointer, place.sizes.nbytes, stream)
        self._preprocess(place.table.send(stream), self._batch, self._images, stream)

    def _fetch(self, place: DevicePlace, stream: int) -> None:
        """Enqueue the way back of the network's outputs."""
        place.results.fetch(stream)
