"""The real kernel against Pillow and against its own arithmetic, and its time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import numpy as np

from detrt.contract import ModelContract, ResizeRule
from detrt.images.fixed_point import resize_fixed_point
from detrt.images.gpu.preprocess import PHOTO, FusedPreprocessing, PhotoOnDevice, describe
from detrt.images.read import Pixels
from detrt.images.resize import place, resize
from detrt.runtime.cuda import CudaEvent, CudaGpu, gpu
from detrt.runtime.device import DeviceArray


def check_kernel() -> None:
    here = gpu()
    here.use()
    own = here.stream()  # destroyed with this name
    stream = own.handle
    rng = np.random.default_rng(int(time.time()))
    sizes = [(1, 1), (1, 700), (37, 53), (427, 640), (480, 640), (640, 480), (640, 640), (1080, 1920), (2160, 3840)]
    photos = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    rules = [ResizeRule("stretch"), ResizeRule("letterbox"), ResizeRule("stretch", antialias=False)]
    for rule, dtype in [*itertools.product(rules, ["float32"]), (rules[0], "float16")]:
        contract = ModelContract((640, 640), resize=rule, scale=1.0)
        fused = FusedPreprocessing(contract, dtype, here.capability)
        made, milliseconds = _preprocessed(here, fused, photos, contract, dtype, stream)
        worst, exact = 0.0, 0.0
        for photo, row in zip(photos, made, strict=True):
            placement = place(photo.shape[:2], (640, 640), rule)
            pillows = resize(photo, placement, rule).transpose(2, 0, 1).astype(np.float32)
            ours = resize_fixed_point(photo, placement, rule).transpose(2, 0, 1).astype(np.float32)
            worst = max(worst, float(np.abs(row - pillows).max()))
            exact = max(exact, float(np.abs(row - ours).max()))
        print(
            f"kernel {rule.mode} antialias={rule.antialias} {dtype}: at most {worst:g} grey levels from Pillow, "
            f"{exact:g} from its own arithmetic; {milliseconds:.4f} ms for the {len(photos)} photos",
        )
    for name, size, count in (("480x640", (480, 640), 32), ("1080p", (1080, 1920), 8), ("4K", (2160, 3840), 8)):
        same = [rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(count)]
        contract = ModelContract((640, 640))
        fused = FusedPreprocessing(contract, "float32", here.capability)
        milliseconds = _preprocessed(here, fused, same, contract, "float32", stream)[1]
        print(f"kernel {count} x {name} to 640x640: {1e3 * milliseconds / count:.2f} us a photo")


def _preprocessed(
    here: CudaGpu, fused: FusedPreprocessing, photos: Sequence[Pixels], contract: ModelContract, dtype: str, stream: int
) -> tuple[np.ndarray, float]:
    held, on_device = [], []
    for photo in photos:
        memory = here.allocate(photo.nbytes)
        here.copy(memory.pointer, photo.ctypes.data, photo.nbytes, stream)
        held.append(memory)
        placement = place(photo.shape[:2], contract.input_size, contract.resize)
        on_device.append(PhotoOnDevice(memory.pointer, 3 * photo.shape[1], placement))
    table = np.zeros(len(photos), PHOTO)
    describe(on_device, table)
    records = here.allocate(table.nbytes)
    here.copy(records.pointer, table.ctypes.data, table.nbytes, stream)
    made = np.full((len(photos), 3, *contract.input_size), np.nan, dtype)
    output = here.allocate(made.nbytes)
    here.copy(output.pointer, made.ctypes.data, made.nbytes, stream)
    target = DeviceArray(output.pointer, made.shape, dtype)
    fused(records.pointer, len(photos), target, stream)
    here.synchronize(stream)
    times = []
    for _ in range(20):
        begin, end = CudaEvent(), CudaEvent()
        begin.record(stream)
        fused(records.pointer, len(photos), target, stream)
        end.record(stream)
        here.synchronize(stream)
        times.append(end.milliseconds_since(begin))
    here.copy(made.ctypes.data, output.pointer, made.nbytes, stream)
    here.synchronize(stream)
    return made.astype(np.float32), float(np.median(times))
