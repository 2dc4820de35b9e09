"""Contracts that fit their tensors, and all the ways in which they do not."""

from __future__ import annotations

import pytest

from detrt.contract import ModelContract
from detrt.errors import ContractError
from detrt.fit import refuse_misfit
from detrt.signature import TensorSpec

DETECTIONS = ModelContract((32, 48))
RAW = ModelContract((32, 48), output_form="raw", sizes_name=None)
IMAGES = TensorSpec("images", (None, 3, 32, 48), "float32")
SIZES = TensorSpec("orig_target_sizes", (None, 2), "int64")
FOUND = {"labels": (4, 300), "boxes": (4, 300, 4), "scores": (4, 300)}
SEEN = {"logits": (None, 300, 80), "boxes": (None, 300, 4)}


def specs(shapes: dict[str, tuple[int | None, ...]]) -> list[TensorSpec]:
    return [TensorSpec(name, shape, "float32") for name, shape in shapes.items()]


def test_what_fits_passes_also_where_a_file_tells_little() -> None:
    refuse_misfit(DETECTIONS, (IMAGES, SIZES), specs(dict(FOUND)))
    refuse_misfit(DETECTIONS, (IMAGES, SIZES), specs(dict.fromkeys(FOUND, ())))
    refuse_misfit(DETECTIONS, (IMAGES, SIZES), specs(FOUND | {"scores": (None, None), "marked": (7,)}))
    refuse_misfit(RAW, (IMAGES,), specs(dict(SEEN)))


@pytest.mark.parametrize(
    ("inputs", "outputs", "why"),
    [
        ((SIZES,), FOUND, "there is no input images"),
        ((IMAGES,), FOUND, "there is no input orig_target_sizes"),
        ((IMAGES, TensorSpec("orig_target_sizes", (1, 2), "int32")), FOUND, "should be int64"),
        ((TensorSpec("images", (1, 3, 64, 48), "float32"), SIZES), FOUND, r"should be \(N, 3, 32, 48\)"),
        ((IMAGES, SIZES, TensorSpec("mask", (1, 8), "float32")), FOUND, "to feed the input mask with"),
        ((IMAGES, SIZES), {"labels": (4, 300), "boxes": (4, 300, 4)}, "there is no output scores"),
        ((IMAGES, SIZES), FOUND | {"boxes": (4, 4, 300)}, r"the output boxes .* should be \(N, 300, 4\)"),
        ((IMAGES, SIZES), FOUND | {"scores": (4, 100)}, r"the output scores .* should be \(N, 300\)"),
        ((IMAGES, SIZES), FOUND | {"labels": (4, 300, 1)}, r"the output labels .* should be \(N, K\)"),
    ],
)
def test_what_does_not_fit_is_named(
    inputs: tuple[TensorSpec, ...], outputs: dict[str, tuple[int | None, ...]], why: str
) -> None:
    with pytest.raises(ContractError, match=why):
        refuse_misfit(DETECTIONS, inputs, specs(outputs))


def test_raw_outputs_agree_in_their_queries() -> None:
    with pytest.raises(ContractError, match=r"the output boxes .* should be \(N, 300, 4\)"):
        refuse_misfit(RAW, (IMAGES,), specs(SEEN | {"boxes": (1, 100, 4)}))
