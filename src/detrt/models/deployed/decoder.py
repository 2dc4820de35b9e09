"""The decoder, deployed: the layers that run, on rows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from detrt.models.attention import Sampler
from detrt.models.decoder import Decoder, DecoderLayer, limited
from detrt.models.deployed.fold import Affine, shifted, stacked
from detrt.models.deployed.heads import Heads, projections
from detrt.models.deployed.plugin_sampling import LayerValues, PluginSampling
from detrt.models.deployed.sampling import MapSampling, MapValues, RowSampling, RowValues
from detrt.models.layers import MLP
from detrt.models.rows import take_rows
from detrt.models.variants import Variant

UNUSED = 1e4  # for the infinite logit of an anchor that is not used: finite in float16, and 1.0 after the sigmoid


class DeployedDecoder(nn.Module):
    """`Decoder`. Every row (N * Q, C) comes with the bias of the branch that will be added to it (`DeployedLayer`).

    Memory has two readers, both linear: the projection of candidates and the value projections of every layer. One
    convolution a level computes them all from the encoder's output.
    """

    anchors: Tensor
    valid: Tensor
    unused: Tensor

    def __init__(self, decoder: Decoder, variant: Variant, sampler: Sampler, *, single: bool) -> None:
        super().__init__()
        self.single, self.queries, self.cells = single, variant.queries, decoder.anchors.shape[1]
        layers = cast("list[DecoderLayer]", list(decoder.decoder.layers)[: variant.evaluated])
        heads = cast("list[MLP]", list(decoder.dec_bbox_head)[: variant.evaluated])
        shifts = [layer.self_attn.out_proj.bias.detach() for layer in layers]
        afters = [*shifts[1:], torch.zeros_like(shifts[0])]
        values, sampling = _ways(sampler, variant)

        candidate = Affine.of(decoder.enc_output[0])
        readers = stacked(candidate, *(Affine.of(layer.cross_attn.value_proj) for layer in layers))
        self.memory = nn.ModuleList(readers.after(Affine.of(project)).conv() for project in decoder.input_proj)
        self.values = values(variant, single=single)
        self.register_buffer("valid", decoder.valid_mask[0])
        self.register_buffer("unused", candidate.bias.float())
        self.register_buffer("anchors", decoder.anchors[0].clamp(max=UNUSED))
        self.enc_norm = shifted(cast(nn.LayerNorm, decoder.enc_output[1]), shifts[0])
        self.enc_score_head = Affine.of(decoder.enc_score_head).behind(shifts[0]).linear()
        self.enc_bbox_head = behind(decoder.enc_bbox_head, shifts[0])
        self.layers = nn.ModuleList(
            DeployedLayer(layer, decoder.query_pos_head, own, after, variant, sampling, single=single)
            for layer, own, after in zip(layers, shifts, afters, strict=True)
        )
        self.dec_bbox_head = nn.ModuleList(behind(head, after) for head, after in zip(heads, afters, strict=True))
        self.dec_score_head = decoder.dec_score_head[variant.evaluated - 1]

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        projected = [project(level) for project, level in zip(self.memory, levels, strict=True)]
        candidates, values = self.values(projected)
        queries, box_logits = self._select(candidates)
        for layer, head, value in zip(self.layers, self.dec_bbox_head, values, strict=True):
            boxes = box_logits.sigmoid()
            queries = layer(queries, boxes, value)
            box_logits = head(queries) + box_logits
        logits = self.dec_score_head(queries)
        return logits.reshape(-1, self.queries, logits.shape[1]), box_logits.sigmoid().reshape(-1, self.queries, 4)

    def _select(self, candidates: Tensor) -> tuple[Tensor, Tensor]:
        width = candidates.shape[1]
        if self.single:
            rows = self.enc_norm(torch.where(self.valid, candidates, self.unused))
            best = self.enc_score_head(rows).amax(-1).topk(self.queries).indices
            queries = rows[best]
        else:
            masked = torch.where(self.valid, candidates.reshape(-1, self.cells, width), self.unused)
            rows = self.enc_norm(masked.reshape(-1, width))
            best = self.enc_score_head(rows).amax(-1).reshape(-1, self.cells).topk(self.queries).indices
            queries = take_rows(rows.reshape(-1, self.cells, width), best).reshape(-1, width)
            best = best.reshape(-1)
        return queries, limited(self.enc_bbox_head(queries) + self.anchors[best])


class DeployedLayer(nn.Module):
    """`DecoderLayer` on rows (N * Q, C), with the query position made inside.

    Each residual sum takes its branch's bias from the rows that the branch is added to, so that product and sum are
    one operation: the norm before adds it, and whatever else reads those rows has it taken out of its own bias. The
    rows come with the self-attention's output bias (`own`), and go with that of the next layer (`after`).

    The query position meets the projection to queries and keys as a product of its own, made from its hidden layer.
    """

    def __init__(
        self,
        layer: DecoderLayer,
        position: MLP,
        own: Tensor,
        after: Tensor,
        variant: Variant,
        sampling: type[MapSampling | RowSampling | PluginSampling],
        *,
        single: bool,
    ) -> None:
        super().__init__()
        hidden, last = (Affine.of(part) for part in position.layers)
        query_key, value = projections(layer.self_attn)
        nothing = Affine(value.weight * 0, value.bias * 0)
        qkv = stacked(query_key, value).behind(own)
        placed = stacked(query_key.without_bias(), nothing).after(last).plus(qkv.bias)
        self.query_pos_hidden, self.query_pos = hidden.linear(), last.linear()
        self.placed_proj, self.qkv_proj = placed.linear(), qkv.onto()
        self.self_attn = Heads(layer.self_attn, variant.queries)
        self.out_proj = Affine.of(layer.self_attn.out_proj).onto()
        output = Affine.of(layer.cross_attn.output_proj)
        self.norm1 = shifted(layer.norm1, output.bias)
        self.cross_attn = sampling(layer.cross_attn, variant, output.bias, single=single)
        self.output_proj = output.onto()
        second = Affine.of(layer.linear2)
        self.norm2 = shifted(layer.norm2, second.bias)
        self.linear1 = Affine.of(layer.linear1).behind(second.bias).linear()
        self.linear2 = second.onto()
        self.norm3 = shifted(layer.norm3, after)

    def forward(self, queries: Tensor, boxes: Tensor, value: Any) -> Tensor:
        hidden = functional.relu(self.query_pos_hidden(boxes))
        projected = self.qkv_proj(self.placed_proj(hidden), queries)
        queries = self.norm1(self.out_proj(queries, self.self_attn(projected)))
        queries = self.norm2(self.output_proj(queries, self.cross_attn(queries + self.query_pos(hidden), boxes, value)))
        fed: Tensor = self.norm3(self.linear2(queries, functional.relu(self.linear1(queries))))
        return fed


def _ways(
    sampler: Sampler, variant: Variant
) -> tuple[type[MapValues | RowValues | LayerValues], type[MapSampling | RowSampling | PluginSampling]]:
    """How values are laid out, and how they are read."""
    if sampler == "plugin":
        return LayerValues, PluginSampling
    if sampler == "grid-sample" and variant.sampling == "bilinear":
        return MapValues, MapSampling
    return RowValues, RowSampling


def behind(head: MLP, shift: Tensor) -> MLP:
    """A copy of the head for rows that come with `shift` added to them."""
    result = copy.deepcopy(head)
    result.layers[0] = Affine.of(head.layers[0]).behind(shift).linear()
    return result
