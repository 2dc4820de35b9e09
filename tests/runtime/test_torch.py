from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detrt.contract import ModelContract, contract_from_metadata
from detrt.errors import ModelError, UsageError
from detrt.runtime.torch import TorchRuntime

CONTRACT = ModelContract((4, 6), output_form="raw", sizes_name=None)
FEEDS = {"images": np.random.default_rng(0).random((2, 3, 4, 6), np.float32)}


class Tiny(nn.Module):
    """Logits from channel means, boxes from a corner; counts its calls' types."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0, 1, 15).reshape(3, 5))
        self.seen: list[torch.dtype] = []

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(images.dtype)
        return (images.mean((2, 3)) @ self.weight)[:, None], images[:, :1, 0, :4]


def test_runs_a_module_on_host_arrays() -> None:
    with TorchRuntime(Tiny(), CONTRACT, device="cpu") as runtime:
        found = runtime.run(FEEDS)
    expected = FEEDS["images"].mean((2, 3)) @ np.linspace(0, 1, 15, dtype=np.float32).reshape(3, 5)
    np.testing.assert_allclose(found["logits"][:, 0], expected, rtol=1e-5)
    np.testing.assert_array_equal(found["boxes"][:, 0], FEEDS["images"][:, 0, 0, :4])


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_narrow_precision_computes_narrow_and_returns_float32(precision: str, dtype: torch.dtype) -> None:
    model = Tiny()
    with TorchRuntime(model, CONTRACT, device="cpu", precision=precision) as runtime:
        found = runtime.run(FEEDS)
    assert model.seen == [dtype]
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}


def test_contract_says_that_outputs_are_raw() -> None:
    detections = ModelContract((4, 6), class_names=("cat",))
    with TorchRuntime(Tiny(), detections, device="cpu") as runtime:
        contract = contract_from_metadata(runtime.metadata)
    assert contract is not None
    assert (contract.output_form, contract.sizes_name, contract.class_names) == ("raw", None, ("cat",))


def test_wrong_feeds_devices_and_precisions_are_named() -> None:
    with TorchRuntime(Tiny(), CONTRACT, device="cpu") as runtime, pytest.raises(ModelError, match="images"):
        runtime.run({"images": np.zeros((1, 3, 5, 6), np.float32)})
    with pytest.raises(ModelError, match="cuda:99"):
        TorchRuntime(Tiny(), CONTRACT, device="cuda:99")
    with pytest.raises(ModelError, match="tpu"):
        TorchRuntime(Tiny(), CONTRACT, device="tpu")
    with pytest.raises(UsageError, match="int8"):
        TorchRuntime(Tiny(), CONTRACT, device="cpu", precision="int8")
