"""PyTorch, eager or compiled: what engines are compared with. Nothing else in detrt needs it to run a model."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from detrt.contract import ModelContract
from detrt.errors import ModelError, UsageError
from detrt.runtime.base import Array
from detrt.runtime.device import check_feeds
from detrt.runtime.device_name import chosen_device
from detrt.signature import TensorSpec

TorchPrecision = Literal["fp32", "tf32", "fp16", "bf16"]
_DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class TorchRuntime:
    """A module from images (N, 3, H, W) to logits and boxes, such as `detrt.models.rtdetrv2.RTDETRv2`.

    In `fp16` and `bf16` the weights are converted and the images cast, with nothing kept in float32: PyTorch as people
    use it, not our precision pass. What goes in and comes out is float32 all the same.
    """

    def __init__(
        self,
        model: nn.Module,
        contract: ModelContract,
        *,
        device: str = "auto",
        precision: str = "fp32",
        compiled: bool = False,
    ) -> None:
        """Move the model to its device; it belongs to the runtime from then on.

        Args:
            model: in evaluation mode.
            contract: of form `raw`.
            device: `auto`, `cpu`, `cuda` or `cuda:N`; `auto` takes a GPU where PyTorch has one.
            precision: `tf32` and `fp32` differ on a GPU only, and by a setting of the whole process.
            compiled: through `torch.compile` with CUDA graphs; the first runs are slow then.

        Raises:
            ModelError: PyTorch here has no such device.
            UsageError: an unknown precision.
        """
        if precision not in get_args(TorchPrecision):
            raise UsageError(f"'{precision}' is no precision.", f"Use one of {', '.join(get_args(TorchPrecision))}.")
        self.device = _device(device)
        self.precision = precision
        self._tf32 = precision == "tf32"
        self._dtype = _DTYPES[precision]
        self._outputs = ("logits", "boxes")
        self._input = contract.input_name
        self._lock = threading.Lock()  # a compiled module replays graphs on buffers of its own
        module = model.to(self.device, self._dtype)
        self._module = torch.compile(module, mode="reduce-overhead") if compiled else module
        self.name = f"PyTorch {torch.__version__} ({'compiled' if compiled else 'eager'}, {precision})"
        self.inputs = (TensorSpec(self._input, (None, 3, *contract.input_size), "float32"),)
        self.outputs = (
            TensorSpec("logits", (None, None, None), "float32"),
            TensorSpec("boxes", (None, None, 4), "float32"),
        )
        named = contract.replaced(output_form="raw", outputs={"logits": "logits", "boxes": "boxes"}, sizes_name=None)
        self.metadata: Mapping[str, str] = named.to_metadata()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runtime.run`."""
        check_feeds(self.inputs, {name: (value.shape, str(value.dtype)) for name, value in feeds.items()})
        with self._lock:
            found = self.launch(self.resident(feeds))
            return {name: value.float().cpu().numpy().copy() for name, value in found.items()}

    def resident(self, feeds: Mapping[str, Array]) -> dict[str, Tensor]:
        """Feeds as tensors on the device, still float32."""
        return {name: torch.from_numpy(value).to(self.device) for name, value in feeds.items()}

    @torch.inference_mode()
    def launch(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run on device tensors, without waiting for a GPU to finish; the next launch may overwrite the outputs."""
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self._tf32
        try:
            return dict(zip(self._outputs, self._module(tensors[self._input].to(self._dtype)), strict=True))
        except RuntimeError as error:
            shape = tuple(tensors[self._input].shape)
            raise ModelError(
                f"{self.name} failed on images of shape {shape}: {str(error).strip().splitlines()[0]}.",
                "Use a smaller batch where memory ran out; otherwise another precision.",
            ) from error

    def close(self) -> None:
        """Free the model."""
        self._module = nn.Identity()
        if self.device != "cpu":
            torch.cuda.empty_cache()

    def __enter__(self) -> TorchRuntime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _device(asked: str) -> str:
    device = chosen_device(asked, has_cuda=torch.cuda.is_available())
    if device != "cpu" and int(device.removeprefix("cuda:")) >= torch.cuda.device_count():
        raise ModelError(
            f"The device {asked} was asked for, but PyTorch {torch.__version__} here sees "
            f"{torch.cuda.device_count()} GPUs.",
            "Use --device cpu, or a build of PyTorch for this machine's GPU.",
        )
    return device
