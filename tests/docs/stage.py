"""A folder with small stand-ins for the files that the documentation speaks of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
from PIL import Image

from detrt.coco_names import COCO_NAMES
from detrt.quantize.recipe import load_recipe
from detrt.quantize.run import quantize
from detrt.quantize.workbench import open_workbench
from tests.graph.test_fuse_offsets import decoder_layer
from tests.quantize.toy import drawn_photos, toy_detector

PHOTOS = ("photos", "more/deep", "val2017", "val", "runs/shapes/val")
ANNOTATIONS = ("instances_val2017.json", "val.json")
RECIPE = 'about: Backbone and encoder.\nranges: percentile\nonly: ["group:stage *", "group:CCFF"]\n'


def staged(folder: Path) -> Path:
    """Make the stand-ins in `folder`: toy detectors, a few drawn photos under several names, boxes for them."""
    folder.mkdir(parents=True)
    onnx.save(named(toy_detector()), folder / "model.onnx")
    drawn = drawn_photos(folder / PHOTOS[0], 2)
    for name in PHOTOS[1:]:
        shutil.copytree(drawn, folder / name)
    Image.open(drawn / "000.png").convert("RGB").save(folder / "street.jpg")
    for name in ANNOTATIONS:
        (folder / name).write_text(json.dumps(boxes(sorted(drawn.iterdir()))))
    found = [{"image_id": 1, "category_id": 1, "bbox": [4, 4, 60, 60], "score": 0.9}]
    (folder / "found.json").write_text(json.dumps(found))
    (folder / "names.txt").write_text("scratch\ndent\ncrack\nrust\n")
    for name in ("my.yaml", "mine.yaml"):
        (folder / name).write_text(RECIPE)
    bench = open_workbench(folder / "model.onnx", [str(drawn)])
    for name in ("model_int8.onnx", "model.int8.onnx", "femto.int8.onnx"):
        quantize(bench, folder / name, precision="int8", recipe=load_recipe("safe"))
    return folder


def quantised_layer(path: Path) -> None:
    """What `detrt graph fuse-offsets` works on: the toy's own offsets stay float."""
    onnx.save(decoder_layer("transpose"), path)


def named(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with names that exporters give: of the sampling offsets, the joined levels, the first features."""
    made = {name: node for node in model.graph.node for name in node.output}
    tanh = next(node for node in model.graph.node if node.op_type == "Tanh")
    names = {
        made[tanh.input[0]].input[0]: "/decoder/layers.0/cross_attn/sampling_offsets/Add",
        next(
            node.output[0] for node in model.graph.node if node.op_type == "Concat"
        ): "/model/decoder/Concat_3_output_0",
        next(node.output[0] for node in model.graph.node if node.op_type == "Relu"): "feat_0",
    }
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return model


def boxes(photos: list[Path]) -> dict[str, object]:
    """COCO annotations: one box a photo, of the first class."""
    ids = range(1, len(photos) + 1)
    return {
        "images": [{"id": i, "file_name": photos[i - 1].name, "width": 128, "height": 96} for i in ids],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [4, 4, 60, 60], "area": 3600, "iscrowd": 0} for i in ids
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(COCO_NAMES, 1)],
    }
