"""AP of the same engine by the CPU's resize, the GPU's, and the GPU's decoder."""

from __future__ import annotations

import time
from pathlib import Path

from engines import engine_of

from detrt.detector import Detector
from detrt.evaluate.dataset import coco_dataset
from detrt.evaluate.scorer import score
from detrt.images.gpu.nvjpeg import NvJpeg
from detrt.images.sources import PhotoBytes
from detrt.pipeline import detect_stream
from detrt.pipeline.device import device_lane
from detrt.pipeline.host import HostLane
from detrt.runtime.cuda import gpu
from detrt.stages import StageTimes


def compare_ap(folder: Path, model: Path) -> None:
    dataset = coco_dataset(folder / "instances.json", folder)
    engine = engine_of(model, 8, "fp32")
    with Detector.open(engine) as detector:
        categories = dataset.categories_of(detector.contract)
        for name, lane in (
            ("CPU path", HostLane(detector, 8, StageTimes())),
            ("GPU path", device_lane(detector, 8, StageTimes())),
            ("GPU path, JPEG chip", device_lane(detector, 8, StageTimes(), decoder=lambda: NvJpeg(gpu()))),
        ):
            items = (PhotoBytes(photo.path.read_bytes(), photo.path.name, upright=False) for photo in dataset.photos)
            started = time.perf_counter()
            outcomes = list(detect_stream(detector, items, batch=8, keep_pixels=False, lane=lane))
            seconds = time.perf_counter() - started
            found = {
                photo.id: one.detections for photo, one in zip(dataset.photos, outcomes, strict=True) if one.detections
            }
            figures = score(dataset, found, categories).figures
            print(
                f"AP by {name}: {figures['AP']:.3f}, AP50 {figures['AP50']:.3f} over {len(found)} photos, "
                f"{len(found) / seconds:,.0f} photos a second",
            )
