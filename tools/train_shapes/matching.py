"""Which answer is to become which object: one answer an object for the decoder, several cells for the encoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from tools.train_shapes.boxes import generalized_iou, iou
from tools.train_shapes.forward import Targets
from torch import Tensor

CLASS_COST, BOX_COST, GIOU_COST = 2.0, 5.0, 2.0  # RT-DETR's HungarianMatcher
ALPHA, GAMMA = 0.25, 2.0  # its focal cost
NEVER = 1e9

CELLS = 6  # that an object is given to
IOU_POWER = 4.0


def matched(logits: Tensor, boxes: Tensor, targets: Targets) -> Tensor:
    """The answer for each object: the cheapest pair first, then the cheapest of what is left.

    Not the cheapest sum, as the Hungarian method has it, but with few objects nearly the same, and all on the GPU.

    Args:
        logits: (..., N, Q, classes).
        boxes: (..., N, Q, 4).
        targets: of the N pictures.

    Returns:
        (..., N, T), indices of answers; any index where there is no object.
    """
    cost = costs(logits, boxes, targets)
    shape, queries = cost.shape[:-2], cost.shape[-2]
    cost = cost.flatten(0, -3)
    room = cost.shape[-1]
    chosen = cost.new_zeros((len(cost), room), dtype=torch.int64)
    rows, columns = torch.arange(queries, device=cost.device), torch.arange(room, device=cost.device)
    for _ in range(room):
        least, at = cost.flatten(1).min(1)
        query, target = at // room, at % room
        here = columns == target[:, None]
        chosen = torch.where(here & (least < NEVER)[:, None], query[:, None], chosen)
        cost = cost.masked_fill((rows == query[:, None])[:, :, None] | here[:, None, :], NEVER)
    return chosen.view(*shape, room)


def costs(logits: Tensor, boxes: Tensor, targets: Targets) -> Tensor:
    """(..., N, Q, T): how badly each answer fits each object; NEVER where there is no object."""
    scores = logits.detach().sigmoid()
    index = targets.labels.clamp(min=0)[:, None, :].expand(*scores.shape[:-1], -1)
    chance = scores.gather(-1, index)
    present = ALPHA * (1 - chance) ** GAMMA * -(chance + 1e-8).log()
    absent = (1 - ALPHA) * chance**GAMMA * -(1 - chance + 1e-8).log()
    pairs = boxes.detach()[..., :, None, :], targets.boxes[:, None, :, :]
    distance = (pairs[0] - pairs[1]).abs().sum(-1)
    cost = CLASS_COST * (present - absent) + BOX_COST * distance - GIOU_COST * generalized_iou(*pairs)
    return cost.masked_fill(~targets.real[:, None, :], NEVER)


@dataclass(frozen=True)
class Given:
    """What each cell is to become.

    Attributes:
        target: (N, cells), index of its object.
        quality: (N, cells), 0 where it has none, else how good an answer it may claim to be, up to 1.
    """

    target: Tensor
    quality: Tensor


def given_to_cells(logits: Tensor, boxes: Tensor, centres: Tensor, targets: Targets) -> Given:
    """Each object to its best cells (task-aligned assignment, TOOD, arXiv 2108.07755): many answers, a quick start.

    Args:
        logits: (N, cells, classes).
        boxes: (N, cells, 4).
        centres: (cells, 2), x and y in 0..1; a cell takes only objects whose box holds its centre.
        targets: the objects.
    """
    index = targets.labels.clamp(min=0)[:, None, :].expand(-1, logits.shape[1], -1)
    overlap = iou(boxes.detach()[:, :, None], targets.boxes[:, None])  # (N, cells, T)
    offset = (centres[None, :, None] - targets.boxes[:, None, :, :2]).abs()
    allowed = (offset < targets.boxes[:, None, :, 2:] / 2).all(-1) & targets.real[:, None]
    fit = logits.detach().sigmoid().gather(-1, index) * overlap**IOU_POWER
    fit = (fit + 1e-9) * allowed
    least = fit.topk(CELLS, dim=1).values[:, -1:]
    fit = torch.where(fit >= least, fit, 0.0)
    best = fit.amax(1, keepdim=True)
    quality = fit / best.clamp(min=1e-9) * (overlap * (fit > 0)).amax(1, keepdim=True)
    strongest, target = fit.max(-1)
    chosen = quality.gather(-1, target[..., None])[..., 0]
    return Given(target, torch.where(strongest > 0, chosen, 0.0))
