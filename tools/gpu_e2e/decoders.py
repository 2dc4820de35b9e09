"""Every way to decode: time of one photo, throughput of many, difference from libjpeg-turbo."""

from __future__ import annotations

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from detrt.errors import DetrtError
from detrt.images.gpu.jpeg import DecodesJpegs, EncodedJpeg
from detrt.images.gpu.nvjpeg import NvJpeg
from detrt.images.read import Pixels, decode_jpeg
from detrt.runtime.cuda import CudaGpu, CudaMemory, gpu


def compare_decoders(files: list[bytes]) -> None:
    reference = [decode_jpeg(file) for file in files]
    started = time.perf_counter()
    for file in files:
        decode_jpeg(file)
    print(
        f"decode on the CPU: {1e3 * (time.perf_counter() - started) / len(files):.3f} ms a photo on one core",
    )
    for workers in (4, 8, 16, 24):
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(decode_jpeg, files))
            started = time.perf_counter()
            list(pool.map(decode_jpeg, files * 8))
            print(
                f"decode on the CPU, {workers} threads: {8 * len(files) / (time.perf_counter() - started):,.0f}/s",
            )
    here = gpu()
    here.use()
    try:
        _decode_on_gpu(here, NvJpeg(here), [_pinned(here, file) for file in files], reference)
    except DetrtError as error:  # this machine lacks it
        print(f"decode by the JPEG chip: {error}")


def _pinned(here: CudaGpu, file: bytes) -> EncodedJpeg:
    _held.append(here.pin(len(file)))
    ctypes.memmove(_held[-1].pointer, file, len(file))
    return EncodedJpeg(_held[-1].pointer, len(file))


_held: list[CudaMemory] = []


def _decode_on_gpu(here: CudaGpu, decoder: DecodesJpegs, files: list[EncodedJpeg], reference: list[Pixels]) -> None:
    own = here.stream()  # destroyed with this name
    stream = own.handle
    images = decoder(files[:32], stream)
    here.synchronize(stream)
    refused = sum(image is None for image in images)
    worst, total = 0, []
    for image, expected in zip(images, reference, strict=False):
        if image is None:
            continue
        rows = np.empty((image.size[0], image.pitch), np.uint8)
        here.copy(rows.ctypes.data, image.pointer, rows.nbytes - image.pitch + 3 * image.size[1], stream)
        here.synchronize(stream)
        pixels = rows[:, : 3 * image.size[1]].reshape(*image.size, 3)
        difference = np.abs(pixels.astype(int) - expected)
        worst, total = max(worst, int(difference.max())), [*total, difference.mean()]
    singles = []
    for file in files[:64]:
        started = time.perf_counter()
        decoder([file], stream)
        here.synchronize(stream)
        singles.append(1e3 * (time.perf_counter() - started))
    rates = []
    for batch in (8, 32, 128):
        started, rounds = time.perf_counter(), 512 // batch
        for number in range(rounds):
            decoder((files * 2)[(number * batch) % len(files) :][:batch], stream)
        here.synchronize(stream)
        rates.append(f"{batch}: {rounds * batch / (time.perf_counter() - started):,.0f}")
    decoder.close()
    print(f"decode by the JPEG chip: one in {np.median(singles):.3f} ms (p90 {np.percentile(singles, 90):.3f}), "
          f"a second in groups of {', '.join(rates)}; refused {refused}; from libjpeg-turbo mean "
          f"{np.mean(total or [0]):.3f}, at most {worst} grey levels")  # fmt: skip
