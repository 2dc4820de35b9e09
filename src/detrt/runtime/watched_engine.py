"""An engine that is looked into while it runs: its layers, their times, its debug tensors. Kernel by kernel, slowly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detrt.engine import api
from detrt.engine.admission import fitting_gpu, matching_flavour, whole_engine
from detrt.engine.flavour import Flavour
from detrt.engine.manifest import EngineManifest, cache_path, manifest_of
from detrt.engine.plugins import libraries_of, load_plugins
from detrt.errors import EngineError
from detrt.runtime.engine_session import EngineSession
from detrt.runtime.gpu import Gpu
from detrt.runtime.loaded_engine import LoadedEngine

Watch = Callable[[Any, Flavour, Gpu], object]
"""Told of every execution context before it first runs, so that it can hang a profiler or a listener on it."""


class WatchedEngine(LoadedEngine):
    """An engine whose contexts are shown to a `Watch`. What the watch returns lives as long as the engine does."""

    def __init__(
        self, data: bytes, manifest: EngineManifest, flavour: Flavour, path: Path, gpu: Gpu, watch: Watch | None
    ) -> None:
        super().__init__(data, manifest, flavour, cache_path(path), rebuild=manifest.rebuild_command(path))
        self._watch, self._gpu = watch, gpu
        self._watchers: list[object] = []  # TensorRT keeps bare pointers to them

    def context(self, shapes: Mapping[str, tuple[int, ...]]) -> api.ExecutionContext:
        """See `LoadedEngine.context`."""
        context = super().context(shapes)
        if self._watch:
            self._watchers.append(self._watch(context, self._flavour, self._gpu))
        return context

    def debug_tensors(self, names: Iterable[str]) -> list[str]:
        """Those of the names that the engine was built to show (`BuildOptions.debug_tensors`)."""
        native: Any = self._engine
        return [name for name in names if native.is_debug_tensor(name)]

    def inspect(self) -> Any:
        """The layers, as the engine inspector's JSON says them.

        Raises:
            EngineError: the inspector gives nothing.
        """
        native: Any = self._engine  # the inspector is no part of what ordinary running needs
        trt: Any = self._flavour.trt
        text = native.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
        try:
            return json.loads(text)
        except ValueError as error:
            raise EngineError(
                f"The inspector of {self._flavour} says nothing that can be read ({error}).",
                "Build the engine again: detrt builds engines with detailed profiling verbosity.",
            ) from error


@contextmanager
def watched(
    engine: Path, watch: Watch | None = None, *, device: str = "auto"
) -> Iterator[tuple[WatchedEngine, EngineSession]]:
    """Load an engine to look into it, with a session that runs it without CUDA graphs.

    Raises:
        EngineError: the engine cannot run here; see `TensorRTRuntime`.
    """
    manifest = manifest_of(engine)
    data = whole_engine(engine, manifest)
    flavour = matching_flavour(manifest, engine)
    gpu = fitting_gpu(manifest, engine, device)
    load_plugins(libraries_of(manifest.plugins, engine, rebuild=manifest.rebuild_command(engine)), flavour)
    gpu.use()
    loaded = WatchedEngine(data, manifest, flavour, engine, gpu, watch)
    with EngineSession(loaded, gpu, graph=False) as session:
        yield loaded, session
