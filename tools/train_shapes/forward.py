"""The model as it is trained: every layer's answer, all cells' answers, and queries that start from spoilt boxes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from detrt.models.decoder import DecoderLayer, limited
from detrt.models.rtdetrv2 import RTDETRv2

GROUPS = 5  # times that every object is given to the decoder spoilt a little, and spoilt much
LABEL_NOISE = 0.25  # the share of spoilt objects that get another label
BOX_NOISE = 0.5  # of half the box: how far its sides are moved at most; those spoilt much, once to twice as far
SMALLEST = 1e-3  # of the picture: a spoilt box has at least this width and height


@dataclass(frozen=True)
class Targets:
    """The objects of a batch; each picture has room for T.

    Attributes:
        labels: (N, T) int64, -1 for no object.
        boxes: (N, T, 4); cx, cy, w, h in 0..1, some box where there is no object.
    """

    labels: Tensor
    boxes: Tensor

    @property
    def real(self) -> Tensor:
        """(N, T) bool: where there is an object."""
        return self.labels >= 0


@dataclass(frozen=True)
class Answers:
    """What the model says of a batch, with gradients; boxes are cx, cy, w, h in 0..1.

    Attributes:
        cell_logits, cell_boxes: (N, cells, classes) and (N, cells, 4), of the encoder.
        logits, boxes: (layers, N, Q, classes) and (layers, N, Q, 4), of the decoder.
        spoilt_logits, spoilt_boxes: (layers, N, 2 * GROUPS * T, classes) and (..., 4): of spoilt objects, GROUPS times
            the T spoilt a little, then the T spoilt much.
    """

    cell_logits: Tensor
    cell_boxes: Tensor
    logits: Tensor
    boxes: Tensor
    spoilt_logits: Tensor
    spoilt_boxes: Tensor


class Training(nn.Module):
    """Runs a model for training: the same layers in the same order as `RTDETRv2.forward`, plus what only losses read.

    Everything has a fixed shape and nothing waits for the GPU, so that a step can be recorded as one CUDA graph.
    """

    unseen: Tensor

    def __init__(self, model: RTDETRv2, room: int) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("unseen", unseen(model.variant.queries, room), persistent=False)

    def forward(self, images: Tensor, targets: Targets) -> Answers:
        """Images (N, 3, H, W) in 0..1; see `Answers`."""
        decoder = self.model.decoder
        levels = self.model.encoder(self.model.backbone(images))
        projected = [project(level) for project, level in zip(decoder.input_proj, levels, strict=True)]
        shapes = [(level.shape[2], level.shape[3]) for level in projected]
        memory = torch.cat([level.flatten(2).transpose(1, 2) for level in projected], dim=1)

        candidates = decoder.enc_output(memory)
        with torch.autocast(memory.device.type, enabled=False):  # boxes need more than bfloat16's eight bits
            candidates = candidates.float()
            cell_logits = decoder.enc_score_head(candidates)
            cell_boxes = decoder.enc_bbox_head(candidates) + decoder.anchors
        best = cell_logits.detach().amax(-1).topk(decoder.queries).indices[..., None]
        queries = candidates.detach().gather(1, best.expand(-1, -1, candidates.shape[-1]))
        box_logits = cell_boxes.detach().gather(1, best.expand(-1, -1, 4))

        spoilt_labels, spoilt_boxes = spoil(targets, self.model.variant.classes)
        queries = torch.cat([decoder.denoising_class_embed(spoilt_labels), queries], dim=1)
        box_logits = torch.cat([spoilt_boxes.logit(), box_logits], dim=1)

        logits, boxes = [], []
        heads = zip(decoder.decoder.layers, decoder.dec_score_head, decoder.dec_bbox_head, strict=True)
        for layer, score_head, box_head in heads:
            start = box_logits.detach()
            place = start.sigmoid()
            assert isinstance(layer, DecoderLayer)
            queries = _masked(layer, queries, place, decoder.query_pos_head(place), memory, shapes, self.unseen)
            with torch.autocast(memory.device.type, enabled=False):
                queries = queries.float()
                box_logits = box_head(queries) + limited(start)
                logits.append(score_head(queries))
                boxes.append(box_logits.sigmoid())
        spoilt = spoilt_labels.shape[1]
        all_logits, all_boxes = torch.stack(logits), torch.stack(boxes)
        return Answers(
            cell_logits,
            cell_boxes.sigmoid(),
            all_logits[:, :, spoilt:],
            all_boxes[:, :, spoilt:],
            all_logits[:, :, :spoilt],
            all_boxes[:, :, :spoilt],
        )


def spoil(targets: Targets, classes: int) -> tuple[Tensor, Tensor]:
    """Objects with some labels exchanged and their boxes' sides moved.

    Contrastive denoising (DINO, arXiv 2203.03605).

    Returns:
        labels (N, 2 * GROUPS * T) in 0..classes, the last for no object; boxes (N, 2 * GROUPS * T, 4), cx, cy, w, h.
    """
    labels = targets.labels.repeat(1, 2 * GROUPS)
    other = torch.randint_like(labels, classes)
    labels = torch.where(torch.rand_like(labels, dtype=torch.float32) < LABEL_NOISE, other, labels)
    labels = torch.where(targets.real.repeat(1, 2 * GROUPS), labels, classes)

    boxes = targets.boxes.repeat(1, 2 * GROUPS, 1)
    centre, extent = torch.split(boxes, 2, dim=-1)
    corners = torch.cat([centre - extent / 2, centre + extent / 2], dim=-1)
    room = targets.labels.shape[1]
    much = (torch.arange(2 * GROUPS * room, device=boxes.device) // room % 2)[:, None]
    far = (torch.rand_like(corners) + much) * torch.where(torch.rand_like(corners) < 0.5, -1.0, 1.0)
    corners = (corners + far * BOX_NOISE * torch.cat([extent, extent], dim=-1)).clamp(0, 1)
    low, high = torch.minimum(corners[..., :2], corners[..., 2:]), torch.maximum(corners[..., :2], corners[..., 2:])
    spoilt = torch.cat([(low + high) / 2, high - low], dim=-1)
    return labels, spoilt.clamp(SMALLEST, 1 - SMALLEST)


def unseen(queries: int, room: int) -> Tensor:
    """Which query may not look at which: (S + Q, S + Q) bool, with S = 2 * GROUPS * room spoilt ones first.

    The model's own queries see no spoilt object, which would tell them the answer; nor does a group see another.
    """
    group = torch.arange(2 * GROUPS * room) // (2 * room)
    group = torch.cat([group, torch.full((queries,), GROUPS)])
    return (group[:, None] != group) & (group != GROUPS)


def _masked(
    layer: DecoderLayer,
    queries: Tensor,
    boxes: Tensor,
    position: Tensor,
    memory: Tensor,
    shapes: list[tuple[int, int]],
    hidden: Tensor,
) -> Tensor:
    """`DecoderLayer.forward` with a mask."""
    placed = queries + position
    attended, _ = layer.self_attn(placed, placed, queries, attn_mask=hidden, need_weights=False)
    queries = layer.norm1(queries + attended)
    queries = layer.norm2(queries + layer.cross_attn(queries + position, boxes, memory, shapes))
    fed: Tensor = layer.norm3(queries + layer.linear2(layer.linear1(queries).relu()))
    return fed
