"""The published RT-DETRv2 models as data, and one of ours: what differs between them, and nothing else.

Figures are those of the configurations in lyuwenyu/RT-DETR (rtdetrv2_pytorch/configs/rtdetrv2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from detrt.errors import UsageError

Sampling = Literal["bilinear", "discrete"]

STRIDES = (8, 16, 32)
MULTIPLE = STRIDES[-1]  # every level must divide the input evenly
SMALLEST = 2 * MULTIPLE  # bilinear sampling reads two cells along each axis of every level


@dataclass(frozen=True)
class Variant:
    """One shape of RT-DETRv2.

    Attributes:
        name: `r18vd`, ...; `_dsp` marks discrete sampling.
        blocks: residual blocks in each of the backbone's four stages.
        bottleneck: three convolutions a block (ResNet-50 and up) instead of two.
        frozen_norm: the backbone's norms hold buffers only, without `num_batches_tracked`.
        stem: channels that the first stage starts from; the stages have 1, 2, 4 and 8 times as many (times 4 with
            bottlenecks).
        encoder_width, encoder_feedforward: channels of the hybrid encoder and of its transformer layer's inside.
        encoder_expansion: channels inside a fusion block, as a part of `encoder_width`.
        hidden, feedforward: channels of the decoder and of its layers' inside.
        layers: decoder layers that the checkpoint holds.
        evaluated: how many of them run; the last of those gives the result.
        sampling: how the decoder reads the feature maps: `bilinear`, or `discrete` (nearest cell).
        points: sampling points of each head, by level.
        size: height and width of the input that it was trained for.
    """

    name: str
    blocks: tuple[int, int, int, int]
    layers: int
    evaluated: int
    bottleneck: bool = False
    frozen_norm: bool = False
    stem: int = 64
    encoder_width: int = 256
    encoder_feedforward: int = 1024
    encoder_expansion: float = 1.0
    hidden: int = 256
    feedforward: int = 1024
    heads: int = 8
    points: tuple[int, ...] = (4, 4, 4)
    queries: int = 300
    classes: int = 80
    sampling: Sampling = "bilinear"
    size: tuple[int, int] = (640, 640)

    @property
    def backbone_channels(self) -> tuple[int, int, int]:
        """Channels of the three levels that leave the backbone, at strides 8, 16 and 32."""
        first = 2 * self.stem * (4 if self.bottleneck else 1)
        return first, 2 * first, 4 * first

    def sized(self, size: tuple[int, int]) -> Variant:
        """The same for inputs of `size`, height and width.

        Raises:
            UsageError: a side is no multiple of 32, or less than 64, or there are fewer cells than queries.
        """
        if any(side % MULTIPLE or side < SMALLEST for side in size):
            raise UsageError(
                f"The input size {size[0]}x{size[1]} is not one that RT-DETRv2 can take.",
                f"Give a height and a width that are multiples of {MULTIPLE} and at least {SMALLEST}.",
            )
        cells = sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES)
        if cells < self.queries:
            raise UsageError(
                f"The input size {size[0]}x{size[1]} gives {cells} cells, and {self.name} picks {self.queries}.",
                "Give a larger size; 128x128 is enough for 300 queries.",
            )
        return replace(self, size=size)


R18VD = Variant("r18vd", blocks=(2, 2, 2, 2), layers=3, evaluated=3, encoder_expansion=0.5)
R34VD = Variant("r34vd", blocks=(3, 4, 6, 3), layers=4, evaluated=4, encoder_expansion=0.5)
R50VD = Variant("r50vd", blocks=(3, 4, 6, 3), layers=6, evaluated=6, bottleneck=True, frozen_norm=True)
R50VD_M = replace(R50VD, name="r50vd_m", encoder_expansion=0.5, evaluated=3)
R101VD = replace(R50VD, name="r101vd", blocks=(3, 4, 23, 3), encoder_width=384, encoder_feedforward=2048)

SHAPES = replace(
    R18VD,
    name="shapes",
    stem=24,
    encoder_width=128,
    encoder_feedforward=256,
    hidden=128,
    feedforward=256,
    queries=100,
    classes=10,
    size=(320, 320),
)
"""Ours, and small: 3.6 million weights, trained on drawn shapes (docs/shapes.md)."""

_BILINEAR = (R18VD, R34VD, R50VD_M, R50VD, R101VD)
_DISCRETE = tuple(replace(variant, name=f"{variant.name}_dsp", sampling="discrete") for variant in _BILINEAR)

VARIANTS: dict[str, Variant] = {variant.name: variant for variant in (*_BILINEAR, *_DISCRETE, SHAPES)}


def variant_named(name: str) -> Variant:
    """The variant called `name`; `rtdetrv2_r18vd` is `r18vd`.

    Raises:
        UsageError: there is none of that name.
    """
    variant = VARIANTS.get(name.removeprefix("rtdetrv2_"))
    if variant is None:
        raise UsageError(f"There is no RT-DETRv2 variant '{name}'.", f"Use one of: {', '.join(VARIANTS)}.")
    return variant
