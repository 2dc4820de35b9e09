"""Compare two model files layer by layer, whatever runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from detrt.compare.layers import LayerComparison, compare_layers
from detrt.compare.tensors import OnnxTensors, OutputTensors, TensorSource
from detrt.decoding import sizes_to_feed
from detrt.detector import Detector
from detrt.errors import UsageError
from detrt.images.sources import open_items
from detrt.progress import Progress, silent
from detrt.runtime.base import Array

PHOTOS = 2
"""Photos for the layers: their tensors have many more numbers than their detections."""


def compare_layers_of(
    first: tuple[Path, Detector],
    second: tuple[Path, Detector],
    photos: Sequence[Path],
    *,
    device: str = "auto",
    progress: Progress = silent,
) -> LayerComparison:
    """Compare the tensors that both models can show; the first must be an ONNX file, whose graph gives the order.

    Args:
        first: file and detector of the reference.
        second: of the one that is judged. An ONNX file shows every tensor, an engine its outputs and debug tensors,
            anything else its outputs.
        photos: the first few are taken.
        device: for runtimes that this opens.
        progress: told of every chunk of tensors and photo.

    Raises:
        UsageError: the first is no ONNX file.
        GraphError: there is no common tensor.
    """
    if first[0].suffix != ".onnx":
        raise UsageError(
            f"{first[0].name} is no ONNX file, so the order of its tensors is unknown.",
            "Give the ONNX file that it was made from as the first model.",
        )
    feeds = [
        tuple(_feed(detector, item.pixels()) for _, detector in (first, second)) for item in open_items(photos[:PHOTOS])
    ]
    with ExitStack() as stack:
        reference = OnnxTensors(first[0], device=device)
        stack.callback(reference.close)
        judged = stack.enter_context(_source(second, reference, device))
        return compare_layers(reference, judged, [(one, other) for one, other in feeds], progress=progress)


@contextmanager
def _source(model: tuple[Path, Detector], reference: OnnxTensors, device: str) -> Iterator[TensorSource]:
    path, detector = model
    if path.suffix == ".onnx":
        source = OnnxTensors(path, device=device)
        try:
            yield source
        finally:
            source.close()
    elif path.suffix == ".engine":
        from detrt.compare.engine_tensors import engine_tensors

        with engine_tensors(path, reference.order, model=reference.model, device=device) as shown:
            yield shown
    else:
        yield OutputTensors(detector.runtime)


def _feed(detector: Detector, pixels: Array) -> Mapping[str, Array]:
    batch, placements = detector.preprocessor([pixels])
    contract = detector.contract
    sizes = {contract.sizes_name: sizes_to_feed(placements)} if contract.sizes_name else {}
    return {contract.input_name: batch, **sizes}
