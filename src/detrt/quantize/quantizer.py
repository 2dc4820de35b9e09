"""One calibrated model, and quantised models made of it, any number of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy.typing as npt
import onnx

from detrt.graph.fp8_sums import room_for_sums
from detrt.graph.index import GraphIndex
from detrt.graph.passes import apply
from detrt.graph.products import Product
from detrt.graph.quantizers import InsertQuantizers, QuantizedWeight
from detrt.graph.residuals import residual_inputs
from detrt.quantize import layout
from detrt.quantize.centring import Centring
from detrt.quantize.formats import FORMATS, Format, Precision
from detrt.quantize.layer import RoundedLayer, round_layer
from detrt.quantize.observers import Observation
from detrt.quantize.ranges import Method, choose_range

Array = npt.NDArray[Any]
Place = tuple[str, int]
Ranges = Literal["max", "percentile", "mse", "entropy", "per-token"]


@dataclass(frozen=True)
class Settings:
    """How to quantise, whatever is quantised.

    Attributes:
        precision: the narrow type.
        ranges: how the range of a convolution's input is chosen; see `ranges.choose_range`.
        linear_ranges: the same for inputs of matrix products that no convolution reads. `per-token` gives each token
            the scale of its own maximum, as the origin's configurations do; it ties the model to its tokens' order.
        percentile: of percentile ranges, 0..100.
        compensate: round weights so that their errors cancel, and take the mean errors out of the biases.
        residuals: quantise the skipping branch of a residual addition too, so that it fuses into the convolution.
    """

    precision: Precision
    ranges: Ranges = "percentile"
    linear_ranges: Ranges = "percentile"
    percentile: float = 99.99
    compensate: bool = True
    residuals: bool = False

    @property
    def centred(self) -> bool:
        """Whether products read their input less its mean where that pays: it does for codes with a relative error."""
        return self.compensate and self.precision == "fp8"


@dataclass(frozen=True)
class Calibrated:
    """A float model, and what calibration saw of it.

    Attributes:
        source: the model.
        centring: what is taken out of its products' inputs before these are rounded.
        graph: the model with all of that taken out, as it was calibrated.
        products: of `graph`.
        observed: what calibration saw there.
    """

    source: onnx.ModelProto
    centring: Centring
    graph: GraphIndex
    products: tuple[Product, ...]
    observed: Observation


class Quantizer:
    """Makes quantised models of a float model and what calibration saw of it.

    A product is rounded once, whatever it is later combined with, so a search costs little more than its evaluations.
    """

    def __init__(
        self,
        calibrated: Calibrated,
        settings: Settings,
        choices: Mapping[str, Settings] | None = None,
        given: Mapping[str, float] | None = None,
    ) -> None:
        """Prepare.

        Args:
            calibrated: the float model.
            settings: how.
            choices: settings to choose the range of single tensors by, where others are better.
            given: ranges of single tensors that somebody else has chosen, as the largest magnitude.
        """
        self._given = dict(given or {})
        self.graph, self.products, self._observed = calibrated.graph, calibrated.products, calibrated.observed
        self._calibrated, self.settings, self.choices = calibrated, settings, dict(choices or {})
        self._target: Format = FORMATS[settings.precision]
        self._layers: dict[str, tuple[RoundedLayer, QuantizedWeight]] = {}
        convolved = {name for product in self.products if "Conv" in product.op for name in product.activations}
        self._linear = {name for product in self.products for name in product.activations} - convolved
        self._scales: dict[str, Array] = {}

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
        centring = self._calibrated.centring
        passes = (centring.of(keys), insert, room_for_sums, centring.shifted(keys))
        return apply(self._calibrated.source, passes).model

    def scale(self, tensor: str) -> Array:
        """The scale of an activation: float32, of shape () or (tokens,)."""
        if tensor in self._given:
            return self._target.scale(self._given[tensor])
        if tensor not in self._scales:
            settings = self.choices.get(tensor, self.settings)
            ranges = settings.linear_ranges if tensor in self._linear else settings.ranges
            per_token = self._observed.token_maxima.get(tensor) if ranges == "per-token" else None
            if per_token is not None:
                self._scales[tensor] = self._target.scale(per_token)
            else:
                method: Method = "max" if ranges == "per-token" else ranges
                largest = choose_range(
                    self._observed.histograms[tensor], method, self._target, percentile=settings.percentile
                )
                self._scales[tensor] = self._target.scale(largest)
        return self._scales[tensor]

    def macs_share(self, keys: Collection[str], total: int) -> float:
        """Share (0..1) of `total` multiply-accumulates that the products `keys` do."""
        return sum(product.macs for product in self.products if product.key in keys) / max(total, 1)

    def _tensors(self, places: Collection[Place]) -> set[str]:
        return {self.graph.nodes[self.graph.producer[key]].input[slot] for key, slot in places}

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
            codes = layout.as_weight(layer.codes, product)
            self._layers[product.key] = layer, QuantizedWeight(codes, layer.scales.reshape(-1), product.axis)
        return self._layers[product.key]

    def _bias(self, product: Product, layer: RoundedLayer) -> Mapping[Place, Array]:
        found = layout.bias_with(self.graph, product, layer.bias_shift) if layer.bias_shift.any() else None
        return dict([found]) if found else {}
