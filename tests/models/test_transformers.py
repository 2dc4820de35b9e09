"""Every variant against the independent RT-DETRv2 of `transformers`, on shared random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file

from detrt.models.checkpoint import load_model, read_checkpoint
from detrt.models.huggingface import official_state
from detrt.models.rtdetrv2 import RTDETRv2
from detrt.models.variants import R34VD, R50VD_M, R101VD, VARIANTS, Variant
from tests.models.seeded import pictures

SIZE = (128, 160)


@pytest.mark.parametrize(
    "variant",
    [VARIANTS["r18vd_dsp"], R34VD, R50VD_M, VARIANTS["r50vd_dsp"], R101VD],
    ids=lambda variant: variant.name,
)
def test_outputs_equal(variant: Variant) -> None:
    """In float64: the nearest cell of a place halfway between two is a matter of the last digit."""
    theirs = hugging_face_model(variant).double()
    # transformers has no layers that never run, so r50vd_m is compared as the three layers that do
    ours = RTDETRv2(replace(variant, layers=variant.evaluated).sized(SIZE))
    missing, unexpected = ours.load_state_dict(official_state(theirs.state_dict()), strict=False)
    assert not unexpected
    assert all(name.endswith(("anchors", "valid_mask", "num_batches_tracked")) for name in missing)
    images = pictures(SIZE, 2).double()
    with torch.inference_mode():
        expected = theirs(images)
        logits, boxes = ours.double()(images)
    assert expected.logits.std() > 0.1
    torch.testing.assert_close(logits, expected.logits, rtol=0, atol=1e-4)
    torch.testing.assert_close(boxes, expected.pred_boxes, rtol=0, atol=1e-4)


def test_folder_loads_with_its_names_and_sampling(tmp_path: Path) -> None:
    theirs = hugging_face_model(VARIANTS["r18vd_dsp"], labels=4)
    theirs.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"id2label": dict(enumerate("abcd"))}))
    ours, checkpoint = load_model(tmp_path, size=SIZE)
    assert (ours.variant.name, ours.variant.classes) == ("r18vd_dsp", 4)
    assert checkpoint.class_names == ("a", "b", "c", "d")
    images = pictures(SIZE, 1).double()
    with torch.inference_mode():
        torch.testing.assert_close(ours.double()(images)[0], theirs.double()(images).logits, rtol=0, atol=1e-4)


def test_placeholder_labels_are_no_class_names(tmp_path: Path) -> None:
    save_file({"model.enc_output.0.weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    labels = {"0": "LABEL_0", "1": "LABEL_1"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "rt_detr_v2", "id2label": labels}))
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.class_names == ()
    assert list(checkpoint.state) == ["decoder.enc_output.proj.weight"]


def hugging_face_model(variant: Variant, labels: int = 80) -> Any:
    """A model of transformers with random weights, whose norms and heads are random too."""
    torch.manual_seed(0)
    widths = [variant.stem << stage for stage in range(4)]
    backbone = transformers.RTDetrResNetConfig(  # type: ignore[call-arg]
        layer_type="bottleneck" if variant.bottleneck else "basic",
        depths=list(variant.blocks),
        embedding_size=variant.stem,
        hidden_sizes=[width * (4 if variant.bottleneck else 1) for width in widths],
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.RTDetrV2Config(  # type: ignore[call-arg]
        backbone_config=backbone,
        num_labels=labels,
        encoder_in_channels=list(variant.backbone_channels),
        encoder_hidden_dim=variant.encoder_width,
        encoder_ffn_dim=variant.encoder_feedforward,
        hidden_expansion=variant.encoder_expansion,
        decoder_in_channels=[variant.encoder_width] * 3,
        decoder_layers=variant.evaluated,
        decoder_method="discrete" if variant.sampling == "discrete" else "default",
    )
    model: Any = transformers.RTDetrV2ForObjectDetection(config)
    model.eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim == 1:
                value.add_(0.1 * torch.randn_like(value))
            elif "embed" in name or "head" in name or "offsets" in name or "attention_weights" in name:
                value.normal_(std=value.shape[1] ** -0.5)
        for name, value in model.named_buffers():
            if name.endswith("running_mean"):
                value.normal_(std=0.1)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
    return model
