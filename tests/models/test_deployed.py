"""The deployed form against the model that it was made from."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch

from detrt.errors import ModelError
from detrt.models.attention import Sampler
from detrt.models.deployed import Deployed
from detrt.models.rtdetrv2 import detections
from detrt.models.variants import Variant
from tests.models.seeded import SMALL, pictures, seeded_model

SHALLOW = replace(SMALL, layers=3, evaluated=1, encoder_expansion=1.0)
DEEP = replace(SMALL, blocks=(2, 2, 3, 2), bottleneck=True, frozen_norm=True, encoder_width=96)
DISCRETE = replace(SMALL, sampling="discrete")
LARGE = SMALL.sized((1696, 64))  # more than 100 cells along a side: the second level has unused anchors too


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("sampler", get_args(Sampler))
@pytest.mark.parametrize("variant", [SMALL, SHALLOW, DEEP, DISCRETE], ids=["small", "shallow", "deep", "dsp"])
def test_outputs_equal(variant: Variant, sampler: Sampler, single: bool) -> None:
    model = seeded_model(variant).double()
    # the constants are made in float64 and kept in float32: what is left of them is the tolerance
    deployed = Deployed(model, "raw", sampler, single=single).double()
    images = pictures(variant.size, 1 if single else 3).double()
    with torch.inference_mode():
        for found, expected in zip(deployed(images), model(images), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("single", [True, False])
def test_unused_anchors_of_every_level_are_left_out(single: bool) -> None:
    model = seeded_model(LARGE)
    assert not model.decoder.valid_mask[0, -(106 * 4 + 53 * 2) :].all()
    images = pictures(LARGE.size, 1)
    with torch.inference_mode():
        for found, expected in zip(Deployed(model, "raw", single=single)(images), model(images), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_detections_are_decoded_inside() -> None:
    model = seeded_model(SMALL)
    images, sizes = pictures(SMALL.size, 2), torch.tensor([[640, 480], [33, 99]])
    with torch.inference_mode():
        found = Deployed(model)(images, sizes)
        logits, boxes = model(images)
        expected = detections(logits, boxes, sizes, SMALL.queries)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_model_is_left_as_it_was() -> None:
    model = seeded_model(SMALL)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    Deployed(model)
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ModelError, match="128x160, but the images are 160x128"):
        seeded_model(SMALL)(torch.zeros(1, 3, 160, 128))
