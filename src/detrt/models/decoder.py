"""The decoder: the best cells become queries, and a few layers refine their boxes and classes."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from detrt.models.attention import DeformableAttention, Shapes
from detrt.models.layers import MLP, ConvNorm
from detrt.models.rows import take_rows
from detrt.models.variants import STRIDES, Variant

ANCHOR_SIZE = 0.05  # side of the finest level's anchors, of the image; doubles with each level
ANCHOR_MARGIN = 0.01  # an anchor with a coordinate closer to 0 or 1 than this is not used
SIGMOID_MARGIN = 1e-5  # probabilities are held this far from 0 and 1 before their logit is taken
LOGIT_LIMIT = math.log((1 - SIGMOID_MARGIN) / SIGMOID_MARGIN)


class Decoder(nn.Module):
    """Three levels (N, encoder_width, h, w) to logits (N, Q, classes) and boxes (N, Q, 4; cx, cy, w, h in 0..1)."""

    anchors: Tensor
    valid_mask: Tensor

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        width = variant.hidden
        self.queries = variant.queries
        self.input_proj = nn.ModuleList(ConvNorm(variant.encoder_width, width) for _ in STRIDES)
        self.decoder = DecoderLayers(variant)
        self.denoising_class_embed = nn.Embedding(variant.classes + 1, width)  # only training uses it
        self.query_pos_head = MLP(4, 2 * width, width)
        self.enc_output = nn.Sequential(OrderedDict(proj=nn.Linear(width, width), norm=nn.LayerNorm(width)))
        self.enc_score_head = nn.Linear(width, variant.classes)
        self.enc_bbox_head = MLP(width, width, width, 4)
        self.dec_score_head = nn.ModuleList(nn.Linear(width, variant.classes) for _ in range(variant.layers))
        self.dec_bbox_head = nn.ModuleList(MLP(width, width, width, 4) for _ in range(variant.layers))
        anchors, valid = anchor_logits(variant.size)
        self.register_buffer("anchors", anchors)
        self.register_buffer("valid_mask", valid)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        projected = [project(level) for project, level in zip(self.input_proj, levels, strict=True)]
        shapes = [(level.shape[2], level.shape[3]) for level in projected]
        memory = torch.cat([level.flatten(2).transpose(1, 2) for level in projected], dim=1)

        queries, box_logits = self._select(memory)
        evaluated = self.decoder.layers[: self.decoder.evaluated]
        for layer, head in zip(evaluated, self.dec_bbox_head, strict=False):
            boxes = box_logits.sigmoid()
            queries = layer(queries, boxes, self.query_pos_head(boxes), memory, shapes)
            box_logits = head(queries) + limited(box_logits)
        return self.dec_score_head[self.decoder.evaluated - 1](queries), box_logits.sigmoid()

    def _select(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The cells that score best in any class: their features, and their boxes as logits."""
        candidates = self.enc_output(memory * self.valid_mask.to(memory))
        best = self.enc_score_head(candidates).amax(-1).topk(self.queries).indices
        queries = take_rows(candidates, best)
        anchors = take_rows(self.anchors.expand(len(memory), -1, -1), best)
        return queries, self.enc_bbox_head(queries) + anchors


class DecoderLayers(nn.Module):
    """The layers; those from `evaluated` on are in the checkpoint and never run."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(variant) for _ in range(variant.layers))
        self.evaluated = variant.evaluated


class DecoderLayer(nn.Module):
    """Attention among queries, attention to the feature maps, feed-forward; a residual and a norm behind each."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        width = variant.hidden
        self.self_attn = nn.MultiheadAttention(width, variant.heads, batch_first=True)
        self.cross_attn = DeformableAttention(variant)
        self.linear1 = nn.Linear(width, variant.feedforward)
        self.linear2 = nn.Linear(variant.feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, queries: Tensor, boxes: Tensor, position: Tensor, memory: Tensor, shapes: Shapes) -> Tensor:
        placed = queries + position
        attended, _ = self.self_attn(placed, placed, queries, need_weights=False)
        queries = self.norm1(queries + attended)
        queries = self.norm2(queries + self.cross_attn(queries + position, boxes, memory, shapes))
        fed: Tensor = self.norm3(queries + self.linear2(functional.relu(self.linear1(queries))))
        return fed


def limited(logits: Tensor) -> Tensor:
    """What the official `inverse_sigmoid(sigmoid(x))` gives: x, held within ±log((1 - 1e-5) / 1e-5)."""
    return logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)


def anchor_logits(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """One box for each cell of each level, before the sigmoid.

    Returns:
        anchors (1, cells, 4): logits of the cell's centre and of 0.05 * 2^level for width and height; infinity where
        any of the four is outside of 0.01..0.99.
        valid (1, cells, 1): bool, where none is.
    """
    levels = []
    for level, stride in enumerate(STRIDES):
        height, width = (side // stride for side in size)
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        side = torch.full((height, width), ANCHOR_SIZE * 2**level)
        levels.append(torch.stack([(columns + 0.5) / width, (rows + 0.5) / height, side, side], dim=-1).view(-1, 4))
    boxes = torch.cat(levels)[None]
    valid = ((boxes > ANCHOR_MARGIN) & (boxes < 1 - ANCHOR_MARGIN)).all(-1, keepdim=True)
    return torch.where(valid, boxes.logit(), torch.inf), valid
