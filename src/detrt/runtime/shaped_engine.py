"""An engine ready to run at one shape."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from detrt.errors import EngineError
from detrt.runtime.block import DeviceBlock, PinnedCopy, view
from detrt.runtime.device import DeviceArray
from detrt.runtime.gpu import Gpu, Graph, Memory
from detrt.runtime.loaded_engine import LoadedEngine

logger = logging.getLogger("detrt.runtime")


class ShapedEngine:
    """An engine ready to run at one shape: a context of its own (a captured graph refers to it), outputs, graphs."""

    def __init__(
        self,
        engine: LoadedEngine,
        gpu: Gpu,
        shapes: Mapping[str, tuple[int, ...]],
        device: Mapping[str, Memory],
        host: Mapping[str, Memory],
        stream: int,
        *,
        graph: bool,
    ) -> None:
        self._gpu, self._graph_wanted = gpu, graph
        manifest = engine.manifest
        self._context = engine.context(shapes)
        self.inputs = {
            spec.name: DeviceArray(device[spec.name].pointer, shapes[spec.name], spec.dtype) for spec in manifest.inputs
        }
        self.host_inputs = {
            name: view(host[name].pointer, array.shape, array.dtype) for name, array in self.inputs.items()
        }
        self._block = DeviceBlock(
            gpu, {spec.name: (self._shape_of(spec.name), spec.dtype) for spec in manifest.outputs}
        )
        self.outputs = self._block.tensors
        self._fetched = PinnedCopy(gpu, self.outputs)
        self.host_outputs = self._fetched.arrays
        for name, array in (self.inputs | self.outputs).items():
            self._context.set_tensor_address(name, array.pointer)
        self._execute(stream)  # the first run compiles and allocates, which a capture must not
        gpu.synchronize(stream)
        captured = self._captured(stream, self._execute)
        self._graph: Graph = captured or _PieceByPiece(self._execute)
        self._graph_wanted = captured is not None  # what cannot be captured alone cannot be captured with more
        self._round_trip: Graph | None = None

    def launch(self, stream: int) -> None:
        """Enqueue one run between the device buffers."""
        self._graph.launch(stream)

    def round_trip(self, stream: int) -> None:
        """Enqueue upload, run and download."""
        self._round_trip = self._round_trip or self.within(self.upload, self.download, stream)
        self._round_trip.launch(stream)

    def within(self, before: Callable[[int], None], after: Callable[[int], None], stream: int) -> Graph:
        """A run with what is enqueued before and after it, to be launched as one; the caller closes it."""

        def around(engine: Callable[[int], None]) -> Callable[[int], None]:
            def work(where: int) -> None:
                before(where)
                engine(where)
                after(where)

            return work

        return self._captured(stream, around(self._execute)) or _PieceByPiece(around(self.launch))

    def upload(self, stream: int) -> None:
        """Enqueue the copies from pinned memory."""
        for name, array in self.inputs.items():
            self._gpu.copy(array.pointer, self.host_inputs[name].ctypes.data, array.nbytes, stream)

    def download(self, stream: int) -> None:
        """Enqueue the copies to pinned memory."""
        self._fetched.fetch(stream)

    def free(self) -> None:
        """Give graphs, context and outputs back."""
        for graph in (self._graph, self._round_trip):
            if graph:
                graph.close()
        del self._context
        self._fetched.close()
        self._block.close()

    def _shape_of(self, name: str) -> tuple[int, ...]:
        shape = tuple(int(axis) for axis in self._context.get_tensor_shape(name))
        if min(shape, default=1) < 0:
            raise EngineError(
                f"The shape of the output {name}, {shape}, depends on what is fed, not on its shape.",
                "Cut the graph before the operator that makes it (NonZero, NonMaxSuppression).",
            )
        return shape

    def _execute(self, stream: int) -> None:
        if not self._context.execute_async_v3(stream):
            raise EngineError(
                "TensorRT could not enqueue the engine.", "Its log says why: logging.getLogger('detrt.tensorrt')."
            )

    def _captured(self, stream: int, work: Callable[[int], None]) -> Graph | None:
        """A CUDA graph of the work; None where graphs are not wanted or it cannot be captured."""
        if not self._graph_wanted:
            return None
        try:
            return self._gpu.capture(stream, lambda: work(stream))
        except EngineError as error:
            logger.warning("it takes longer to launch without a CUDA graph of all of it: %s", error.problem)
            return None


@dataclass(frozen=True)
class _PieceByPiece:
    """What stands in for a CUDA graph where there can be none."""

    launch: Callable[[int], None]

    def close(self) -> None:
        """There is nothing to give back."""
