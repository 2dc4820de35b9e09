"""Where a group of photos that lie on the device is run: a session of the engine, and pinned memory for its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detrt.contract import ModelContract
from detrt.decoding import sizes_to_feed
from detrt.images.gpu.preprocess import EnqueuesPreprocessing
from detrt.images.resize import Placement
from detrt.pipeline.device_place import DevicePlace, pinned_view
from detrt.runtime.device import DeviceSession
from detrt.runtime.gpu import Gpu, Memory


class Station:
    """Runs one group at a time."""

    def __init__(
        self, session: DeviceSession, gpu: Gpu, contract: ModelContract, preprocess: EnqueuesPreprocessing
    ) -> None:
        self._session, self._gpu, self._contract, self._preprocess = session, gpu, contract, preprocess
        self._pinned: dict[str, Memory] = {}

    def shape(self, batch: int) -> None:
        """Make ready for groups of that many; slow the first time."""
        shapes: dict[str, tuple[int, ...]] = {self._contract.input_name: (batch, 3, *self._contract.input_size)}
        if self._contract.sizes_name:
            shapes[self._contract.sizes_name] = (batch, 2)
        self._session.shape(shapes)
        for name, array in self._session.outputs.items():
            if name not in self._pinned or self._pinned[name].nbytes < array.nbytes:
                self._pinned[name] = self._gpu.pin(array.nbytes)

    def run(
        self, place: DevicePlace, rows: Sequence[int], placements: Sequence[Placement]
    ) -> dict[str, npt.NDArray[Any]]:
        """Preprocess and run every row of the place, and wait; the outputs of `rows`, as arrays of the caller's own."""
        self.shape(len(place.rows))
        inputs = self._session.inputs
        self._preprocess(place.send_table(), len(place.rows), inputs[self._contract.input_name], place.stream)
        if self._contract.sizes_name:
            place.send_sizes(sizes_to_feed(placements), rows, inputs[self._contract.sizes_name].pointer)
        self._session.launch(stream=place.stream)
        for name, array in self._session.outputs.items():
            self._gpu.copy(self._pinned[name].pointer, array.pointer, array.nbytes, place.stream)
        place.synchronize()
        return {
            name: pinned_view(self._pinned[name], np.dtype(array.dtype), array.shape)[np.asarray(rows)]
            for name, array in self._session.outputs.items()
        }

    def close(self) -> None:
        """Give the session back."""
        self._session.close()
        for memory in self._pinned.values():
            memory.close()
