"""One calibrated model, and quantised models made of it, any number of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from detrt.graph.index import GraphIndex
from detrt.graph.products import Product
from detrt.graph.quantizers import InsertQuantizers, QuantizedWeight
from detrt.graph.residuals import residual_inputs
from detrt.quantize import layout
from detrt.quantize.formats import FORMATS, Format, Precision
from detrt.quantize.layer import CANDIDATES, RoundedLayer, output_errors, round_layer
from detrt.quantize.observers import Observation
from detrt.quantize.ranges import Method, choose_range

Array = npt.NDArray[Any]
Place = tuple[str, int]


@dataclass(frozen=True)
class Settings:
    """How to quantise, whatever is quantised.

    Attributes:
        precision: the narrow type.
        method: how each activation's range is chosen. `output` takes the one that changes the outputs of the products
            that read it the least (see `layer.output_errors`); `ranges.choose_range` tells of the others.
        percentile: of the method `percentile`.
        compensate: round weights so that their errors cancel, and take the mean errors out of the biases.
        residuals: quantise the skipping branch of a residual addition too, so that it fuses into the convolution.
    """

    precision: Precision
    method: Method = "output"
    percentile: float = 99.99
    compensate: bool = True
    residuals: bool = False


class Quantizer:
    """Makes quantised models of a float model and what calibration saw of it.

    A product is rounded once, whatever it is later combined with, so a search costs little more than its evaluations.
    """

    def __init__(
        self, graph: GraphIndex, products: tuple[Product, ...], observed: Observation, settings: Settings
    ) -> None:
        self.graph, self.products, self.settings = graph, products, settings
        self._observed = observed
        self._target: Format = FORMATS[settings.precision]
        self._layers: dict[str, tuple[RoundedLayer, QuantizedWeight]] = {}
        self._readers: dict[str, list[Product]] = {}
        for product in products:
            for name in product.activations:
                self._readers.setdefault(name, []).append(product)
        self._ranges: dict[str, float] = {}

    def model(self, keys: Collection[str]) -> onnx.ModelProto:
        """The model with the products `keys` quantised, the rest as it was."""
        chosen = [product for product in self.products if product.key in keys]
        inputs = {(product.key, slot) for product in chosen for slot in range(len(product.activations))}
        if self.settings.residuals:
            inputs |= residual_inputs(self.graph, self._tensors(inputs))
        weights: dict[Place, QuantizedWeight] = {}
        biases: dict[Place, Array] = {}
        for product in chosen:
            if product.weight:
                layer, weights[product.key, 1] = self._rounded(product)
                biases |= self._bias(product, layer)
        scales = {name: self.scale(name) for name in sorted(self._tensors(inputs))}
        insert = InsertQuantizers(self._target.onnx_type, scales, frozenset(inputs), weights, biases)
        return insert(self.graph.model).model

    def range(self, tensor: str) -> float:
        """The largest magnitude of an activation that is represented."""
        if tensor not in self._ranges:
            self._ranges[tensor] = self._chosen_range(tensor)
        return self._ranges[tensor]

    def scale(self, tensor: str) -> float:
        """The scale of an activation."""
        return float(self._target.scale(self.range(tensor)))

    def macs_share(self, keys: Collection[str], total: int) -> float:
        """Share (0..1) of `total` multiply-accumulates that the products `keys` do."""
        return sum(product.macs for product in self.products if product.key in keys) / max(total, 1)

    def _tensors(self, places: Collection[Place]) -> set[str]:
        return {self.graph.nodes[self.graph.producer[key]].input[slot] for key, slot in places}

    def _chosen_range(self, tensor: str) -> float:
        histogram = self._observed.histograms[tensor]
        if self.settings.method != "output":
            return choose_range(histogram, self.settings.method, self._target, percentile=self.settings.percentile)
        if not histogram.largest:
            return 0.0
        errors = np.zeros(len(CANDIDATES))
        for product in self._readers.get(tensor, ()):
            samples = self._observed.samples.get(product.key)
            if samples is not None:
                matrix = layout.as_matrix(layout.weight_of(self.graph, product), product, len(samples))
                errors += output_errors(matrix, samples, histogram.largest, self._target)
        return histogram.largest * float(CANDIDATES[int(np.argmin(errors))])

    def _rounded(self, product: Product) -> tuple[RoundedLayer, QuantizedWeight]:
        if product.key not in self._layers:
            weight = layout.weight_of(self.graph, product)
            samples = self._observed.samples.get(product.key)
            groups = 1 if samples is None else len(samples)
            layer = round_layer(
                layout.as_matrix(weight, product, groups),
                samples,
                self.scale(product.activations[0]),
                self._target,
                compensate=self.settings.compensate,
            )
            codes = layout.as_weight(layer.codes, product, weight.shape)
            self._layers[product.key] = layer, QuantizedWeight(codes, layer.scales.reshape(-1), product.axis)
        return self._layers[product.key]

    def _bias(self, product: Product, layer: RoundedLayer) -> Mapping[Place, Array]:
        place = layout.bias_of(self.graph, product) if layer.bias_shift.any() else None
        if place is None:
            return {}
        value = layout.bias_value(self.graph, place, layer.bias_shift.size)
        return {} if value is None else {place: (value + layer.bias_shift.reshape(value.shape)).astype(np.float32)}
