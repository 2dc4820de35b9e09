"""The model as it is exported: the same function in fewer operations.

Linear steps in a row become one: norms go into convolutions, RepVGG pairs into one kernel, an average pool into the
projection behind it, the decoder's input projection into the value projections of all layers. What does not depend on
the image becomes a constant: anchors, position embedding. Queries and cells are rows of one table, (N * K, C), so a
linear layer is one `Gemm`.
"""

from __future__ import annotations

from torch import Tensor, nn

from detrt.contract import OutputForm
from detrt.models.attention import Sampler
from detrt.models.deployed.decoder import DeployedDecoder
from detrt.models.deployed.encoder import deployed_encoder
from detrt.models.deployed.fold import folded
from detrt.models.rtdetrv2 import RTDETRv2, detections


class Deployed(nn.Module):
    """RT-DETRv2 in its exported form: the same outputs as `RTDETRv2`, or detections.

    Args:
        model: left as it is; weights that need no folding are shared with it.
        output: `raw` for logits and boxes, `detections` to decode them (`rtdetrv2.detections`).
        single: for one image a run and no more, which needs fewer steps; else for any batch.
        sampler: how bilinear sampling is written; models with discrete sampling always gather.
    """

    def __init__(
        self,
        model: RTDETRv2,
        output: OutputForm = "detections",
        sampler: Sampler = "grid-sample",
        *,
        single: bool = False,
    ) -> None:
        super().__init__()
        self.output = output
        self.queries = model.variant.queries
        self.backbone = folded(model.backbone)
        self.encoder = deployed_encoder(model.encoder, model.variant, single=single)
        self.decoder = DeployedDecoder(model.decoder, model.variant, sampler, single=single)
        self.eval()

    def forward(self, images: Tensor, orig_target_sizes: Tensor | None = None) -> tuple[Tensor, ...]:
        """Images (N, 3, H, W); sizes (N, 2) of width and height, where the output form is `detections`."""
        logits, boxes = self.decoder(self.encoder(self.backbone(images)))
        if self.output == "raw":
            return logits, boxes
        assert orig_target_sizes is not None
        return detections(logits, boxes, orig_target_sizes, self.queries)
