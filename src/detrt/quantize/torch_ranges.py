"""Ranges as NVIDIA ModelOpt's quantisers see them in PyTorch, for a model that starts from its checkpoint.

The deployed form of the model is run with ModelOpt's own modules in place of its convolutions and linear layers, and
what they have calibrated goes into the export's Q/DQ nodes: nodes of our export are named by module path, so a
product's module is known. Products that are no such module, of two activations or with a residual sum inside, keep the
ranges that the ONNX model shows. ModelOpt could export Q/DQ itself, but with a pair for every reader of a tensor, FP8
weights with one scale for all channels, and nodes of its own domain that only TensorRT reads.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from detrt.errors import ModelError
from detrt.extras import require
from detrt.graph.products import Product
from detrt.progress import Progress, silent
from detrt.quantize.calibration import CalibrationSet
from detrt.quantize.modelopt import quiet
from detrt.quantize.quantizer import Settings

NUMBER_BITS = {"int8": 8, "fp8": (4, 3)}


def ranges_in_torch(
    checkpoint: Path,
    products: Sequence[Product],
    photos: CalibrationSet,
    settings: Settings,
    *,
    progress: Progress = silent,
) -> dict[str, float]:
    """The largest magnitude to represent of each activation tensor that a convolution or linear layer reads.

    Args:
        checkpoint: what `products` were exported from, by detrt.
        products: whose inputs to look at.
        photos: to calibrate on.
        settings: the narrow type, and how ranges are chosen.
        progress: told of every photo.

    Raises:
        MissingExtraError: PyTorch or ModelOpt is not installed.
        ModelError: the checkpoint is of another model than the products.
    """
    require("torch", extra="torch", purpose="Calibrating in PyTorch")
    require("modelopt.onnx.quantization", extra="quantize", purpose="Calibrating in PyTorch")
    import torch

    from detrt.models.checkpoint import load_model
    from detrt.models.deployed import Deployed

    model, _ = load_model(checkpoint, size=photos.contract.input_size)
    module = Deployed(model, "raw")
    kinds = torch.nn.Conv2d if settings.linear_ranges == "per-token" else torch.nn.Conv2d | torch.nn.Linear
    layers = {name for name, layer in module.named_modules() if isinstance(layer, kinds)}
    read = {_module_of(product): product.activations[0] for product in products if _module_of(product) in layers}
    if not read:
        raise ModelError(
            f"No layer of {checkpoint} is a product of the ONNX model.", "Give the model's own checkpoint."
        )
    with _quantised(module, read, settings) as quantizers, torch.no_grad():
        for number, photo in enumerate(photos, start=1):
            module(torch.from_numpy(photo.feeds[photos.contract.input_name]))
            progress("Calibrating in PyTorch", number, len(photos))
        for quantizer in quantizers.values():
            _choose(quantizer, settings)
        return {read[name]: float(quantizer.amax) for name, quantizer in quantizers.items()}


@contextlib.contextmanager
def _quantised(module: Any, names: Iterable[str], settings: Settings) -> Iterator[dict[str, Any]]:
    """The input quantisers of the modules `names`, watching and letting everything pass."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a transformers that ModelOpt has not been tested with
        import modelopt.torch.quantization as quantization

        seen = {"num_bits": NUMBER_BITS[settings.precision], "axis": None, "calibrator": _calibrator(settings)}
        rules: list[dict[str, Any]] = [{"quantizer_name": "*", "enable": False}]
        rules += [{"quantizer_name": f"{name}.input_quantizer", "cfg": seen} for name in names]
        quantization.quantize(module, {"quant_cfg": rules, "algorithm": None})
        found = {name: module.get_submodule(name).input_quantizer for name in names}
        for quantizer in found.values():
            quantizer.disable_quant()
            quantizer.enable_calib()
        yield found


def _calibrator(settings: Settings) -> str:
    """ModelOpt's histogram serves percentiles; it knows its other two criteria for integers alone."""
    return "histogram" if _method(settings) != "max" else "max"


def _method(settings: Settings) -> str:
    known = ("percentile",) if settings.precision == "fp8" else ("percentile", "mse", "entropy")
    return settings.ranges if settings.ranges in known else "max"


def _choose(quantizer: Any, settings: Settings) -> None:
    match _method(settings):
        case "max":
            quantizer.load_calib_amax()
        case "percentile":
            quantizer.load_calib_amax("percentile", percentile=settings.percentile)
        case method:
            quantizer.load_calib_amax(method)


def _module_of(product: Product) -> str:
    """`backbone.conv1.conv` of the node `/backbone/conv1/conv/Conv`."""
    return product.name.strip("/").rpartition("/")[0].replace("/", ".")
