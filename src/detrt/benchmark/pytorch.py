"""PyTorch models as runtimes: from a checkpoint, or untrained, which takes as long."""

from __future__ import annotations

from detrt.contract import ModelContract
from detrt.extras import require
from detrt.runtime.base import Runtime

UNTRAINED = "random:"
"""`random:r18vd` is that variant with the weights that it is made with."""


def torch_runtime(model: str, *, precision: str, compiled: bool, device: str = "auto") -> Runtime:
    """The model in PyTorch as it was trained, not as it is exported; outputs are raw.

    Args:
        model: an official `.pth`, a Hugging Face `.safetensors`, or `random:VARIANT`.
        precision: fp32, tf32, fp16 or bf16.
        compiled: through `torch.compile`.
        device: see `TorchRuntime`.

    Raises:
        CheckpointError: the weights are unreadable or of unknown make.
        UsageError: there is no such variant or precision.
        MissingExtraError: PyTorch is not installed.
    """
    require("torch", extra="torch", purpose="Running a PyTorch model")
    from detrt.models.checkpoint import load_model
    from detrt.models.rtdetrv2 import RTDETRv2
    from detrt.models.variants import variant_named
    from detrt.runtime.torch import TorchRuntime

    names: tuple[str, ...] = ()
    if model.startswith(UNTRAINED):
        module = RTDETRv2(variant_named(model.removeprefix(UNTRAINED)))
    else:
        module, checkpoint = load_model(model)
        names = checkpoint.class_names
    contract = ModelContract(
        module.variant.size,
        output_form="raw",
        sizes_name=None,
        class_names=names,
        family="rtdetrv2",
        variant=module.variant.name,
    )
    return TorchRuntime(module, contract, device=device, precision=precision, compiled=compiled)
