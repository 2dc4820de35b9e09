"""One place to run an engine: a stream, buffers that are allocated once, and a CUDA graph for each shape."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import TracebackType

import numpy as np

from detrt.errors import EngineError
from detrt.runtime.base import Array
from detrt.runtime.device import DeviceArray, OnDevice, check_feeds, device_array
from detrt.runtime.gpu import Gpu, Graph
from detrt.runtime.loaded_engine import LoadedEngine
from detrt.runtime.shaped_engine import ShapedEngine
from detrt.runtime.turns import Turn, Turns

MOST_SHAPES = 8
"""Shapes that a session keeps ready; the one that was not used for the longest time gives way."""

Shapes = tuple[tuple[int, ...], ...]


class EngineSession:
    """A `DeviceSession` of an engine; also runs host arrays. One thread at a time."""

    def __init__(
        self,
        engine: LoadedEngine,
        gpu: Gpu,
        *,
        graph: bool,
        turns: Turns | None = None,
        closed: Callable[[EngineSession], None] | None = None,
    ) -> None:
        """Allocate for the greatest shapes of the engine's profile.

        Args:
            engine: to run.
            gpu: where.
            graph: launch through CUDA graphs, or kernel by kernel.
            turns: of the engine, where its sessions must not run side by side.
            closed: called when the session is given back, in place of freeing it.
        """
        self._engine, self._gpu, self._graph, self._closed = engine, gpu, graph, closed
        self._specs = engine.manifest.inputs
        self._greatest = {name: shapes[-1] for name, shapes in engine.manifest.profile.items()}
        self._ready: OrderedDict[Shapes, ShapedEngine] = OrderedDict()
        self._now: ShapedEngine | None = None
        self._now_key: Shapes | None = None
        gpu.use()
        self._stream = gpu.stream()
        self.stream = self._stream.handle
        self.turn = Turn(turns or Turns(), self._stream.synchronize)
        sizes = {spec.name: DeviceArray(0, self._greatest[spec.name], spec.dtype).nbytes for spec in self._specs}
        self._device = {name: gpu.allocate(size) for name, size in sizes.items()}
        self._host = {name: gpu.pin(size) for name, size in sizes.items()}
        for memory in self._device.values():  # what is read before the first upload shall be defined
            gpu.clear(memory.pointer, memory.nbytes, self.stream)
        self._stream.synchronize()

    @property
    def inputs(self) -> Mapping[str, DeviceArray]:
        """See `DeviceSession.inputs`."""
        return self._shaped.inputs

    @property
    def outputs(self) -> Mapping[str, DeviceArray]:
        """See `DeviceSession.outputs`."""
        return self._shaped.outputs

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """See `DeviceSession.shape`."""
        check_feeds(
            self._specs,
            {spec.name: (tuple(shapes[spec.name]), spec.dtype) for spec in self._specs if spec.name in shapes},
        )
        self._choose(tuple(tuple(shapes[spec.name]) for spec in self._specs))

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Host arrays in, host arrays out: upload, run and download as one CUDA graph."""
        check_feeds(self._specs, {name: (feed.shape, feed.dtype.name) for name, feed in feeds.items()})
        self._choose(tuple(feeds[spec.name].shape for spec in self._specs))
        shaped = self._shaped
        for name, view in shaped.host_inputs.items():
            np.copyto(view, feeds[name])
        shaped.round_trip(self.stream)
        self._stream.synchronize()
        return {name: view.copy() for name, view in shaped.host_outputs.items()}

    def upload(self, feeds: Mapping[str, Array], *, stream: int | None = None) -> None:
        """See `DeviceSession.upload`."""
        check_feeds(self._specs, {name: (feed.shape, feed.dtype.name) for name, feed in feeds.items()})
        self._choose(tuple(feeds[spec.name].shape for spec in self._specs))
        for name, view in self._shaped.host_inputs.items():
            np.copyto(view, feeds[name])
        where = self.stream if stream is None else stream
        self._shaped.upload(where)
        self._gpu.synchronize(where)

    def launch(self, *, stream: int | None = None) -> None:
        """See `DeviceSession.launch`."""
        self._shaped.launch(self.stream if stream is None else stream)

    def within(self, before: Callable[[int], None], after: Callable[[int], None]) -> Graph:
        """See `DeviceSession.within`."""
        self._stream.synchronize()  # nothing of the engine runs while it is captured
        return self._shaped.within(before, after, self.stream)

    def enqueue(self, feeds: Mapping[str, OnDevice], *, stream: int | None = None) -> Mapping[str, DeviceArray]:
        """See `DeviceSession.enqueue`."""
        arrays = {name: device_array(feed) for name, feed in feeds.items()}
        check_feeds(self._specs, {name: (array.shape, array.dtype) for name, array in arrays.items()})
        self._choose(tuple(arrays[spec.name].shape for spec in self._specs))
        where = self.stream if stream is None else stream
        for name, array in arrays.items():
            own = self._device[name]
            if array.pointer != own.pointer:
                self._gpu.copy(own.pointer, array.pointer, array.nbytes, where)
        self._shaped.launch(where)
        return self._shaped.outputs

    def download(self, *, stream: int | None = None) -> dict[str, Array]:
        """See `DeviceSession.download`."""
        where = self.stream if stream is None else stream
        self._shaped.download(where)
        self._gpu.synchronize(where)
        return {name: view.copy() for name, view in self._shaped.host_outputs.items()}

    def synchronize(self) -> None:
        """See `DeviceSession.synchronize`."""
        self._stream.synchronize()

    def close(self) -> None:
        """See `DeviceSession.close`."""
        if self._closed:
            self._closed(self)
        else:
            self.free()

    def free(self) -> None:
        """Wait for what was enqueued, then give every resource back."""
        self._gpu.use()
        self._stream.synchronize()
        self.turn.end()
        for shaped in self._ready.values():
            shaped.free()
        self._ready.clear()
        self._now = self._now_key = None
        for memory in (*self._device.values(), *self._host.values()):
            memory.close()
        self._stream.close()

    def __enter__(self) -> EngineSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _shaped(self) -> ShapedEngine:
        if self._now is None:
            self._choose(tuple(self._greatest[spec.name] for spec in self._specs))
        assert self._now is not None
        return self._now

    def _choose(self, key: Shapes) -> None:
        """Be ready to run at these shapes, in the order of the inputs."""
        self._gpu.use()
        if key == self._now_key:
            return
        self._refuse_outside(key)
        if key in self._ready:
            self._ready.move_to_end(key)
        else:
            while len(self._ready) >= MOST_SHAPES:
                self._stream.synchronize()  # its graph may still be running
                self._ready.popitem(last=False)[1].free()
            shapes = {spec.name: shape for spec, shape in zip(self._specs, key, strict=True)}
            self._ready[key] = ShapedEngine(
                self._engine,
                self._gpu,
                shapes,
                self._device,
                self._host,
                self.stream,
                graph=self._graph,
            )
            self._engine.keep_compiled()
        self._now, self._now_key = self._ready[key], key

    def _refuse_outside(self, key: Shapes) -> None:
        manifest = self._engine.manifest
        for spec, shape in zip(self._specs, key, strict=True):
            least, _, greatest = manifest.profile[spec.name]
            if any(not low <= axis <= high for low, axis, high in zip(least, shape, greatest, strict=True)):
                raise EngineError(
                    f"The input {spec.name} was fed the shape {shape}, but the engine takes {least} to {greatest}.",
                    "Feed smaller or larger batches, or build the engine for them: detrt build --batch MIN:USUAL:MAX",
                )
