"""An engine in memory: makes execution contexts, and keeps what TensorRT-RTX compiles for this GPU."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from detrt.engine import api
from detrt.engine.flavour import Flavour
from detrt.engine.log import gist
from detrt.engine.manifest import EngineManifest
from detrt.engine.tf32 import decide_on_tf32
from detrt.errors import EngineError
from detrt.files import whole

logger = logging.getLogger("detrt.runtime")


class LoadedEngine:
    """A deserialised engine.

    Attributes:
        manifest: its papers.
        layers: after fusion.
    """

    def __init__(self, data: bytes, manifest: EngineManifest, flavour: Flavour, cache: Path, *, rebuild: str) -> None:
        """Deserialise.

        Args:
            data: the engine, known to be whole and TensorRT's own.
            manifest: its papers.
            flavour: the TensorRT that can read it.
            cache: file that keeps compiled kernels between processes (TensorRT-RTX only).
            rebuild: the command that makes the engine anew, for the error.

        Raises:
            EngineError: TensorRT refuses it; with what it says.
        """
        self.manifest = manifest
        self._flavour = flavour
        self._lock = threading.Lock()
        decide_on_tf32(flavour, manifest.precision)
        self._runtime = flavour.trt.Runtime(flavour.log.native)
        if manifest.version_compatible:
            self._runtime.engine_host_code_allowed = True  # such an engine brings its own, built by whoever built it
        with flavour.log.errors() as said:
            engine = self._runtime.deserialize_cuda_engine(data)
        if engine is None:
            raise EngineError(
                f"{flavour} refuses the engine, which needs {manifest.needs}: {gist(said)}.",
                f"Build it for this machine: {rebuild}",
            )
        self._engine = engine
        self.layers = int(engine.num_layers)
        self._compiled = _CompiledKernels(engine, flavour, cache) if flavour.is_rtx else None

    def context(self, shapes: Mapping[str, tuple[int, ...]]) -> api.ExecutionContext:
        """A context for these input shapes, which lie within the profile; it allocates its own scratch memory.

        Lending it memory instead, of the size that the engine names, gave wrong results from several threads and a
        crash at dynamic shapes with TensorRT-RTX 1.6.1, which compiles at load and then needs more than it named.

        Raises:
            EngineError: TensorRT cannot make one.
        """
        with self._lock, self._flavour.log.errors() as said:
            context = self._new_context()
            if context is not None and all(context.set_input_shape(name, shape) for name, shape in shapes.items()):
                return context
        raise EngineError(
            f"{self._flavour} cannot make a context for {dict(shapes)}: {gist(said)}.",
            "Free memory on the GPU, or use a shape within the engine's profile.",
        )

    def keep_compiled(self) -> None:
        """Save what was compiled since the last time, so that the next process need not compile it."""
        if self._compiled:
            with self._lock:
                self._compiled.save()

    def _new_context(self) -> api.ExecutionContext | None:
        if self._compiled:
            return cast("api.RtxEngine", self._engine).create_execution_context(self._compiled.config)
        return self._engine.create_execution_context()


class _CompiledKernels:
    """TensorRT-RTX's runtime cache, in a file.

    Attributes:
        config: what contexts are made with.
    """

    def __init__(self, engine: api.Engine, flavour: Flavour, path: Path) -> None:
        trt = flavour.rtx
        self._path = path
        self.config = cast("api.RtxEngine", engine).create_runtime_config()
        # Lazy compilation would run, and capture, a slower stand-in kernel first, and change results between runs.
        self.config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        self._cache = self.config.create_runtime_cache()
        self._saved = 0
        try:
            known = path.read_bytes()
        except OSError:
            known = b""
        with flavour.log.errors() as said:
            if known and self._cache.deserialize(known):
                self._saved = len(known)
            elif known:
                logger.info("%s is of another GPU, driver or version and is made anew (%s)", path, gist(said))
        self.config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Write the cache if it has grown. A folder that cannot be written to costs time, not the run."""
        data = bytes(self._cache.serialize())
        if len(data) == self._saved:  # the bytes differ every time that it is serialised (seen with 1.6.1)
            return
        try:
            with whole(self._path) as part:
                part.write_bytes(data)
        except OSError as error:
            logger.warning("compiled kernels cannot be kept in %s: %s", self._path, error)
        self._saved = len(data)
