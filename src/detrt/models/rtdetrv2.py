"""RT-DETRv2, assembled, and the decoding of its outputs into detections."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detrt.errors import ModelError
from detrt.models.backbone import Backbone
from detrt.models.decoder import Decoder
from detrt.models.encoder import Encoder
from detrt.models.rows import take_rows
from detrt.models.variants import Variant


class RTDETRv2(nn.Module):
    """Images (N, 3, H, W), RGB in 0..1, to logits (N, Q, classes) and boxes (N, Q, 4; cx, cy, w, h in 0..1).

    Parameters and buffers have the official names, so an official state dict loads as it is. The model is for
    inference: it is made in evaluation mode, for one input size (`variant.size`).
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant = variant
        self.backbone = Backbone(variant)
        self.encoder = Encoder(variant)
        self.decoder = Decoder(variant)
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run.

        Raises:
            ModelError: the images do not have the size that the model was made for.
        """
        height, width = images.shape[2:]
        if (height, width) != self.variant.size:
            raise ModelError(
                f"The model was made for {self.variant.size[0]}x{self.variant.size[1]}, "
                f"but the images are {height}x{width}.",
                "Resize the images, or make the model with variant.sized((height, width)).",
            )
        logits, boxes = self.decoder(self.encoder(self.backbone(images)))
        return logits, boxes


def detections(logits: Tensor, boxes: Tensor, sizes: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best `count` of all pairs of query and class.

    The sigmoid is monotonic, so the choice is made on logits and only the chosen ones are turned into scores.

    Args:
        logits: (N, Q, classes).
        boxes: (N, Q, 4) as cx, cy, w, h in 0..1.
        sizes: (N, 2) int64, width and height of the original images.
        count: at most Q * classes.

    Returns:
        labels (N, count) int64; boxes (N, count, 4) as x1, y1, x2, y2 in pixels; scores (N, count), descending.
    """
    queries, classes = logits.shape[1:]
    best, index = logits.reshape(-1, queries * classes).topk(count)
    query = torch.div(index, classes, rounding_mode="trunc")
    centre, extent = torch.split(take_rows(boxes, query), 2, dim=-1)
    half = extent * 0.5
    corners = torch.cat((centre - half, centre + half), dim=-1)
    scale = sizes.to(boxes.dtype)
    return index % classes, corners * torch.cat((scale, scale), dim=-1).unsqueeze(1), best.sigmoid()
