"""Ours against the reference outputs of the official implementation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from detrt.models.attention import Sampler
from detrt.models.deployed import Deployed
from detrt.models.rtdetrv2 import RTDETRv2, detections
from detrt.models.variants import R18VD, VARIANTS
from tests.models.seeded import golden_picture, golden_shapes, seeded_state

Floats = npt.NDArray[np.float32]

PARAMETERS = {
    "r18vd": 20_184_464,
    "r34vd": 31_441_668,
    "r50vd_m": 36_647_020,
    "r50vd": 42_944_620,
    "r101vd": 76_661_740,
}


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Floats]:
    with np.load(shared / "golden" / "rtdetrv2_r18vd.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def model(shared: Path) -> RTDETRv2:
    """With the golden weights, loaded strictly but for what the model constructs."""
    ours = RTDETRv2(R18VD)
    missing, unexpected = ours.load_state_dict(seeded_state(golden_shapes(shared)), strict=False)
    assert not unexpected
    assert all(name.endswith(("num_batches_tracked", "anchors", "valid_mask", "num_points_scale")) for name in missing)
    return ours


def test_state_dict_has_the_official_names_and_shapes(shared: Path, model: RTDETRv2) -> None:
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == golden_shapes(shared)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_many_as_published(name: str) -> None:
    with torch.device("meta"):
        variants = [RTDETRv2(VARIANTS[name]), RTDETRv2(VARIANTS[f"{name}_dsp"])]
    assert [sum(p.numel() for p in each.parameters()) for each in variants] == [PARAMETERS[name]] * 2


def test_backbone_and_encoder_levels_have_the_reference_spread(model: RTDETRv2, golden: dict[str, Floats]) -> None:
    with torch.inference_mode():
        features = model.backbone(golden_picture((640, 640)))
        encoded = model.encoder(features)
    np.testing.assert_allclose([level.std() for level in features], golden["feat_std"], rtol=1e-5)
    np.testing.assert_allclose([level.std() for level in encoded], golden["enc_std"], rtol=1e-5)


def test_queries_equal_the_reference(model: RTDETRv2, golden: dict[str, Floats]) -> None:
    with torch.inference_mode():
        logits, boxes = model(golden_picture((640, 640)))
    compare_queries(logits[0].numpy(), boxes[0].numpy(), golden)


@pytest.mark.parametrize(("sampler", "single"), [("grid-sample", True), ("gather", False)])
def test_deployed_queries_equal_the_reference(
    model: RTDETRv2, golden: dict[str, Floats], sampler: Sampler, single: bool
) -> None:
    deployed = Deployed(model, "raw", sampler, single=single)
    with torch.inference_mode():
        logits, boxes = deployed(golden_picture((640, 640)))
    compare_queries(logits[0].numpy(), boxes[0].numpy(), golden)


def test_detections_equal_the_reference(golden: dict[str, Floats]) -> None:
    logits, boxes = (torch.from_numpy(golden[name])[None] for name in ("logits", "boxes"))
    labels, corners, scores = detections(logits, boxes, torch.tensor([[1, 1]]), 300)
    np.testing.assert_allclose(scores[0], golden["top_scores"], atol=1e-6)
    np.testing.assert_array_equal(labels[0], golden["top_labels"])
    centre, extent = np.split(golden["top_boxes"], 2, axis=1)
    np.testing.assert_allclose(corners[0], np.concatenate([centre - extent / 2, centre + extent / 2], 1), atol=1e-6)


def compare_queries(logits: Floats, boxes: Floats, golden: dict[str, Floats]) -> None:
    """Equal to 1e-4, query by query, after matching: near-ties of the selection may come in another order.

    Each reference query is given the unused query of ours whose box and logits lie nearest (largest absolute
    difference); a swap of two near-ties is undone by it, and anything else stays a difference.
    """
    ours = np.concatenate([boxes, logits], axis=1)
    reference = np.concatenate([golden["boxes"], golden["logits"]], axis=1)
    distance = np.abs(reference[:, None] - ours[None]).max(axis=2)
    partner: list[int] = []
    for row in distance:
        row[partner] = np.inf
        partner.append(int(row.argmin()))
    np.testing.assert_allclose(logits[partner], golden["logits"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(boxes[partner], golden["boxes"], rtol=0, atol=1e-4)
