"""RT-DETRv2-R18 as ours and as `transformers` exports it, with the same seeded weights: what benchmarks compare.

    python tools/export_transformers_baseline.py OUT

Leaves ours_b1.onnx, ours_b1_raw.onnx, ours_b1_gather.onnx, ours_dynamic.onnx and transformers_b1.onnx (raw outputs,
traced at opset 17, simplified by onnxslim as it comes) in OUT. The latter has 573 nodes with these weights and 515 with
untrained ones, whose biases are all zero.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import onnxslim
import torch
import transformers

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.models.seeded import seeded_model

from detrt.coco_names import COCO_NAMES
from detrt.contract import ModelContract
from detrt.graph.export import ExportOptions, onnx_from_model
from detrt.graph.onnx_file import save
from detrt.graph.trace import traced
from detrt.models.huggingface import official_name
from detrt.models.rtdetrv2 import RTDETRv2
from detrt.models.variants import R18VD

EXPORTS = {
    "ours_b1": ExportOptions(),
    "ours_b1_raw": ExportOptions(output="raw"),
    "ours_b1_gather": ExportOptions(sampler="gather"),
    "ours_dynamic": ExportOptions(batch=None),
}


class Outputs(torch.nn.Module):
    """Logits and boxes alone."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.model(images)
        return found.logits, found.pred_boxes


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model = seeded_model(R18VD)
    for name, options in EXPORTS.items():
        contract = ModelContract(
            input_size=R18VD.size,
            output_form=options.output,
            sizes_name="orig_target_sizes" if options.output == "detections" else None,
            class_names=COCO_NAMES,
            family="rtdetrv2",
            variant=R18VD.name,
        )
        save(onnx_from_model(model, contract, options), out / f"{name}.onnx")
    theirs = traced(
        Outputs(with_weights_of(model)),
        [torch.zeros(1, 3, *R18VD.size)],
        inputs=["images"],
        outputs=["logits", "boxes"],
        opset=17,
        dynamic_batch=False,
    )
    save(onnxslim.slim(theirs), out / "transformers_b1.onnx")


def with_weights_of(model: RTDETRv2) -> Any:
    """The same model of transformers."""
    backbone = transformers.RTDetrResNetConfig(
        layer_type="basic",
        depths=list(R18VD.blocks),
        hidden_sizes=[64, 128, 256, 512],
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.RTDetrV2Config(
        backbone_config=backbone,
        encoder_in_channels=list(R18VD.backbone_channels),
        decoder_layers=R18VD.layers,
        hidden_expansion=R18VD.encoder_expansion,
        num_labels=R18VD.classes,
    )
    theirs = transformers.RTDetrV2ForObjectDetection(config).eval()
    state = model.state_dict()
    filled = {}
    for key, value in theirs.state_dict().items():
        name, part = official_name(key)
        filled[key] = (state[name] if part is None else state[name].chunk(3)[part]) if name in state else value
    theirs.load_state_dict(filled)
    return theirs


if __name__ == "__main__":
    main(Path(sys.argv[1]))
