"""A model made ready for quantisation: at an opset that knows the narrow types, its parts known, its photos chosen."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx

from detrt.contract import ModelContract
from detrt.detector import batches_of, contract_of
from detrt.errors import GraphError, ImageError
from detrt.files import whole
from detrt.graph import onnx_file
from detrt.graph.index import GraphIndex
from detrt.graph.macs import count_macs
from detrt.graph.products import Product, find_products
from detrt.graph.quantizers import OPSET, at_opset, refuse_quantized
from detrt.progress import Progress, silent
from detrt.quantize import centring
from detrt.quantize.cache import FORMAT, cache_folder, cache_key, load_observation, save_observation
from detrt.quantize.calibration import CalibrationSet, calibration_set
from detrt.quantize.centring import Centring, find_centring, find_moments
from detrt.quantize.groups import find_groups
from detrt.quantize.measure import Losses, Reference
from detrt.quantize.observers import observe
from detrt.quantize.quantizer import Calibrated, Quantizer, Settings
from detrt.runtime.onnxruntime import OnnxRuntime


@dataclass(frozen=True)
class Workbench:
    """Everything that quantising one model starts from.

    Attributes:
        source: the float model's file.
        float_model: as it was read.
        graph: the same at opset 19 or higher.
        contract: of the model.
        photos: to calibrate on.
        model_hash: SHA-256 of the file.
    """

    source: Path
    float_model: onnx.ModelProto
    graph: GraphIndex
    contract: ModelContract
    photos: CalibrationSet
    model_hash: str
    _seen: dict[bool, Calibrated] = field(default_factory=dict, repr=False)

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """What could be quantised."""
        return find_products(self.graph)

    @cached_property
    def groups(self) -> dict[str, str]:
        """The part of the detector that each product belongs to."""
        return find_groups(self.graph, self.products)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of every convolution and matrix product, those that nobody can quantise included."""
        return count_macs(self.graph.model).total

    @cached_property
    def cache(self) -> Path:
        """Where what is found out about this model on these photos is kept."""
        return cache_folder(cache_key(self.model_hash, self.photos.fingerprint(), str(FORMAT)))

    def calibrated(self, centred: bool, progress: Progress = silent) -> Calibrated:
        """The model as calibration sees it; what it saw is read from the cache where it has been seen before.

        Args:
            centred: take the means out of what its products read, where that pays; see `find_centring`.
            progress: told of every photo.
        """
        if centred not in self._seen:
            self._seen[centred] = self._calibrate(self._centring(progress) if centred else Centring(), progress)
        return self._seen[centred]

    def _centring(self, progress: Progress) -> Centring:
        some = self.photos.first(centring.PHOTOS)
        feeds = (photo.feeds for photo in some)
        moments = find_moments(self.graph, self.products, feeds, total=len(some), progress=progress)
        return find_centring(self.graph, self.products, moments)

    def _calibrate(self, found: Centring, progress: Progress) -> Calibrated:
        graph, products, kept = self.graph, self.products, self.cache / "calibration.npz"
        if found.biases:
            graph = GraphIndex(found.of(found.biases)(self.graph.model).model)
            products, kept = find_products(graph), self.cache / "calibration-centred.npz"
        observed = load_observation(kept)
        if observed is None:
            feeds, total = (photo.feeds for photo in self.photos), len(self.photos.paths)  # bad ones too: see `Losses`
            observed = observe(graph, products, feeds, total=total, progress=progress)
            save_observation(kept, observed)
        return Calibrated(self.graph.model, found, graph, products, observed)

    @cached_property
    def reference(self) -> Reference:
        """The float model's own detections."""
        return Reference(self.graph.model, self.contract, self.photos)

    def doubt(self, count: int, progress: Progress = silent) -> float:
        """See `Reference.doubt`, on at most `count` photos; remembered."""
        kept = self.cache / f"doubt-{count}.json"
        if not kept.is_file():
            found = self.reference.doubt(count, progress)
            with whole(kept) as part:
                part.write_text(json.dumps(found))
        return float(json.loads(kept.read_text()))

    def losses(self, quantizer: Quantizer) -> Losses:
        """Losses of what `quantizer` makes, remembered beside the calibration."""
        choices = [repr(sorted(quantizer.choices.items()))] if quantizer.choices else []
        how = cache_key(repr(quantizer.settings), *choices)
        return Losses(self.reference, quantizer, self.cache / f"losses-{how}.jsonl")

    def quantizer(
        self,
        settings: Settings,
        progress: Progress = silent,
        *,
        choices: Mapping[str, Settings] | None = None,
        given: Mapping[str, float] | None = None,
    ) -> Quantizer:
        """A quantiser of this model; see there."""
        centred = settings.centred and not given  # ranges that somebody has measured are of tensors with their means
        return Quantizer(self.calibrated(centred, progress), settings, choices, given)


def open_workbench(
    model: str | os.PathLike[str],
    photos: Sequence[str],
    *,
    limit: int = 256,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    skipped: Callable[[ImageError], None] = lambda error: None,
) -> Workbench:
    """Read a float ONNX model, and choose photos for it.

    Args:
        model: path of the ONNX file; any exporter's, as long as its signature is one that detrt serves.
        photos: folders, globs and files.
        limit: how many photos at most.
        seed: of the choice.
        overrides: fields of the contract that a foreign model does not state.
        skipped: told of each photo that cannot be read.

    Raises:
        ModelError, ContractError: no such model, or none that detrt can serve.
        GraphError: it is quantised or in half precision already, takes batches of another size than 1 alone, or holds
            nothing to quantise.
        ImageError, UsageError: no photos.
    """
    source = Path(model)
    float_model = onnx_file.load(source)
    refuse_quantized(float_model)
    with OnnxRuntime(source, device="cpu") as runtime:
        contract = contract_of(runtime, overrides or {})
        _, batch = batches_of(runtime, contract)
    if batch not in (None, 1):
        raise GraphError(
            f"{source} takes {batch} images a run and no other number, and calibration runs photos one at a time.",
            "Export it with --batch dynamic, quantise that, and build the engine with --batch.",
        )
    chosen = calibration_set(photos, contract, limit=limit, seed=seed, skipped=skipped)
    graph = GraphIndex(at_opset(float_model, OPSET))
    graph.refuse_narrow()
    bench = Workbench(source, float_model, graph, contract, chosen, onnx_file.sha256_of_model(source))
    if not bench.products:
        raise GraphError(
            f"{source} holds no float32 convolution or matrix product with a constant.",
            "Start from the float32 export of a detector.",
        )
    return bench
