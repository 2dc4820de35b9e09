"""A deep convolution on a small map, as one matrix product and nine shifted sums."""

from __future__ import annotations

import onnx
from onnx import NodeProto

from detrt.graph.index import attribute
from detrt.graph.passes import PassResult
from detrt.graph.splice import Splice, integer, integers, splice_of
from detrt.graph.static_shapes import Array

DEEP = 512
"""Input channels from which it pays. Measured with TensorRT-RTX 1.6.1 on an H100, FP16, on a 20x20 map: 24.5 us as a
convolution, whose kernel fills 28 of 132 multiprocessors, 12.2 us as a product. With the convolutions of 256 channels
rewritten too, the whole network is slower (0.797 instead of 0.790 ms)."""

SMALL_MAP = 400
"""Pixels up to which that was measured: a larger map gives the convolution's kernel more to fill the GPU with."""


def tap_convolutions(model: onnx.ModelProto) -> PassResult:
    """Write a 3x3 convolution as what each of its nine taps gives for every pixel, shifted and summed.

    With the map as rows (pixels, channels), one product by (channels, 9 x outputs) gives all taps at once; a border of
    zeros is put around, and the nine shifted views of it are added. In half precision, the partial sums of the taps are
    rounded where a convolution's kernel would keep them in FP32.

    Concerns convolutions of one image, with stride 1, padding 1, one group and constant weights, of `DEEP` channels or
    more on maps of `SMALL_MAP` pixels or less, neither quantised nor of open shape. With two images or more, the
    ordinary kernels have enough to do.
    """
    splice = splice_of(model)
    if splice is None:
        return PassResult(model, changed=False)
    for node in splice.nodes:
        if node.op_type == "Conv" and _keeps_the_map(node) and not splice.is_quantized(node):
            shape, weight = splice.shape(node.input[0]), splice.constant(node.input[1])
            if shape and weight is not None and weight.shape[1:] == (shape[1], 3, 3):
                batch, channels, height, width = shape
                if batch == 1 and channels >= DEEP and height * width <= SMALL_MAP:
                    _taps(splice, node, weight, height, width)
    return splice.result()


def _keeps_the_map(node: NodeProto) -> bool:
    """Whether a 3x3 convolution's output has its input's height and width, pixel by pixel."""
    padding = attribute(node, "auto_pad")
    stated = padding is None or padding.s == b"NOTSET"
    return (
        integer(node, "group", 1) == 1
        and integers(node, "strides", (1, 1)) == (1, 1)
        and integers(node, "dilations", (1, 1)) == (1, 1)
        and stated
        and integers(node, "pads", (0, 0, 0, 0)) == (1, 1, 1, 1)
    )


def _taps(splice: Splice, node: NodeProto, weight: Array, height: int, width: int) -> None:
    outputs, channels = weight.shape[:2]
    patch = splice.patch(node)
    rows = patch.add("Transpose", "pixels_first", node.input[0], perm=[0, 2, 3, 1])
    rows = patch.reshape("rows", rows, height * width, channels)
    by_tap = weight.transpose(1, 2, 3, 0).reshape(channels, 9 * outputs)
    taps = patch.add("MatMul", "taps", rows, patch.constant("taps.weight", by_tap))
    taps = patch.reshape("map", taps, height, width, 9 * outputs)
    taps = patch.add("Pad", "border", taps, patch.integers("border.pads", 1, 1, 0, 1, 1, 0))
    axes = patch.integers("axes", 0, 1, 2)
    total = ""
    for tap in range(9):
        down, right = divmod(tap, 3)
        starts = patch.integers(f"tap_{tap}.starts", down, right, tap * outputs)
        ends = patch.integers(f"tap_{tap}.ends", down + height, right + width, (tap + 1) * outputs)
        shifted = patch.add("Slice", f"tap_{tap}", taps, starts, ends, axes)
        total = patch.add("Add", f"sum_{tap}", total, shifted) if total else shifted
    if len(node.input) > 2 and node.input[2]:
        total = patch.add("Add", "biased", total, node.input[2])
    total = patch.reshape("image", total, 1, height, width, outputs)
    patch.add("Transpose", "channels_first", total, perm=[0, 3, 1, 2], gives=node.output[0])
