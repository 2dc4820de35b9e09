"""TensorRT engines of any flavour, by their manifest. Running one needs neither PyTorch nor ONNX."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from detrt.engine.admission import fitting_gpu, matching_flavour, whole_engine
from detrt.engine.manifest import cache_path, manifest_of
from detrt.engine.plugins import libraries_of, load_plugins
from detrt.errors import EngineError
from detrt.runtime.base import Array
from detrt.runtime.engine_session import EngineSession
from detrt.runtime.finite import require_finite
from detrt.runtime.loaded_engine import LoadedEngine
from detrt.runtime.turns import Turns


class TensorRTRuntime:
    """An engine on a GPU. `run` is safe from several threads: each runs in a session of its own.

    Attributes:
        manifest: what the engine is.
        gpu: where it runs.
    """

    def __init__(
        self, engine: str | os.PathLike[str], *, device: str = "auto", graph: bool = True, check: bool = False
    ) -> None:
        """Load an engine that can run here.

        Args:
            engine: path of the `.engine` file; its manifest lies beside it.
            device: `auto`, `cuda` or `cuda:N`.
            graph: launch through CUDA graphs, which an engine of many small kernels needs to be fast.
            check: raise where `run` returns NaN or infinity.

        Raises:
            EngineError: the manifest is missing, the engine is damaged, or needs another TensorRT, GPU or plugin than
                is here; says what it needs, what is here, and the command that rebuilds it.
        """
        path = Path(engine)
        self.manifest = manifest_of(path)
        data = whole_engine(path, self.manifest)
        flavour = matching_flavour(self.manifest, path)
        self.gpu = fitting_gpu(self.manifest, path, device)
        rebuild = self.manifest.rebuild_command(path)
        load_plugins(libraries_of(self.manifest.plugins, path, rebuild=rebuild), flavour)
        self.gpu.use()
        self._engine = LoadedEngine(data, self.manifest, flavour, cache_path(path), rebuild=rebuild)
        self._graph, self._check = graph, check
        self._turns = Turns() if flavour.is_rtx else None
        self._lock = threading.Lock()
        self._idle: list[EngineSession] = []
        self._closed = False
        self.name = f"{flavour} ({self.manifest.precision})"
        self.device = f"cuda:{self.gpu.index}"
        self.inputs = self.manifest.inputs
        self.outputs = self.manifest.outputs
        self.profile = self.manifest.profile
        self.metadata: Mapping[str, str] = self.manifest.metadata

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runtime.run`. Calls from several threads take turns on the GPU where TensorRT-RTX runs the engine."""
        with self._lent() as session, session.turn:
            outputs = session.run(feeds)
        if self._check:
            require_finite(outputs, self.name)
        return outputs

    def session(self, *, graph: bool | None = None) -> EngineSession:
        """See `DeviceRuntime.session`."""
        self._refuse_closed()
        graph = self._graph if graph is None else graph
        return EngineSession(self._engine, self.gpu, graph=graph, turns=self._turns)

    def close(self) -> None:
        """Give device memory back. Sessions that were asked for by `session` are closed by who asked."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for session in idle:
            session.free()
        if hasattr(self, "_engine"):
            del self._engine

    def __enter__(self) -> TensorRTRuntime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lent(self) -> EngineSession:
        """An idle session, or a new one where all are busy: there are as many as threads ever ran at once."""
        self._refuse_closed()
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return EngineSession(self._engine, self.gpu, graph=self._graph, turns=self._turns, closed=self._take_back)

    def _take_back(self, session: EngineSession) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(session)
                return
        session.free()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise EngineError(f"{self.name} was closed.", "Open the engine again.")
