"""Planted faults in a real detector: the tensor at which they begin is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from detrt.compare.detections import DetectionComparison
from detrt.compare.detectors import compare_detectors
from detrt.compare.layers import LayerComparison, compare_layers
from detrt.compare.tensors import OnnxTensors, OutputTensors
from detrt.decoding import sizes_to_feed
from detrt.detector import Detector, contract_of
from detrt.errors import GraphError
from detrt.graph.mark import Mark
from detrt.graph.onnx_file import load
from detrt.images.sources import Photo
from detrt.runtime.base import Array
from detrt.runtime.onnxruntime import OnnxRuntime
from tests import tiny
from tests.compare import planted

Planted = Callable[[onnx.ModelProto], onnx.ModelProto]


class Bench:
    """The reference, and what it is compared with."""

    def __init__(self, model: Path, photos: list[Path]) -> None:
        self.model = load(model)
        self.photos = photos
        self.detector = Detector.open(model, device="cpu")
        self.tensors = OnnxTensors(self.model, device="cpu")
        batch, placements = self.detector.preprocessor([Photo(photos[0]).pixels()])
        self.feed: dict[str, Array] = {"images": batch, "orig_target_sizes": sizes_to_feed(placements)}

    def detections(self, faulty: onnx.ModelProto) -> DetectionComparison:
        runtime = OnnxRuntime(faulty.SerializeToString(), device="cpu")
        with Detector(runtime, contract_of(runtime, {})) as detector:
            return compare_detectors(self.detector, detector, self.photos)

    def layers(self, faulty: onnx.ModelProto) -> LayerComparison:
        return compare_layers(self.tensors, OnnxTensors(faulty, device="cpu"), [(self.feed, self.feed)])


@pytest.fixture(scope="module")
def bench(atto: Path, shared: Path) -> Iterator[Bench]:
    made = Bench(atto, sorted((shared / "coco" / "val").glob("*.jpg"))[:8])
    yield made
    made.tensors.close()
    made.detector.close()


@pytest.mark.parametrize(
    ("plant", "tensor", "looks_like", "verdicts"),
    [
        (lambda m: planted.without_bias(m, 0), planted.OFFSETS.format(0), "a constant in each channel", {"broken"}),
        (lambda m: planted.without_bias(m, 2), planted.OFFSETS.format(2), "a constant in each channel", {"broken"}),
        (
            lambda m: planted.halved(m, planted.FFN), f"{planted.FFN}_output_0", "scaled by 0.5: a wrong scale",
            {"drifts", "broken"},
        ),
        (
            lambda m: planted.halved(m, planted.CONV), f"{planted.CONV}_output_0", "scaled by 0.5 within each channel",
            {"broken"},
        ),
    ],
    ids=["bias of layer 0", "bias of layer 2", "scale in the decoder", "scale in the backbone"],
)  # fmt: skip
def test_the_faulty_tensor_is_named(
    bench: Bench, plant: Planted, tensor: str, looks_like: str, verdicts: set[str]
) -> None:
    faulty = plant(bench.model)
    assert bench.detections(faulty).verdict in verdicts
    first = bench.layers(faulty).first
    assert first is not None
    assert first.name == tensor
    assert first.drift.looks_like.startswith(looks_like)
    assert first.inherited < 1e-3


def test_swapped_queries_are_no_fault(bench: Bench) -> None:
    swapped = planted.with_swapped_queries(bench.model)
    name = planted.OFFSETS.format(0)
    plain, other = (source.read(bench.feed, [name])[name] for source in (bench.tensors, OnnxTensors(swapped)))
    assert np.abs(plain - other).max() > 1  # row by row, they differ
    assert bench.detections(swapped).verdict == "same"
    walked = bench.layers(swapped)
    assert walked.first is None
    assert len(walked.tensors) > 400


def test_a_model_does_not_differ_from_itself(bench: Bench) -> None:
    found = bench.detections(bench.model)
    assert found.verdict == "same"
    assert found.counted > 20


def test_a_runtime_shows_its_marked_outputs(bench: Bench) -> None:
    """What an engine built from a marked model can show, without anything of TensorRT's own."""
    marked = Mark([planted.OFFSETS.format(layer) for layer in range(3)])(planted.without_bias(bench.model, 1)).model
    source = OutputTensors(OnnxRuntime(marked.SerializeToString(), device="cpu"))
    walked = compare_layers(bench.tensors, source, [(bench.feed, bench.feed)])
    assert [tensor.name for tensor in walked.tensors][:3] == [planted.OFFSETS.format(layer) for layer in range(3)]
    assert walked.first is not None
    assert walked.first.name == planted.OFFSETS.format(1)


def test_models_without_a_common_tensor_are_refused(bench: Bench) -> None:
    other = OnnxTensors(tiny.raw_model(np.zeros((2, 3)), np.zeros((2, 4)), names=("a", "b")), device="cpu")
    with pytest.raises(GraphError, match="no float tensor"):
        compare_layers(other, bench.tensors, [])
