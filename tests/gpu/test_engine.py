"""Real engines on a real GPU: right, the same whichever way they are launched, refused where they cannot run."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from detrt.detections import Detections
from detrt.detector import Detector
from detrt.engine.manifest import cache_path, manifest_path
from detrt.errors import EngineError
from detrt.images.read import Pixels
from detrt.runtime.onnxruntime import OnnxRuntime
from detrt.runtime.tensorrt import TensorRTRuntime

Arrays = Mapping[str, npt.NDArray[Any]]


def test_an_engine_finds_what_onnx_runtime_finds(engine: Path, femto: Path, photos: list[Pixels]) -> None:
    with Detector.open(femto, device="cpu") as reference, Detector.open(engine) as tested:
        for photo in photos:
            assert_same_objects(reference(photo), tested(photo))


def test_fp32_is_onnx_runtimes_result_to_rounding(flexible: Path, femto: Path, photos: list[Pixels]) -> None:
    with OnnxRuntime(femto, device="cpu") as reference, TensorRTRuntime(flexible, check=True) as tested:
        feeds = feeds_of(femto, photos[:1])
        want, got = reference.run(feeds), tested.run(feeds)
        np.testing.assert_allclose(got["scores"], want["scores"], atol=1e-3)  # TF32 is up to 3e-2 away
        assert share_with_partner(want, got) > 0.98  # scores that are all but equal change places


def test_a_cuda_graph_gives_what_the_stream_gives(engine: Path, femto: Path, photos: list[Pixels]) -> None:
    feeds = feeds_of(femto, photos[:1])
    with TensorRTRuntime(engine) as runtime, runtime.session() as graph, runtime.session(graph=False) as stream:
        for session in (graph, stream):
            session.upload(feeds)
            session.launch()
        assert_identical(graph.download(), stream.download())
        assert_identical(runtime.run(feeds), graph.download())


def test_threads_get_identical_results(engine: Path, femto: Path, photos: list[Pixels]) -> None:
    sets = [feeds_of(femto, [photo]) for photo in photos[:4]]
    with TensorRTRuntime(engine) as runtime, ThreadPoolExecutor(4) as pool:
        wanted = [runtime.run(feeds) for feeds in sets]

        def work(number: int) -> None:
            assert_identical(runtime.run(sets[number % 4]), wanted[number % 4])

        for done in [pool.submit(work, number) for number in range(200)]:
            done.result()


def test_every_batch_of_the_profile_gives_the_same_rows(flexible: Path, femto: Path, photos: list[Pixels]) -> None:
    with TensorRTRuntime(flexible) as runtime:
        alone = [runtime.run(feeds_of(femto, [photo]))["scores"][0] for photo in photos]
        for size in (1, 3, 8):
            together = runtime.run(feeds_of(femto, photos[:size]))["scores"]
            np.testing.assert_allclose(together, alone[:size], atol=2e-3)
        with pytest.raises(EngineError, match="takes"):
            runtime.run(feeds_of(femto, [*photos, *photos][:9]))


def test_tensors_of_pytorch_go_in_and_out_without_the_host(engine: Path, femto: Path, photos: list[Pixels]) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    feeds = feeds_of(femto, photos[:1])
    with TensorRTRuntime(engine) as runtime, runtime.session() as session:
        wanted = runtime.run(feeds)
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            tensors = {name: torch.from_numpy(value).cuda(non_blocking=True) for name, value in feeds.items()}
            outputs = session.enqueue(tensors, stream=stream.cuda_stream)
            doubled = torch.as_tensor(outputs["scores"], device="cuda") * 2
        stream.synchronize()
        np.testing.assert_array_equal(doubled.cpu().numpy(), wanted["scores"] * 2)


def test_what_was_compiled_is_kept_beside_the_engine(engine: Path, femto: Path, photos: list[Pixels]) -> None:
    with TensorRTRuntime(engine) as runtime:
        if runtime.manifest.flavour != "tensorrt_rtx":
            pytest.skip("TensorRT compiles when it builds")
        runtime.run(feeds_of(femto, photos[:1]))
        first = cache_path(engine).stat()
    with TensorRTRuntime(engine) as runtime:
        runtime.run(feeds_of(femto, photos[:1]))
    assert cache_path(engine).stat().st_mtime_ns == first.st_mtime_ns, "the second start compiled again"


def test_an_engine_for_another_gpu_is_refused_by_name(engine: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other.engine"
    copy.write_bytes(engine.read_bytes())
    manifest = json.loads(manifest_path(engine).read_text()) | {"compute_capabilities": ["99.0"]}
    manifest_path(copy).write_text(json.dumps(manifest))
    with pytest.raises(EngineError, match=r"capability 99\.0.*, but the GPU here is .* capability \d") as caught:
        TensorRTRuntime(copy)
    assert "detrt build" in caught.value.remedy


def test_foreign_bytes_under_a_fitting_manifest_are_refused_and_crash_nothing(engine: Path, tmp_path: Path) -> None:
    copy = tmp_path / "foreign.engine"
    copy.write_bytes(b"ftrt" + bytes(range(256)) * 64)
    manifest = json.loads(manifest_path(engine).read_text())
    manifest |= {"engine_bytes": copy.stat().st_size, "engine_sha256": hashlib.sha256(copy.read_bytes()).hexdigest()}
    manifest_path(copy).write_text(json.dumps(manifest))
    with pytest.raises(EngineError, match="refuses the engine"):
        TensorRTRuntime(copy)


def test_running_an_engine_imports_neither_pytorch_nor_onnx(engine: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from detrt.runtime.tensorrt import TensorRTRuntime\n"
        "with TensorRTRuntime(sys.argv[1]) as runtime:\n"
        "    runtime.run({s.name: np.ones([a or 1 for a in s.shape], s.dtype) for s in runtime.inputs})\n"
        "print([name for name in ('torch', 'onnx', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(engine)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def feeds_of(model: Path, photos: list[Pixels]) -> dict[str, npt.NDArray[Any]]:
    """What the detector would feed."""
    with Detector.open(model, device="cpu") as detector:
        batch, placements = detector.preprocessor(photos)
    sizes = np.array([placement.span for placement in placements]).round().astype(np.int64)
    return {"images": batch, "orig_target_sizes": sizes}


def share_with_partner(want: Arrays, got: Arrays) -> float:
    """The share of rows that have their like in `got`, wherever: same label, half a pixel, a thousandth of score."""
    box = np.abs(want["boxes"][0][:, None] - got["boxes"][0]).max(-1) < 0.5
    score = np.abs(want["scores"][0][:, None] - got["scores"][0]) < 1e-3
    label = want["labels"][0][:, None] == got["labels"][0]
    return float((box & score & label).any(1).mean())


def assert_identical(first: Arrays, second: Arrays) -> None:
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def assert_same_objects(want: Detections, got: Detections) -> None:
    """Each object that one finds with some confidence has its like in the other; order and rest are free."""
    for left, right in ((want, got), (got, want)):
        for box, score, label in zip(left.boxes, left.scores, left.labels, strict=True):
            if score < 0.4:
                continue
            like = (
                (right.labels == label)
                & (np.abs(right.scores - score) < 0.05)
                & (np.abs(right.boxes - box).max(axis=1) < 0.05 * max(box[2] - box[0], box[3] - box[1]) + 3)
            )
            assert like.any(), f"label {label} at {box} with {score:.2f} has no like"
