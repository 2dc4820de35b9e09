"""The weights that training starts from; as RT-DETRv2's own code chooses them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from detrt.models.attention import DeformableAttention
from detrt.models.layers import MLP
from detrt.models.rtdetrv2 import RTDETRv2

CHANCE = 0.01  # of each class in each answer, before anything is learnt


def initialise(model: RTDETRv2) -> None:
    """Draw all weights anew; nearly no answer claims an object, and every box is its anchor."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, DeformableAttention):
            _look_around(module)
    decoder = model.decoder
    nn.init.normal_(decoder.denoising_class_embed.weight)
    for scores in (decoder.enc_score_head, *decoder.dec_score_head):
        nn.init.constant_(scores.bias, -math.log((1 - CHANCE) / CHANCE))
    for boxes in (decoder.enc_bbox_head, *decoder.dec_bbox_head):
        assert isinstance(boxes, MLP)
        last = boxes.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)


def _look_around(attention: DeformableAttention) -> None:
    """Each head looks into a direction of its own, each point a step further (Deformable DETR, arXiv 2010.04159)."""
    angle = torch.arange(attention.heads) * (2 * math.pi / attention.heads)
    direction = torch.stack([angle.cos(), angle.sin()], dim=-1)
    direction = direction / direction.abs().amax(-1, keepdim=True)
    steps = torch.cat([torch.arange(1, count + 1) for count in attention.points])
    bias: Tensor = direction[:, None, :] * steps[None, :, None]
    nn.init.zeros_(attention.sampling_offsets.weight)
    nn.init.zeros_(attention.attention_weights.weight)
    with torch.no_grad():
        attention.sampling_offsets.bias.copy_(bias.flatten())
