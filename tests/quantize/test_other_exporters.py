"""Detectors of another make: found out by what their graphs do, not by what anybody called things."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnxslim
import pytest
import torch
import transformers

from detrt.errors import DetrtError
from detrt.graph.onnx_file import load
from detrt.graph.trace import traced
from detrt.quantize import run, search, tuning
from detrt.quantize.recipe import load_recipe
from detrt.quantize.workbench import open_workbench

SIDE = 64
SHARED: dict[str, Any] = {
    "num_labels": 4,
    "d_model": 32,
    "encoder_hidden_dim": 32,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "decoder_layers": 2,
    "decoder_attention_heads": 4,
    "encoder_attention_heads": 4,
    "num_queries": 20,
    "decoder_in_channels": [32, 32, 32],
}
EVERYWHERE = {
    *("stem", "stage 1", "stage 2", "stage 3", "stage 4", "AIFI", "CCFF", "query selection", "query_pos"),
    *("self-attention", "sampling_offsets", "attention_weights", "output_proj", "FFN", "heads"),
}


class _Outputs(torch.nn.Module):
    """Logits and boxes alone."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.model(images)
        return found.logits, found.pred_boxes


def _rtdetrv2() -> Any:
    shape: dict[str, Any] = {
        "embedding_size": 16,
        "hidden_sizes": [16, 16, 32, 32],
        "depths": [1, 1, 1, 1],
        "layer_type": "basic",
        "out_features": ["stage2", "stage3", "stage4"],
    }
    backbone = transformers.RTDetrResNetConfig(**shape)
    config = transformers.RTDetrV2Config(backbone_config=backbone, encoder_in_channels=[16, 32, 32], **SHARED)
    return transformers.RTDetrV2ForObjectDetection(config)


def _dfine() -> Any:
    shape: dict[str, Any] = {
        "embedding_size": 16,
        "stem_channels": [3, 8, 16],
        "hidden_sizes": [16, 32, 32, 32],
        "depths": [1, 1, 1, 1],
        "stage_in_channels": [16, 16, 32, 32],
        "stage_mid_channels": [8, 8, 16, 16],
        "stage_out_channels": [16, 32, 32, 32],
        "stage_num_blocks": [1, 1, 1, 1],
        "stage_numb_of_layers": [1, 1, 1, 1],
        "stage_light_block": [False] * 4,
        "stage_downsample": [False, True, True, True],
        "stage_kernel_size": [3] * 4,
        "out_features": ["stage2", "stage3", "stage4"],
    }
    backbone = transformers.HGNetV2Config(**shape)
    config = transformers.DFineConfig(
        backbone_config=backbone, encoder_in_channels=[32, 32, 32], feat_strides=[8, 16, 32], **SHARED
    )
    return transformers.DFineForObjectDetection(config)


def _exported(model: Any, path: Path) -> Path:
    """Traced and simplified as it comes, nameless; untrained, but sure enough of something to be compared by."""
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "class_embed" in name or "enc_score_head" in name:
            parameter.data = 0.3 * torch.randn_like(parameter)
    traced_model = traced(
        _Outputs(model.eval()),
        [torch.zeros(1, 3, SIDE, SIDE)],
        inputs=["pixel_values"],
        outputs=["logits", "pred_boxes"],
        opset=17,
        dynamic_batch=False,
    )
    slim = onnxslim.slim(traced_model)
    for node in slim.graph.node:
        node.name = ""
    onnx.save(slim, path)
    return path


def test_the_search_works_on_an_export_of_transformers(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "FINEST_SEARCH", 0)  # parts of the detector: a tenth of the measurements
    monkeypatch.setattr(tuning, "TRIED", 0)
    monkeypatch.setattr(search, "AGAIN", 0)
    bench = open_workbench(_exported(_rtdetrv2(), tmp_path / "theirs.onnx"), [str(photos)], limit=2)
    assert set(bench.groups.values()) == EVERYWHERE | {"value_proj"}
    report = run.quantize(
        bench,
        tmp_path / "small.onnx",
        precision="int8",
        recipe=load_recipe("safe"),
        target_drop=2.0,
        judge_engine=False,
    )
    assert 0 < report.macs_share <= 1
    assert {part.part.name for part in report.parts} == set(bench.groups.values())
    assert any(node.op_type == "QuantizeLinear" for node in load(tmp_path / "small.onnx").graph.node)


def test_the_parts_of_d_fine_are_found(photos: Path, tmp_path: Path) -> None:
    bench = open_workbench(_exported(_dfine(), tmp_path / "dfine.onnx"), [str(photos)], limit=2)
    assert set(bench.groups.values()) == EVERYWHERE  # it has no value projection


def test_a_graph_of_another_family_is_refused(photos: Path, tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4 * 62 * 62, 10))
    classifier = traced(
        module,
        [torch.zeros(1, 3, SIDE, SIDE)],
        inputs=["images"],
        outputs=["classes"],
        opset=17,
        dynamic_batch=False,
    )
    onnx.save(classifier, tmp_path / "classifier.onnx")
    with pytest.raises(DetrtError, match="classes"):
        open_workbench(tmp_path / "classifier.onnx", [str(photos)])
