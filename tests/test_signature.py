"""Foreign models: what their tensors say, and what detrt refuses to guess."""

from __future__ import annotations

import pytest

from detrt.coco_names import COCO_NAMES
from detrt.errors import ContractError
from detrt.signature import TensorSpec, contract_from_signature

IMAGES = TensorSpec("images", (None, 3, 640, 480), "float32")
SIZES = TensorSpec("orig_target_sizes", (None, 2), "int64")
LABELS = TensorSpec("labels", (None, 300), "int64")
BOXES = TensorSpec("boxes", (None, 300, 4), "float32")
SCORES = TensorSpec("scores", (None, 300), "float32")
LOGITS = TensorSpec("logits", (None, 300, 80), "float32")


def test_the_deploy_signature_needs_no_flags() -> None:
    contract = contract_from_signature([IMAGES, SIZES], [LABELS, BOXES, SCORES], class_names=COCO_NAMES)
    assert contract.output_form == "detections"
    assert contract.input_size == (640, 480)
    assert contract.sizes_name == "orig_target_sizes"
    assert contract.class_names == COCO_NAMES
    assert "resize" in contract.assumed


def test_other_names_are_told_apart_by_shape_and_dtype() -> None:
    outputs = [
        TensorSpec("o1", (1, 300), "float32"),
        TensorSpec("o2", (1, 300), "int64"),
        TensorSpec("o3", (1, 300, 4), "float32"),
    ]
    contract = contract_from_signature([TensorSpec("x", (1, 3, 64, 64), "float32"), SIZES], outputs)
    assert contract.outputs == {"labels": "o2", "boxes": "o3", "scores": "o1"}


@pytest.mark.parametrize("name", ["boxes", "pred_boxes"])
def test_raw_logits_and_boxes_are_served(name: str) -> None:
    boxes = TensorSpec(name, (None, 300, 4), "float32")
    contract = contract_from_signature([IMAGES], [LOGITS, boxes], class_names=COCO_NAMES)
    assert contract.output_form == "raw"
    assert contract.outputs == {"logits": "logits", "boxes": name}
    assert contract.class_names == COCO_NAMES


def test_four_classes_are_not_taken_for_boxes() -> None:
    four = TensorSpec("logits", (None, 300, 4), "float32")
    assert contract_from_signature([IMAGES], [BOXES, four]).outputs == {"logits": "logits", "boxes": "boxes"}


def test_coco_names_are_not_given_to_a_model_of_other_classes() -> None:
    three = TensorSpec("logits", (None, 300, 3), "float32")
    assert contract_from_signature([IMAGES], [three, BOXES], class_names=COCO_NAMES).class_names == ()


def test_marked_tensors_beside_the_outputs_are_ignored() -> None:
    extra = TensorSpec("/decoder/Add_output_0", (None, 300, 192), "float32")
    contract = contract_from_signature([IMAGES, SIZES], [LABELS, BOXES, SCORES, extra])
    assert contract.outputs == {"labels": "labels", "boxes": "boxes", "scores": "scores"}


def test_an_open_size_is_asked_for_not_guessed() -> None:
    images = TensorSpec("images", (None, 3, None, None), "float32")
    with pytest.raises(ContractError, match="size="):
        contract_from_signature([images], [LOGITS, BOXES])
    assert contract_from_signature([images], [LOGITS, BOXES], size=(512, 640)).input_size == (512, 640)


def test_a_size_that_the_model_does_not_take_is_an_error() -> None:
    with pytest.raises(ContractError, match="320x320 was asked for, but the model takes 640x480 only"):
        contract_from_signature([IMAGES, SIZES], [LABELS, BOXES, SCORES], size=(320, 320))


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([IMAGES], [TensorSpec("probabilities", (None, 1000), "float32")]),
        ([IMAGES, SIZES, TensorSpec("prompt", (None, 77), "float32")], [LABELS, BOXES, SCORES]),
        ([SIZES], [LABELS, BOXES, SCORES]),
        ([IMAGES], [LABELS, BOXES, SCORES]),
        ([IMAGES, SIZES], [LOGITS, BOXES]),
    ],
)
def test_anything_else_lists_what_was_found_and_what_is_accepted(
    inputs: list[TensorSpec], outputs: list[TensorSpec]
) -> None:
    with pytest.raises(ContractError) as caught:
        contract_from_signature(inputs, outputs)
    for spec in [*inputs, *outputs]:
        assert str(spec) in caught.value.problem
    assert "labels (N, K), boxes (N, K, 4), scores (N, K)" in caught.value.remedy
