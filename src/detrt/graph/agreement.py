"""Does the exported file find what PyTorch finds? Asked of the file itself, before it gets its final name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

from detrt.contract import ModelContract
from detrt.errors import GraphError
from detrt.images import Pixels
from detrt.images.preprocess import Preprocessor
from detrt.models.rtdetrv2 import RTDETRv2, detections
from detrt.runtime.onnxruntime import OnnxRuntime

SCORE_TOLERANCE = 1e-3
BOX_TOLERANCE = 1e-3  # of the input's longer side

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Agreement:
    """How far two sets of detections of one photo agree.

    Attributes:
        matched: pairs of equal label, and of score and box within the tolerances.
        total: detections of the first set.
        score_error, box_error: the largest difference within a pair; boxes in pixels of the network's input.
        missed_score: the best score of the first set that found no partner; 0 where all did.
        cut: the lowest score of the second set, below which a partner may have been cut off.
    """

    matched: int
    total: int
    score_error: float
    box_error: float
    missed_score: float
    cut: float

    @property
    def holds(self) -> bool:
        """Whether every detection has its partner, but for those that tie with the last of them."""
        return self.matched > 0 and self.missed_score <= self.cut + SCORE_TOLERANCE


def require_agreement(model: RTDETRv2, exported: onnx.ModelProto, contract: ModelContract, photo: Pixels) -> Agreement:
    """Run both on a photo, at every batch that the file takes of 1, 2 (as it is, and mirrored) or its own.

    Raises:
        GraphError: they disagree.
    """
    with OnnxRuntime(exported.SerializeToString(), device="cpu") as runtime:
        fixed = runtime.inputs[0].shape[0]
        agreements = [_agreement(model, runtime, contract, photo, batch) for batch in ([fixed] if fixed else [1, 2])]
    worst = max(agreements, key=lambda each: (not each.holds, each.box_error))
    if not worst.holds:
        raise GraphError(
            f"The export differs from PyTorch: {worst.total - worst.matched} of {worst.total} detections have no "
            f"partner, the best of them with a score of {worst.missed_score:.4f}.",
            "Nothing was written. Try --sampler gather or --opset 17, and please report it with the checkpoint's name.",
        )
    return worst


def match(first: tuple[Array, Array, Array], second: tuple[Array, Array, Array], side: float) -> Agreement:
    """Pair detections without regard to their order, which near-ties swap.

    Args:
        first: labels (K,), boxes (K, 4), scores (K,) of one photo, here those that are right.
        second: the same of the other side.
        side: the longer side that boxes are measured on.
    """
    labels, boxes, scores = first
    label_differs = labels[:, None] != second[0]
    box_error = np.abs(boxes[:, None] - second[1]).max(axis=2)
    score_error = np.abs(scores[:, None] - second[2])
    cost = box_error / (BOX_TOLERANCE * side) + score_error / SCORE_TOLERANCE
    cost[label_differs | (box_error > BOX_TOLERANCE * side) | (score_error > SCORE_TOLERANCE)] = np.inf
    pairs = []
    for row in np.argsort(-scores, kind="stable"):
        column = int(np.argmin(cost[row]))
        if np.isfinite(cost[row, column]):
            pairs.append((int(row), column))
            cost[:, column] = np.inf
    matched = {row for row, _ in pairs}
    return Agreement(
        matched=len(pairs),
        total=len(labels),
        score_error=max((float(score_error[pair]) for pair in pairs), default=0.0),
        box_error=max((float(box_error[pair]) for pair in pairs), default=0.0),
        missed_score=max((float(score) for row, score in enumerate(scores) if row not in matched), default=0.0),
        cut=float(second[2].min(initial=np.inf)),
    )


def drawn_picture(height: int = 480, width: int = 640) -> Pixels:
    """A picture with edges, colours and textures, for when nobody gives a photo; always the same."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    picture = np.stack([rows / height, columns / width, 0.5 + 0.5 * np.sin(columns / 9 + rows / 31)], axis=-1)
    generator = np.random.default_rng(0)
    for _ in range(24):
        centre, radius = generator.random(2) * (height, width), 12 + 60 * generator.random()
        inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        picture[inside] = 0.3 * picture[inside] + 0.7 * generator.random(3)
    picture += 0.04 * generator.standard_normal(picture.shape)
    return (picture.clip(0, 1) * 255).astype(np.uint8)


def _agreement(model: RTDETRv2, runtime: OnnxRuntime, contract: ModelContract, photo: Pixels, batch: int) -> Agreement:
    images, _ = Preprocessor(contract)([photo[:, ::-1] if index % 2 else photo for index in range(batch)])
    height, width = contract.input_size
    sizes = np.array([[width, height]] * batch, np.int64)
    feeds: dict[str, Array] = {contract.input_name: images}
    if contract.sizes_name:
        feeds[contract.sizes_name] = sizes
    with torch.inference_mode():
        logits, boxes = model(torch.from_numpy(images))
        expected = _numpy(detections(logits, boxes, torch.from_numpy(sizes), contract.top_k))
    outputs = runtime.run(feeds)
    if contract.output_form == "raw":
        logits, boxes = (torch.from_numpy(outputs[contract.output(role)]) for role in ("logits", "boxes"))
        found = _numpy(detections(logits, boxes, torch.from_numpy(sizes), contract.top_k))
    else:
        found = tuple(outputs[contract.output(role)] for role in ("labels", "boxes", "scores"))
    each = [
        match(tuple(part[i] for part in expected), tuple(part[i] for part in found), max(height, width))
        for i in range(batch)
    ]
    return max(each, key=lambda agreement: (not agreement.holds, agreement.box_error))


def _numpy(parts: tuple[torch.Tensor, ...]) -> tuple[Array, ...]:
    return tuple(part.numpy() for part in parts)
