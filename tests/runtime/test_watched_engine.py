"""Looking into a running engine: profiler, inspector and debug tensors of a stand-in for TensorRT."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from detrt.compare.engine_tensors import engine_tensors
from detrt.engine.flavour import Flavour
from detrt.errors import EngineError
from detrt.profile.live import profile_engine
from detrt.profile.load import profile_from_files
from detrt.runtime.gpu import Gpu
from detrt.runtime.watched_engine import watched
from tests.profile.conftest import small_engine
from tests.runtime.standin import StandInContext, StandInEngine, StandInGpu, StandInTensorRT, expected
from tests.runtime.test_tensorrt import engine as engine
from tests.runtime.test_tensorrt import feeds_of
from tests.runtime.test_tensorrt import gpu as gpu
from tests.runtime.test_tensorrt import module as module

INNER = np.arange(6, dtype=np.float32).reshape(1, 6)
LAYERS = [layer["Name"] for layer in small_engine()["Layers"] if layer["LayerType"] != "wait"]


class Native:
    """What TensorRT's bindings want to be derived from, and constructed explicitly."""

    made = False

    def __init__(self) -> None:
        self.made = True


class OpenContext(StandInContext):
    """A context that reports layers and shows a tensor, as TensorRT does while it runs."""

    profiler: Any = None
    unfused_tensors_debug_state = False

    @property
    def engine(self) -> StandInEngine:
        return self._engine

    def set_debug_listener(self, listener: Any) -> bool:
        self.listener = listener
        return True

    def set_all_tensors_debug_state(self, on: bool) -> bool:
        self.on = on
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        super().execute_async_v3(stream_handle)
        if self.profiler is not None:
            assert self.profiler.made
            for number, name in enumerate(LAYERS):
                self.profiler.report_layer_time(name, 0.001 * (number + 1))
        if getattr(self, "on", False):
            address = ctypes.pythonapi.PyCapsule_New
            address.restype, address.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
            capsule = address(INNER.ctypes.data, None, None)
            name = "__t7" if self.unfused_tensors_debug_state else "inner"
            for kind in ("FLOAT", "FP8"):
                shown = name if kind == "FLOAT" else "codes"
                assert self.listener.process_debug_tensor(
                    capsule, None, SimpleNamespace(name=kind), INNER.shape, shown, stream_handle
                )
        return True


@pytest.fixture(autouse=True)
def open_tensorrt(module: StandInTensorRT, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in with an inside to look at."""
    module.IProfiler, module.IDebugListener = Native, type("Listener", (Native,), {})
    module.LayerInformationFormat = SimpleNamespace(JSON="JSON")
    inspector = SimpleNamespace(get_engine_information=lambda form: json.dumps(small_engine()))
    monkeypatch.setattr(StandInEngine, "create_engine_inspector", lambda self: inspector, raising=False)
    monkeypatch.setattr(StandInEngine, "is_debug_tensor", lambda self, name: name == "inner", raising=False)
    monkeypatch.setattr(StandInEngine, "create_execution_context", lambda self, *settings: OpenContext(self))


def test_a_watched_engine_computes_what_it_did(engine: Path) -> None:
    feeds = feeds_of(3)
    with watched(engine) as (_, session):
        np.testing.assert_array_equal(session.run(feeds)["scores"], expected(feeds))


def test_what_watches_outlives_its_contexts(engine: Path) -> None:
    seen = []

    def watch(context: Any, flavour: Flavour, gpu: Gpu) -> object:
        seen.append(context)
        return object()

    with watched(engine, watch) as (loaded, session):
        session.run(feeds_of(1))
        session.run(feeds_of(2))
        assert len(seen) == 2  # one for each shape
        assert len(loaded._watchers) == 2


def test_an_inspector_that_says_nothing_is_an_error(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = SimpleNamespace(get_engine_information=lambda form: "")
    monkeypatch.setattr(StandInEngine, "create_engine_inspector", lambda self: silent)
    with watched(engine) as (loaded, _), pytest.raises(EngineError, match="nothing that can be read"):
        loaded.inspect()


def test_a_live_profile(engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event = SimpleNamespace(record=lambda stream: None, synchronize=lambda: None, milliseconds_since=lambda start: 0.5)
    monkeypatch.setattr("detrt.profile.live.CudaEvent", lambda: event)
    found = profile_engine(engine, runs=5, save=tmp_path / "raw")
    assert found.mean == pytest.approx((1, 2, 0, 3, 4))
    assert found.latency is not None
    assert (found.latency.median, found.latency.runs, found.device) == (0.5, 5, "Stand-in GPU")
    again = profile_from_files(tmp_path / "raw")
    assert (again.mean, again.layers, again.device) == (found.mean, found.layers, found.device)


def test_debug_tensors(engine: Path) -> None:
    feeds = feeds_of(1)
    with engine_tensors(engine, ["inner", "other"]) as source:
        assert source.those_of(["other", "inner", "scores"]) == ["inner", "scores"]
        read = source.read(feeds, ["inner", "scores"])
    np.testing.assert_array_equal(read["inner"], INNER)
    np.testing.assert_array_equal(read["scores"], expected(feeds))


def test_unfused_tensors_go_by_the_nodes_of_their_layers(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.compare.test_unfused import model

    content = {"Layers": [{"Name": "conv", "Metadata": "[ONNX Layer: a]\x1e[ONNX Layer: b]", "Outputs": ["__t7"]}]}
    inspector = SimpleNamespace(get_engine_information=lambda form: json.dumps(content))
    monkeypatch.setattr(StandInEngine, "create_engine_inspector", lambda self: inspector)
    monkeypatch.setattr(StandInEngine, "is_debug_tensor", lambda self, name: False)
    with engine_tensors(engine, ["b_out"], model=model()) as source:
        assert source.those_of(["a_out", "b_out"]) == ["b_out"]
        np.testing.assert_array_equal(source.read(feeds_of(1), ["b_out"])["b_out"], INNER)


def test_everything_is_given_back(engine: Path, gpu: StandInGpu) -> None:
    with engine_tensors(engine, ["inner"]) as source:
        source.read(feeds_of(1), ["inner"])
    assert not gpu.streams
