"""What training makes small: scores that know how good their box is, and boxes' distance and overlap."""

from __future__ import annotations

import torch
from tools.train_shapes.boxes import generalized_iou, iou
from tools.train_shapes.forward import GROUPS, Answers, Targets
from tools.train_shapes.matching import given_to_cells, matched
from torch import Tensor
from torch.nn import functional

BOX_WEIGHT, GIOU_WEIGHT = 5.0, 2.0  # as RT-DETR has them, beside 1 for the class
POWER = 1.5  # of the matchability-aware loss (DEIM, arXiv 2412.04234), which replaces RT-DETR's varifocal loss

TERMS = ("cells", "decoder", "denoising")


def losses(answers: Answers, targets: Targets, centres: Tensor) -> Tensor:
    """One number each for the encoder's cells, the decoder's layers and the spoilt queries (TERMS); layers are summed.

    Args:
        answers: of the model.
        targets: of the batch.
        centres: (cells, 2), of the encoder's cells.
    """
    count = targets.real.sum().clamp(min=1).float()
    index = matched(answers.logits, answers.boxes, targets)
    decoder = _one_to_one(answers.logits, answers.boxes, index, targets, count)

    room = targets.labels.shape[1]
    many = Targets(targets.labels.repeat(1, GROUPS), targets.boxes.repeat(1, GROUPS, 1))
    little = torch.arange(2 * GROUPS * room, device=centres.device).view(GROUPS, 2, room)[:, 0].reshape(-1)
    own = little.expand(*answers.spoilt_logits.shape[:2], -1)
    exists = targets.real.repeat(1, 2 * GROUPS)[..., None]
    spoilt = answers.spoilt_logits.masked_fill(~exists, -30.0)  # rows of no object: a chance of 0, and no gradient
    denoising = _one_to_one(spoilt, answers.spoilt_boxes, own, many, GROUPS * count)
    return torch.stack([_cells(answers, targets, centres), decoder, denoising])


def score_loss(logits: Tensor, quality: Tensor) -> Tensor:
    """The sum over all scores of the binary cross-entropy with the quality (0 for a wrong answer), weighted.

    A right answer weighs 1, a wrong one as much as it is believed.
    """
    chance = logits.detach().sigmoid()
    weight = torch.where(quality > 0, 1.0, chance**POWER)
    entropy = functional.binary_cross_entropy_with_logits(logits, quality**POWER, reduction="none")
    return (weight * entropy).sum()


def _one_to_one(logits: Tensor, boxes: Tensor, index: Tensor, targets: Targets, count: Tensor) -> Tensor:
    """Of decoder answers (layers, N, Q, ...), where object t is to be answered by `index` (layers, N, t)."""
    classes = logits.shape[-1]
    chosen = boxes.gather(2, index[..., None].expand(*index.shape, 4))
    wanted = targets.boxes.expand_as(chosen)
    real = targets.real.expand_as(index).float()
    overlap = iou(chosen.detach(), wanted).clamp(min=0.01) * real
    place = (index * classes + targets.labels.clamp(min=0)).clamp(max=logits.shape[2] * classes - 1)
    place = torch.where(targets.real, place, logits.shape[2] * classes)  # one place more, for those of no object
    quality = logits.new_zeros((*logits.shape[:2], logits.shape[2] * classes + 1)).scatter(2, place, overlap)
    scores = score_loss(logits, quality[..., :-1].view_as(logits))
    return (scores + _box_loss(chosen, wanted, real)) / count


def _cells(answers: Answers, targets: Targets, centres: Tensor) -> Tensor:
    given = given_to_cells(answers.cell_logits, answers.cell_boxes, centres, targets)
    classes = answers.cell_logits.shape[-1]
    label = targets.labels.gather(1, given.target)
    kind = torch.arange(classes, device=label.device)
    quality = (kind == label[..., None]) * given.quality[..., None]
    wanted = targets.boxes.gather(1, given.target[..., None].expand(-1, -1, 4))
    scores = score_loss(answers.cell_logits, quality)
    return (scores + _box_loss(answers.cell_boxes, wanted, given.quality)) / given.quality.sum().clamp(min=1)


def _box_loss(boxes: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    distance = (boxes - wanted).abs().sum(-1)
    apart = 1 - generalized_iou(boxes, wanted)
    return ((BOX_WEIGHT * distance + GIOU_WEIGHT * apart) * weight).sum()
