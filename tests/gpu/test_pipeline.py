"""The real kernel, the real decoder and the real pipeline on a GPU."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from detrt.contract import ModelContract, ResizeRule
from detrt.detections import Detections
from detrt.detector import Detector
from detrt.errors import ImageError, MissingExtraError
from detrt.images.fixed_point import resize_fixed_point
from detrt.images.gpu.jpeg import DecodesJpegs
from detrt.images.gpu.nvjpeg import NvJpeg
from detrt.images.gpu.preprocess import PHOTO, FusedPreprocessing, PhotoOnDevice, describe
from detrt.images.preprocess import Preprocessor
from detrt.images.read import Pixels, decode_jpeg
from detrt.images.resize import place
from detrt.images.sources import PhotoBytes
from detrt.pipeline import detect_stream
from detrt.pipeline.device import device_lane
from detrt.pipeline.host import HostLane
from detrt.runtime.cuda import CudaGpu
from detrt.runtime.device import DeviceArray
from detrt.stages import StageTimes
from tests.gpu.chip import by_the_chip

SIZES = [(1, 1), (1, 900), (37, 53), (427, 640), (640, 427), (640, 640), (1080, 1920), (2160, 3840)]


@pytest.fixture(params=["decoded on the CPU", "decoded on the GPU"])
def decoder(request: pytest.FixtureRequest, gpu: CudaGpu) -> Callable[[], DecodesJpegs] | None:
    if "CPU" in request.param:
        return None
    _chip(gpu).close()
    return partial(NvJpeg, gpu)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("rule", [ResizeRule(), ResizeRule("letterbox"), ResizeRule(antialias=False)], ids=str)
def test_the_kernel_does_what_its_arithmetic_says(gpu: CudaGpu, rule: ResizeRule, dtype: str) -> None:
    contract = ModelContract((416, 480), resize=rule, color="BGR", mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    photos = [np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8) for height, width in SIZES]
    made = preprocessed(gpu, contract, photos, dtype)
    for photo, row in zip(photos, made, strict=True):
        small = resize_fixed_point(photo, place(photo.shape[:2], contract.input_size, rule), rule)
        expected, _ = Preprocessor(contract)([small])
        assert np.array_equal(row, expected[0].astype(dtype))


def test_a_stream_on_the_gpu_finds_what_the_cpu_prepares_for(
    flexible: Path, shared: Path, decoder: Callable[[], DecodesJpegs] | None
) -> None:
    files = [path.read_bytes() for path in sorted((shared / "coco" / "val").glob("*.jpg"))[:20]]
    files[3:3] = [b"no photo", files[0][: len(files[0]) // 2]]
    items = [PhotoBytes(file, f"photo {number}", upright=False) for number, file in enumerate(files)]
    with Detector.open(flexible) as detector:
        host = list(detect_stream(detector, items, batch=4, lane=HostLane(detector, 4, StageTimes())))
        lane = device_lane(detector, 4, StageTimes(), decoder=decoder)
        device = list(detect_stream(detector, items, batch=4, lane=lane))
    assert [one.item.name for one in device] == [item.name for item in items]
    assert [bool(one.error) for one in device] == [number in (3, 4) for number in range(len(files))]
    for ours, theirs in zip(device, host, strict=True):
        if ours.detections and theirs.detections:
            tolerance = 0.02 if decoder is None else 0.1  # other GPUs' chips may round otherwise than libjpeg-turbo
            assert np.abs(ours.detections.scores[:5] - theirs.detections.scores[:5]).max() < tolerance


def test_a_single_call_takes_the_gpu_too(flexible: Path, photos: list[Pixels]) -> None:
    file = io.BytesIO()
    Image.fromarray(photos[0]).save(file, "JPEG", quality=95)
    with Detector.open(flexible) as detector:
        (streamed,) = detector.stream([file.getvalue()], batch=1)
        called = detector(file.getvalue())
        pair = detector.detect([file.getvalue(), photos[1]])
    assert np.allclose(called.scores, streamed.scores, atol=1e-4)
    assert np.allclose(pair[0].scores[:5], streamed.scores[:5], atol=0.02)


def test_streams_and_calls_side_by_side_find_what_they_find_alone(engine: Path, photos: list[Pixels]) -> None:
    """Graphs of TensorRT-RTX that run side by side change each other's results."""
    given = photos * 25
    with Detector.open(engine) as detector:

        def called() -> list[Detections]:
            return [detector(photo) for photo in given]

        def streamed() -> list[Detections]:
            return list(detector.stream(given))

        works = [called, streamed, streamed]
        alone = [work() for work in works]
        with ThreadPoolExecutor(len(works)) as threads:
            together = list(threads.map(lambda work: work(), works))
    for found, wanted in zip(together, alone, strict=True):
        for ours, theirs in zip(found, wanted, strict=True):
            assert np.array_equal(ours.scores, theirs.scores)
            assert np.array_equal(ours.boxes, theirs.boxes)


def test_the_decoder_gives_nearly_the_pixels_of_libjpeg_turbo(gpu: CudaGpu, shared: Path) -> None:
    files = [path.read_bytes() for path in sorted((shared / "coco" / "val").glob("*.jpg"))[:8]]
    for file, pixels in zip(files, by_the_chip(gpu, files), strict=True):
        assert np.abs(pixels.astype(int) - decode_jpeg(file)).max() <= 2  # 0 on H100 and H200


def _chip(gpu: CudaGpu) -> NvJpeg:
    try:
        return NvJpeg(gpu)
    except (ImageError, MissingExtraError) as error:
        pytest.skip(error.problem)


def preprocessed(gpu: CudaGpu, contract: ModelContract, photos: list[Pixels], dtype: str) -> npt.NDArray[np.floating]:
    """The network's input that the kernel makes, every value of which starts as NaN."""
    stream = gpu.stream()
    table = np.zeros(len(photos), PHOTO)
    made: npt.NDArray[np.floating] = np.full((len(photos), 3, *contract.input_size), np.nan, dtype)
    arrays = [*photos, made]
    memory = [gpu.allocate(array.nbytes) for array in arrays]
    for held, array in zip(memory, arrays, strict=True):
        gpu.copy(held.pointer, array.ctypes.data, array.nbytes, stream.handle)
    describe(
        [
            PhotoOnDevice(held.pointer, photo.strides[0], place(photo.shape[:2], contract.input_size, contract.resize))
            for held, photo in zip(memory, photos, strict=False)
        ],
        table,
    )
    records = gpu.allocate(table.nbytes)
    gpu.copy(records.pointer, table.ctypes.data, table.nbytes, stream.handle)
    fused = FusedPreprocessing(contract, dtype, gpu.capability)
    fused(records.pointer, len(photos), DeviceArray(memory[-1].pointer, made.shape, dtype), stream.handle)
    gpu.copy(made.ctypes.data, memory[-1].pointer, made.nbytes, stream.handle)
    stream.synchronize()
    return made
