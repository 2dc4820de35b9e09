"""Which products should read their input less the mean of its channels, and what that leaves for their biases.

The error of a floating-point code is relative, so its square is expected to grow with the mean square of what is
rounded; less its mean, with the variance. Seen through a product, each channel counts by the square of its weights.
Both are known from a few photos, and where the one is half as much again as the other, the mean is taken out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from detrt.graph.centre import CentreInputs, Place, RenameShifted, has_padding
from detrt.graph.index import GraphIndex, attribute
from detrt.graph.products import Product
from detrt.progress import Progress, silent
from detrt.quantize import layout
from detrt.quantize.observers import with_outputs
from detrt.runtime.onnxruntime import OnnxRuntime

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]

PHOTOS = 32
"""Enough for a mean: it need not be exact, since the bias takes whatever was subtracted."""

LARGEST_MEAN = 60000.0
"""What FP16 still has. A mean that is NaN is left in, too: calibration tells of such tensors."""

WORTH = 1.5
"""The squared error that a product must be expected to have had, as a multiple of what stays."""

WORTH_PADDING = 3.0
"""The same where a padding must be made first. That is a pass over the whole map: with all of them RT-DETRv2-R18 takes
4.0 ms for 8 images, and 3.3 with none."""


@dataclass(frozen=True)
class Centring:
    """What to take out of the inputs of products.

    Attributes:
        means: see `CentreInputs`.
        biases: by product, where its bias is and what it becomes.
    """

    means: Mapping[str, Array] = field(default_factory=dict)
    biases: Mapping[str, tuple[Place, Array]] = field(default_factory=dict)

    def of(self, keys: Collection[str]) -> CentreInputs:
        """The pass that centres the inputs of those products among `keys` that gain by it."""
        chosen = {key: at for key, at in self.biases.items() if key in keys}
        return CentreInputs(self.means, frozenset(chosen), dict(chosen.values()))

    def shifted(self, keys: Collection[str]) -> RenameShifted:
        """The pass that comes last, for those whose bias is not their own."""
        return RenameShifted(
            frozenset(key for key, (place, _) in self.biases.items() if key in keys and place[0] != key)
        )


@dataclass
class Moments:
    """Sums over all positions of a tensor, for each index along the axis of its channels."""

    axis: int
    count: int
    sums: Doubles
    squares: Doubles

    @property
    def mean(self) -> Doubles:
        """(channels,)."""
        return self.sums / max(self.count, 1)

    @property
    def mean_square(self) -> Doubles:
        """(channels,)."""
        return self.squares / max(self.count, 1)


def can_be_centred(graph: GraphIndex, product: Product) -> bool:
    """Whether every output reads all channels, and there is a bias that the mean can go into."""
    node = graph.nodes[product.node]
    group = attribute(node, "group")
    if (group and group.i > 1) or not layout.can_be_sampled(node, product):
        return False
    place = layout.bias_of(graph, product)
    return place is not None and layout.bias_value(graph, place, product.kernel[product.axis]) is not None


def find_moments(
    graph: GraphIndex,
    products: Sequence[Product],
    feeds: Iterable[Mapping[str, Array]],
    *,
    total: int | None = None,
    progress: Progress = silent,
) -> dict[str, Moments]:
    """Moments of the tensors that any of these products could read centred, over all `feeds`."""
    axes = {product.activations[0]: _channel_axis(product) for product in products if can_be_centred(graph, product)}
    found: dict[str, Moments] = {}
    if not axes:
        return found
    with OnnxRuntime(with_outputs(graph.model, sorted(axes)).SerializeToString()) as runtime:
        for number, feed in enumerate(feeds, start=1):
            values = runtime.run(feed) | dict(feed)
            for name, axis in axes.items():
                rows = np.moveaxis(values[name], axis, 0).reshape(values[name].shape[axis], -1)
                seen = found.setdefault(name, Moments(axis, 0, np.zeros(len(rows)), np.zeros(len(rows))))
                seen.count += rows.shape[1]
                seen.sums += rows.sum(1, dtype=np.float64)
                seen.squares += np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
            progress("Measuring means", number, total)
    return found


def find_centring(graph: GraphIndex, products: Sequence[Product], moments: Mapping[str, Moments]) -> Centring:
    """Where it is worth it."""
    means: dict[str, Array] = {}
    biases: dict[str, tuple[Place, Array]] = {}
    for product in products:
        seen = moments.get(product.activations[0])
        if seen is None or seen.axis != _channel_axis(product) or not can_be_centred(graph, product):
            continue
        if seen.count < 2:  # how much varies around the mean, nobody has seen
            continue
        matrix = layout.as_matrix(layout.weight_of(graph, product), product, 1)[0]
        weights = matrix.reshape(len(matrix), len(seen.sums), -1).astype(np.float64)  # output, channel, tap
        worth = WORTH_PADDING if has_padding(graph.nodes[product.node]) else WORTH
        if np.abs(seen.mean).max() < LARGEST_MEAN and _gain(np.square(weights).sum((0, 2)), seen) >= worth:
            mean = seen.mean.astype(np.float16).astype(np.float32)  # the same number where the graph becomes FP16
            means[product.activations[0]] = mean.reshape(-1, 1, 1) if product.op == "Conv" else mean
            bias = layout.bias_with(graph, product, weights.sum(2) @ mean)
            assert bias is not None  # `can_be_centred`
            biases[product.key] = bias
    return Centring(means, biases)


def _channel_axis(product: Product) -> int:
    return 1 if product.op == "Conv" else -1


def _gain(power: Doubles, seen: Moments) -> float:
    """Squared error of a product's output, in parts of what it is with the mean taken out."""
    variance = np.maximum(seen.mean_square - np.square(seen.mean), 0)
    return float(power @ seen.mean_square) / max(float(power @ variance), 1e-12)
