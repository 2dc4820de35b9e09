"""The decoder, deployed: the layers that run, on rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from detrt.models.attention import Sampler
from detrt.models.decoder import Decoder, DecoderLayer, limited
from detrt.models.deployed.fold import Affine, stacked
from detrt.models.deployed.heads import Heads, projections
from detrt.models.deployed.sampling import DeployedSampling, Values
from detrt.models.rows import take_rows
from detrt.models.variants import STRIDES, Variant

UNUSED = 1e4  # for the infinite logit of an anchor that is not used: finite in float16, and 1.0 after the sigmoid


class DeployedDecoder(nn.Module):
    """`Decoder`.

    Memory has two readers, both linear: the projection of candidates and the value projections of every layer. One
    convolution a level computes them all from the encoder's output.
    """

    anchors: Tensor
    valid: Tensor
    bias: Tensor

    def __init__(self, decoder: Decoder, variant: Variant, sampler: Sampler) -> None:
        super().__init__()
        self.queries = variant.queries
        layers = list(decoder.decoder.layers)[: variant.evaluated]
        candidate = Affine.of(decoder.enc_output.proj)
        readers = [candidate.without_bias(), *(Affine.of(layer.cross_attn.value_proj) for layer in layers)]
        self.memory = nn.ModuleList(stacked(*readers).after(Affine.of(p)).conv() for p in decoder.input_proj)
        self.values = Values(variant, sampler)
        self.register_buffer("valid", decoder.valid_mask.float())
        self.register_buffer("bias", candidate.bias.float())
        self.register_buffer("anchors", decoder.anchors[0].clamp(max=UNUSED))
        self.enc_norm, self.enc_score_head = decoder.enc_output.norm, decoder.enc_score_head
        self.enc_bbox_head, self.query_pos_head = decoder.enc_bbox_head, decoder.query_pos_head
        self.layers = nn.ModuleList(DeployedLayer(layer, variant, sampler) for layer in layers)
        self.dec_bbox_head = decoder.dec_bbox_head[: variant.evaluated]
        self.dec_score_head = decoder.dec_score_head[variant.evaluated - 1]

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        candidates, *values = self.values([project(level) for project, level in zip(self.memory, levels)])
        queries, box_logits = self._select(candidates)
        for layer, head, value in zip(self.layers, self.dec_bbox_head, values):
            boxes = box_logits.sigmoid()
            queries = layer(queries, boxes, self.query_pos_head(boxes), value)
            box_logits = head(queries) + box_logits
        logits = self.dec_score_head(queries)
        return logits.reshape(-1, self.queries, logits.shape[1]), box_logits.sigmoid().reshape(-1, self.queries, 4)

    def _select(self, candidates: Tensor) -> tuple[Tensor, Tensor]:
        cells, width = candidates.shape[1:]
        rows = self.enc_norm((candidates * self.valid + self.bias).reshape(-1, width))
        best = self.enc_score_head(rows).amax(-1).reshape(-1, cells).topk(self.queries).indices
        queries = take_rows(rows.reshape(-1, cells, width), best).reshape(-1, width)
        return queries, limited(self.enc_bbox_head(queries) + self.anchors[best.reshape(-1)])


class DeployedLayer(nn.Module):
    """`DecoderLayer`, on rows (N * Q, C)."""

    def __init__(self, layer: DecoderLayer, variant: Variant, sampler: Sampler) -> None:
        super().__init__()
        query_key, value = projections(layer.self_attn)
        self.qk_proj, self.v_proj = query_key.linear(), value.linear()
        self.self_attn = Heads(layer.self_attn, variant.queries)
        self.cross_attn = DeployedSampling(layer.cross_attn, variant, sampler)
        self.linear1, self.linear2 = layer.linear1, layer.linear2
        self.norm1, self.norm2, self.norm3 = layer.norm1, layer.norm2, layer.norm3

    def forward(self, queries: Tensor, boxes: Tensor, position: Tensor, value: object) -> Tensor:
        heads = self.self_attn
        attended = heads(*heads.split(self.qk_proj(queries + position)), *heads.split(self.v_proj(queries)))
        queries = self.norm1(queries + attended)
        queries = self.norm2(queries + self.cross_attn(queries + position, boxes, value))
        fed: Tensor = self.norm3(queries + self.linear2(functional.relu(self.linear1(queries))))
        return fed
