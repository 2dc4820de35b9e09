"""The engine runner's own logic, on a stand-in for TensorRT and the GPU (tests/gpu/ has the real ones)."""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from detrt.engine import admission, tf32
from detrt.engine.flavour import Flavour
from detrt.engine.log import TensorRTLog
from detrt.engine.manifest import EngineManifest, cache_path
from detrt.engine.platform import here
from detrt.errors import EngineError, ModelError, NonFiniteError
from detrt.runtime.base import WithinProfile
from detrt.runtime.device import DeviceArray, DeviceRuntime, DeviceSession
from detrt.runtime.engine_session import MOST_SHAPES
from detrt.runtime.tensorrt import TensorRTRuntime
from detrt.signature import TensorSpec
from tests.runtime.standin import MAGIC, StandInGpu, StandInTensorRT, expected

Feeds = dict[str, npt.NDArray[Any]]
VERSION = "1.6.1.120"


@pytest.fixture
def gpu() -> StandInGpu:
    return StandInGpu()


@pytest.fixture
def module(gpu: StandInGpu, monkeypatch: pytest.MonkeyPatch) -> StandInTensorRT:
    """The stand-in in the place of every TensorRT and GPU of this machine."""
    module = StandInTensorRT(gpu, VERSION)
    flavour = Flavour("tensorrt_rtx", VERSION, cast("Any", module), TensorRTLog(module))
    monkeypatch.setattr(admission, "load", lambda name: replace(flavour, name=name))
    monkeypatch.setattr("detrt.runtime.cuda.gpu", lambda device: gpu)
    return module


@pytest.fixture
def engine(tmp_path: Path, module: StandInTensorRT) -> Path:
    return saved_engine(tmp_path / "model.engine")


def saved_engine(path: Path, **changes: Any) -> Path:
    """An engine that the stand-in reads, batch 1 to 32, and its manifest."""
    data = MAGIC + b"!"
    shapes = {"images": (3, 4, 4), "sizes": (2,)}
    manifest = EngineManifest(
        flavour="tensorrt_rtx",
        version=VERSION,
        platform=here(),
        compute_capabilities=(),
        hardware="none",
        version_compatible=False,
        gpu="",
        precision="fp16",
        precision_note="",
        batch=(1, 8, 32),
        profile={name: ((1, *shape), (8, *shape), (32, *shape)) for name, shape in shapes.items()},
        inputs=(TensorSpec("images", (None, 3, 4, 4), "float32"), TensorSpec("sizes", (None, 2), "int64")),
        outputs=(TensorSpec("scores", (None,), "float32"), TensorSpec("labels", (None, 2), "int64")),
        metadata={"who": "a test"},
        plugins=(),
        onnx="model.onnx",
        onnx_sha256="",
        arguments=("--precision", "fp16", "--batch", "1:8:32"),
        fingerprint="",
        layers={},
        detrt="0",
        engine_sha256=hashlib.sha256(data).hexdigest(),
        engine_bytes=len(data),
    )
    path.write_bytes(data)
    replace(manifest, **changes).save(path)
    return path


def feeds_of(batch: int, seed: int = 0) -> Feeds:
    draw = np.random.default_rng(seed)
    return {
        "images": draw.random((batch, 3, 4, 4), np.float32),
        "sizes": draw.integers(1, 9, (batch, 2)),
    }


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_first_engine_keeps_tf32_out_of_the_process(
    precision: str, tmp_path: Path, module: StandInTensorRT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf32, "process", tf32.Process())
    monkeypatch.setenv(tf32.VARIABLE, "1")
    for name in ("one", "two"):
        TensorRTRuntime(saved_engine(tmp_path / f"{name}.engine", precision=precision)).close()
    assert module.built_under == ["0"]
    assert os.environ[tf32.VARIABLE] == "1"


def test_an_fp32_engine_after_one_in_tf32_is_told_of(
    tmp_path: Path, module: StandInTensorRT, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tf32, "process", tf32.Process())
    for precision, told in (("tf32", 0), ("fp16", 0), ("fp32", 1)):
        TensorRTRuntime(saved_engine(tmp_path / f"{precision}.engine", precision=precision)).close()
        assert sum("processes of their own" in record.message for record in caplog.records) == told
    assert module.built_under == []


def test_it_gives_what_the_engine_computes_and_says_what_it_is(engine: Path) -> None:
    with TensorRTRuntime(engine) as runtime:
        feeds = feeds_of(3)
        outputs = runtime.run(feeds)
        np.testing.assert_array_equal(outputs["scores"], expected(feeds))
        np.testing.assert_array_equal(outputs["labels"], feeds["sizes"])
        assert runtime.device == "cuda:0"
        assert runtime.name == f"TensorRT-RTX {VERSION} (fp16)"
        assert runtime.metadata == {"who": "a test"}
        assert isinstance(runtime, WithinProfile)
        assert [shape[0] for shape in runtime.profile["images"]] == [1, 8, 32]
        assert [spec.name for spec in runtime.inputs] == ["images", "sizes"]


def test_the_caller_owns_what_it_got(engine: Path) -> None:
    with TensorRTRuntime(engine) as runtime:
        first = runtime.run(feeds_of(2, seed=1))["scores"]
        kept = first.copy()
        runtime.run(feeds_of(2, seed=2))
        np.testing.assert_array_equal(first, kept)


def test_a_shape_is_captured_once_and_replayed(engine: Path, gpu: StandInGpu) -> None:
    with TensorRTRuntime(engine) as runtime:
        runtime.run(feeds_of(2))
        captures = gpu.captures
        gpu.launched.clear()
        for seed in range(5):
            feeds = feeds_of(2, seed)
            np.testing.assert_array_equal(runtime.run(feeds)["scores"], expected(feeds))
        assert gpu.captures == captures
        assert [how for how, _ in gpu.launched] == ["graph"] * 5


def test_graphs_of_many_shapes_are_bounded_and_buffers_are_allocated_once(engine: Path, gpu: StandInGpu) -> None:
    with TensorRTRuntime(engine) as runtime, runtime.session() as session:
        addresses, alive = set(), set()
        for batch in [*range(1, 17), *range(1, 17)]:
            session.upload(feeds_of(batch, seed=batch))
            session.launch()
            np.testing.assert_array_equal(session.download()["scores"], expected(feeds_of(batch, seed=batch)))
            addresses.add(session.inputs["images"].pointer)
            alive.add(len(gpu.alive))
        assert len(addresses) == 1
        assert len(gpu.graphs) <= 2 * MOST_SHAPES
        assert max(alive) <= 4 + 4 * MOST_SHAPES  # two inputs twice; and for a shape, two outputs twice


def test_the_shape_used_last_stays_ready(engine: Path, gpu: StandInGpu) -> None:
    with TensorRTRuntime(engine) as runtime, runtime.session() as session:
        for batch in range(1, MOST_SHAPES + 1):
            session.upload(feeds_of(batch))
        session.upload(feeds_of(1))
        session.upload(feeds_of(MOST_SHAPES + 1))  # drops batch 2, the one that was used before all others
        captures = gpu.captures
        session.upload(feeds_of(1))
        assert gpu.captures == captures
        session.upload(feeds_of(2))
        assert gpu.captures > captures


def test_graphs_of_tensorrt_rtx_never_run_side_by_side(engine: Path, module: StandInTensorRT) -> None:
    """They change each other's results there: tools/check_engine_on_gpu.py showed it on an H100."""
    at_once, most = threading.Semaphore(1), []

    def watch() -> None:
        alone = at_once.acquire(blocking=False)
        most.append(alone)
        time.sleep(0.002)
        if alone:
            at_once.release()

    with TensorRTRuntime(engine) as runtime, ThreadPoolExecutor(4) as pool:
        module.engines[0].watch = watch
        for done in [pool.submit(runtime.run, feeds_of(2, seed)) for seed in range(40)]:
            done.result()
    assert len(most) >= 40
    assert all(most)


def test_sessions_of_tensorrt_rtx_take_turns_with_each_other_and_with_runs(engine: Path, gpu: StandInGpu) -> None:
    with TensorRTRuntime(engine) as runtime, runtime.session() as one, runtime.session() as two:
        for session, waits in ((one, []), (one, []), (two, [one.stream]), (two, []), (one, [two.stream])):
            gpu.waited.clear()
            with session.turn:
                assert gpu.waited == waits
                session.launch()
        gpu.waited.clear()
        runtime.run(feeds_of(2))
        assert one.stream in gpu.waited


def test_nobody_waits_for_a_session_that_is_gone(engine: Path, gpu: StandInGpu) -> None:
    with TensorRTRuntime(engine) as runtime, runtime.session() as one:
        with runtime.session() as two, two.turn:
            two.launch()
        gpu.waited.clear()
        with one.turn:
            assert not gpu.waited


def test_sessions_of_full_tensorrt_do_not_wait_for_each_other(tmp_path: Path, module: StandInTensorRT) -> None:
    full = saved_engine(tmp_path / "full.engine", flavour="tensorrt", compute_capabilities=("9.0",))
    with TensorRTRuntime(full) as runtime, runtime.session() as one, runtime.session() as two:
        module.gpu.waited.clear()
        with one.turn, two.turn:
            assert not module.gpu.waited


def test_engines_of_full_tensorrt_run_side_by_side(tmp_path: Path, module: StandInTensorRT) -> None:
    both, met = threading.Barrier(2, timeout=20), threading.Event()

    def watch() -> None:
        if not met.is_set():
            both.wait()  # a run that was kept alone would wait here until the time is up
            met.set()

    full = saved_engine(tmp_path / "full.engine", flavour="tensorrt", compute_capabilities=("9.0",))
    with TensorRTRuntime(full) as runtime, ThreadPoolExecutor(2) as pool:
        module.engines[0].watch = watch
        for done in [pool.submit(runtime.run, feeds_of(2)) for _ in range(2)]:
            done.result()
    assert met.is_set()


def test_threads_get_their_own_results(engine: Path, module: StandInTensorRT) -> None:
    with TensorRTRuntime(engine) as runtime, ThreadPoolExecutor(4) as pool:

        def work(seed: int) -> bool:
            feeds = feeds_of(1 + seed % 3, seed)
            return bool(np.array_equal(runtime.run(feeds)["scores"], expected(feeds)))

        assert all(pool.map(work, range(400)))
    assert module.engines[0].contexts <= 4 * 3  # a context for each thread and shape, however many runs


def test_without_a_graph_it_launches_on_the_stream(engine: Path, gpu: StandInGpu) -> None:
    with TensorRTRuntime(engine, graph=False) as runtime:
        feeds = feeds_of(2)
        np.testing.assert_array_equal(runtime.run(feeds)["scores"], expected(feeds))
        assert gpu.captures == 0


def test_sessions_launch_as_the_runtime_does_where_they_are_not_told(engine: Path, gpu: StandInGpu) -> None:
    for graph in (True, False):
        for told in (None, True, False):
            with TensorRTRuntime(engine, graph=graph) as runtime, runtime.session(graph=told) as session:
                gpu.captures = 0
                session.shape({name: feed.shape for name, feed in feeds_of(2).items()})
                session.within(lambda _: None, lambda _: None).close()
                assert bool(gpu.captures) == (graph if told is None else told)


def test_an_engine_that_cannot_be_captured_runs_all_the_same(
    engine: Path, gpu: StandInGpu, caplog: pytest.LogCaptureFixture
) -> None:
    gpu.capturable = False
    with TensorRTRuntime(engine) as runtime:
        feeds = feeds_of(2)
        np.testing.assert_array_equal(runtime.run(feeds)["scores"], expected(feeds))
    assert "without a CUDA graph" in caplog.text


def test_device_tensors_go_in_and_out_on_the_callers_stream(engine: Path, gpu: StandInGpu) -> None:
    feeds = feeds_of(4)
    with TensorRTRuntime(engine) as runtime, runtime.session() as session:
        outputs = session.enqueue({name: gpu.put(value) for name, value in feeds.items()}, stream=77)
        assert outputs["scores"].shape == (4,)
        np.testing.assert_array_equal(session.download()["scores"], expected(feeds))
        assert gpu.launched[-1] == ("graph", 77)


@pytest.mark.parametrize("capturable", [True, False])
def test_what_a_caller_does_before_and_after_a_run_is_launched_with_it(
    engine: Path, gpu: StandInGpu, capturable: bool
) -> None:
    given = {name: gpu.put(value) for name, value in feeds_of(2).items()}
    taken = gpu.put(np.zeros(2, np.float32))
    with TensorRTRuntime(engine) as runtime, runtime.session() as session:
        session.shape({name: array.shape for name, array in given.items()})
        gpu.capturable = capturable

        def bring(stream: int) -> None:
            for name, array in session.inputs.items():
                gpu.copy(array.pointer, given[name].pointer, array.nbytes, stream)

        def take(stream: int) -> None:
            gpu.copy(taken.pointer, session.outputs["scores"].pointer, taken.nbytes, stream)

        within, graphs = session.within(bring, take), len(gpu.graphs)
        for seed in range(3):
            feeds = feeds_of(2, seed)
            for name, value in feeds.items():
                ctypes.memmove(given[name].pointer, value.ctypes.data, value.nbytes)
            within.launch(session.stream)
            scores = np.ctypeslib.as_array((ctypes.c_float * 2).from_address(taken.pointer))
            np.testing.assert_array_equal(scores, expected(feeds))
            assert gpu.launched[-1] == ("graph", session.stream)
        within.close()
        assert len(gpu.graphs) == graphs - capturable


def test_a_tensor_that_is_there_already_is_not_copied(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TensorRTRuntime(engine) as runtime, runtime.session() as session:
        session.upload(feeds_of(4))
        copies: list[int] = []
        monkeypatch.setattr(runtime.gpu, "copy", lambda target, *rest: copies.append(target))
        session.enqueue(dict(session.inputs))
        assert not copies


def test_a_strided_device_tensor_is_refused(engine: Path, gpu: StandInGpu) -> None:
    class Strided:
        def __init__(self, array: DeviceArray) -> None:
            self.__cuda_array_interface__ = array.__cuda_array_interface__ | {"strides": (400, 4, 4, 4)}

    feeds = {name: gpu.put(value) for name, value in feeds_of(1).items()}
    with (
        TensorRTRuntime(engine) as runtime,
        runtime.session() as session,
        pytest.raises(ModelError, match="strides"),
    ):
        session.enqueue(feeds | {"images": Strided(feeds["images"])})


def test_runtime_and_session_are_what_the_device_path_promises(engine: Path) -> None:
    with TensorRTRuntime(engine) as opened:
        runtime: DeviceRuntime = opened
        session: DeviceSession = runtime.session()
        session.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda feeds: feeds.pop("sizes"), "was fed"),
        (lambda feeds: feeds.update(extra=feeds["sizes"]), "extra"),
        (lambda feeds: feeds.update(images=feeds["images"].astype(np.float64)), "float64"),
        (lambda feeds: feeds.update(images=feeds["images"][:, :2]), r"\(2, 2, 4, 4\)"),
        (lambda feeds: feeds.update(feeds_of(33)), "1:USUAL|takes .* to"),
    ],
)
def test_feeds_that_do_not_fit_are_named(engine: Path, change: Callable[[Feeds], Any], said: str) -> None:
    feeds = feeds_of(2)
    change(feeds)
    with TensorRTRuntime(engine) as runtime, pytest.raises(ModelError, match=said):
        runtime.run(feeds)


def test_numbers_that_are_none_are_refused_where_that_was_asked_for(engine: Path) -> None:
    feeds = feeds_of(2)
    feeds["images"][1] = np.nan
    with (
        TensorRTRuntime(engine, check=True) as runtime,
        pytest.raises(NonFiniteError, match="1 values of 2 in 'scores'"),
    ):
        runtime.run(feeds)
    with TensorRTRuntime(engine) as runtime:
        assert np.isnan(runtime.run(feeds)["scores"][1])


def test_closing_gives_all_memory_back(engine: Path, gpu: StandInGpu) -> None:
    with TensorRTRuntime(engine) as runtime:
        session = runtime.session()
        for batch in range(1, 12):
            runtime.run(feeds_of(batch))
            session.upload(feeds_of(batch))
        assert gpu.alive
        session.close()
    assert not gpu.alive
    assert not gpu.streams
    assert not gpu.graphs
    with pytest.raises(EngineError, match="closed"):
        runtime.run(feeds_of(1))


def test_what_was_compiled_is_kept_and_read_again(engine: Path, module: StandInTensorRT) -> None:
    with TensorRTRuntime(engine) as runtime:
        runtime.run(feeds_of(1))
    kept = cache_path(engine).read_bytes()
    assert kept.startswith(b"kernels")
    with TensorRTRuntime(engine) as runtime:
        runtime.run(feeds_of(1))
    cache = module.engines[1].cache
    assert cache is not None
    assert cache.known == kept


def test_an_engine_of_tensorrt_proper_runs_the_same_and_keeps_no_cache(tmp_path: Path, module: StandInTensorRT) -> None:
    engine = saved_engine(tmp_path / "trt.engine", flavour="tensorrt", compute_capabilities=("9.0",))
    with TensorRTRuntime(engine) as runtime:
        feeds = feeds_of(2)
        np.testing.assert_array_equal(runtime.run(feeds)["scores"], expected(feeds))
        assert runtime.name == f"TensorRT {VERSION} (fp16)"
    assert not cache_path(engine).exists()


def test_a_stale_cache_is_made_anew(engine: Path) -> None:
    cache_path(engine).write_bytes(b"of another GPU")
    with TensorRTRuntime(engine) as runtime:
        runtime.run(feeds_of(1))
    assert cache_path(engine).read_bytes().startswith(b"kernels")


def test_a_cache_that_cannot_be_written_costs_only_time(engine: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache_path(engine).mkdir()  # the name is taken, whatever rights the user has
    with TensorRTRuntime(engine) as runtime:
        feeds = feeds_of(1)
        np.testing.assert_array_equal(runtime.run(feeds)["scores"], expected(feeds))
    assert "cannot be kept" in caplog.text
    assert not list(engine.parent.glob(".*.part"))
