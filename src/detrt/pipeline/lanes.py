"""Which way a detector's photos go."""

from __future__ import annotations

import logging
from typing import Any

from detrt.detector import Detector
from detrt.errors import EngineError, MissingExtraError
from detrt.pipeline.host import HostLane
from detrt.pipeline.lane import Lane
from detrt.stages import StageTimes

logger = logging.getLogger("detrt.pipeline")


def lane_of(detector: Detector, batch: int, times: StageTimes) -> Lane[Any]:
    """The device's lane where the runtime has a device path and the extra `gpu` is here, else the host's."""
    if hasattr(detector.runtime, "session"):
        from detrt.pipeline.device import device_lane

        try:
            return device_lane(detector, batch, times)
        except (MissingExtraError, EngineError) as reason:
            logger.warning("photos are resized on the CPU, which is slower: %s", reason)
    return HostLane(detector, batch, times)
