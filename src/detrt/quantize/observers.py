"""Watching a float model on photos: how the inputs of its products are spread, and samples of what each one sees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from detrt.errors import NonFiniteError, UsageError
from detrt.graph.index import GraphIndex
from detrt.graph.products import Product
from detrt.progress import Progress, silent
from detrt.quantize.histogram import Histogram
from detrt.quantize.layout import can_be_sampled, patches_of
from detrt.runtime.onnxruntime import OnnxRuntime

Array = npt.NDArray[Any]

SAMPLES = 4096
"""Patches a product, over all photos: some ten times fewer than there are, and enough for means and covariances."""

SAMPLED_VALUES = 2**21
"""Numbers a product, so that one with thousands of columns keeps fewer patches; never less than a quarter of them."""


@dataclass(frozen=True)
class Observation:
    """What calibration saw.

    Attributes:
        photos: how many photos went in.
        histograms: by tensor.
        token_maxima: by tensor of shape (1, tokens, channels), the largest magnitude of each token.
        samples: by product, (groups, patches, columns) float32; see `layout.patches_of`.
    """

    photos: int
    histograms: Mapping[str, Histogram]
    token_maxima: Mapping[str, Array]
    samples: Mapping[str, Array]


def observe(
    graph: GraphIndex,
    products: Sequence[Product],
    feeds: Iterable[Mapping[str, Array]],
    *,
    total: int,
    seed: int = 0,
    progress: Progress = silent,
) -> Observation:
    """Run the float model on `feeds`, one photo each. Memory is that of one photo and of the samples.

    Raises:
        UsageError: there are no feeds.
        NonFiniteError: a tensor holds NaN or infinity, so that no range can be right; names it.
        ModelError: ONNX Runtime cannot run the model.
    """
    tensors = sorted({name for product in products for name in product.activations})
    histograms = {name: Histogram() for name in tensors}
    sampled = [product for product in products if can_be_sampled(graph.nodes[product.node], product)]
    samples: dict[str, list[Array]] = {product.key: [] for product in sampled}
    maxima: dict[str, Array] = {}
    rng = np.random.default_rng(seed)
    each = {product.key: math.ceil(_sample_count(product) / max(total, 1)) for product in sampled}
    photos = 0
    with OnnxRuntime(with_outputs(graph.model, tensors).SerializeToString()) as runtime:
        for feed in feeds:
            values = runtime.run(feed) | dict(feed)
            for name in tensors:
                histograms[name].add(values[name])
                if histograms[name].non_finite:
                    raise _non_finite(name, histograms[name].non_finite, photos)
                if values[name].ndim == 3 and len(values[name]) == 1:
                    largest = np.abs(values[name]).max((0, 2))
                    maxima[name] = np.maximum(maxima.get(name, largest), largest)
            for product in sampled:
                value, node = values[product.activations[0]], graph.nodes[product.node]
                samples[product.key].append(patches_of(value, node, product.kernel, rng, each[product.key]))
            photos += 1
            progress("Calibrating", photos, total)
    if not photos:
        raise UsageError("There is no photo to calibrate on.", "Give a folder of photos: --calib DIR")
    return Observation(
        photos, histograms, maxima, {key: np.concatenate(parts, axis=1) for key, parts in samples.items()}
    )


def _sample_count(product: Product) -> int:
    """How many patches of a product to keep."""
    columns = math.prod(product.kernel) // max(product.kernel[product.axis], 1)
    return min(SAMPLES, max(SAMPLES // 4, SAMPLED_VALUES // max(columns, 1)))


def with_outputs(model: onnx.ModelProto, tensors: Sequence[str]) -> onnx.ModelProto:
    """A copy of the model that gives these tensors too."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    there = {value.name for value in (*copy.graph.output, *copy.graph.input)}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in there)
    return copy


def _non_finite(name: str, count: int, photo: int) -> NonFiniteError:
    return NonFiniteError(
        f"The tensor {name} holds {count:,} NaN or infinite values on calibration photo {photo + 1}.",
        "Look at that photo and at the float model (`detrt eval`): no range can be right for such a tensor.",
    )
