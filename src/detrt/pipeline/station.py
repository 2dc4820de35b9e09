"""Where groups of photos that lie on the device are run, one behind the other on one stream."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detrt.contract import ModelContract
from detrt.decoding import sizes_to_feed
from detrt.images.gpu.preprocess import EnqueuesPreprocessing
from detrt.images.resize import Placement
from detrt.pipeline.device_place import DevicePlace
from detrt.runtime.device import DeviceSession
from detrt.runtime.gpu import Gpu


class Station:
    """One session of the engine. Threads enqueue groups behind each other and wait, each for its own.

    The GPU so goes from group to group without waiting for the host, and never runs the engine twice at a time, which
    would be no faster, and which TensorRT-RTX 1.6 does not survive: its contexts change each other's results.
    """

    def __init__(
        self,
        session: DeviceSession,
        gpu: Gpu,
        contract: ModelContract,
        preprocess: EnqueuesPreprocessing,
    ) -> None:
        self._session, self._gpu, self._contract = session, gpu, contract
        self._preprocess = preprocess
        self._lock = threading.Lock()

    def shape(self, batch: int) -> None:
        """Make ready for groups of that many; slow the first time."""
        shapes: dict[str, tuple[int, ...]] = {self._contract.input_name: (batch, 3, *self._contract.input_size)}
        if self._contract.sizes_name:
            shapes[self._contract.sizes_name] = (batch, 2)
        self._session.shape(shapes)

    def run(
        self, place: DevicePlace, rows: Sequence[int], placements: Sequence[Placement]
    ) -> dict[str, npt.NDArray[Any]]:
        """Preprocess and run every row of the place, and wait; the outputs of `rows`, as arrays of the caller's own."""
        table = place.send_table()
        place.arrived.record(place.stream)
        with self._lock:
            outputs = self._enqueue(place, table, rows, placements)
        place.done.synchronize()
        return {name: view[np.asarray(rows)] for name, view in outputs.items()}

    def close(self) -> None:
        """Give the session back."""
        self._session.close()

    def _enqueue(
        self, place: DevicePlace, table: int, rows: Sequence[int], placements: Sequence[Placement]
    ) -> dict[str, npt.NDArray[Any]]:
        session, stream = self._session, self._session.stream
        self.shape(len(place.rows))
        inputs = session.inputs
        place.arrived.hold(stream)  # the photos and their table; this thread goes on
        self._preprocess(table, len(place.rows), inputs[self._contract.input_name], stream)
        if self._contract.sizes_name:
            sizes = place.sizes(sizes_to_feed(placements), rows)
            self._gpu.copy(inputs[self._contract.sizes_name].pointer, sizes.ctypes.data, sizes.nbytes, stream)
        session.launch()
        outputs = {name: place.result(name, array) for name, array in session.outputs.items()}
        for name, array in session.outputs.items():
            self._gpu.copy(outputs[name].ctypes.data, array.pointer, array.nbytes, stream)
        place.done.record(stream)
        return outputs
