"""Which way a detector's photos go."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from detrt.detector import Detector
from detrt.errors import ImageError, MissingExtraError
from detrt.pipeline.host import HostLane
from detrt.pipeline.lane import Lane
from detrt.stages import StageTimes

if TYPE_CHECKING:
    from detrt.images.gpu.jpeg import DecodesJpegs
    from detrt.pipeline.device import GpuRuntime
    from detrt.runtime.gpu import Gpu

logger = logging.getLogger("detrt.pipeline")


def lane_of(detector: Detector, batch: int, times: StageTimes) -> Lane[Any]:
    """The device's lane where there can be one, else the host's."""
    return device_lane_of(detector, batch, times) or HostLane(detector, batch, times)


def device_lane_of(detector: Detector, batch: int, times: StageTimes, *, alone: bool = False) -> Lane[Any] | None:
    """A lane on the GPU; None where the runtime has no device path, or the extra `gpu` is not here.

    Args:
        detector: whose photos.
        batch: photos a group.
        times: to be filled.
        alone: groups come one at a time, each of which somebody waits for.

    Raises:
        ModelError: the engine does not take such a batch.
    """
    if not hasattr(detector.runtime, "session"):
        return None
    from detrt.pipeline.device import device_lane

    runtime: GpuRuntime = detector.runtime  # type: ignore[assignment]  # it has sessions, so it is on a GPU
    runtime.gpu.use()
    try:
        return device_lane(detector, batch, times, decoder=_chip(runtime.gpu), alone=alone)
    except MissingExtraError as reason:
        logger.warning("photos are resized on the CPU, which is slower: %s", reason)
        return None


@cache
def _chip(gpu: Gpu) -> Callable[[], DecodesJpegs] | None:
    """What makes decoders of the JPEG chip of a GPU that is in use: making one to see takes long.

    None where the GPU has no chip (GeForce), or nvJPEG is not here.
    """
    from detrt.images.gpu.nvjpeg import NvJpeg

    try:
        NvJpeg(gpu).close()
    except (ImageError, MissingExtraError) as reason:
        logger.info("JPEGs are decoded on the CPU: %s", reason)
        return None
    return partial(NvJpeg, gpu)
