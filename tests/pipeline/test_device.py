"""The device's lane on stand-ins for GPU and engine: right rows, right errors, all memory given back."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detrt import Detector
from detrt.contract import ResizeRule
from detrt.errors import ImageError
from detrt.graph.onnx_file import save
from detrt.images.read import Pixels
from detrt.images.sources import Item, PhotoBytes, PhotoPixels
from detrt.pipeline import Outcome, detect_stream, device, instant, stream
from detrt.stages import StageTimes
from tests import tiny
from tests.pipeline.device_standin import HostJpegDecoder, lane_on_host
from tests.runtime.standin import StandInGpu

REFUSED = b"not on a gpu"


@pytest.fixture
def detector(tmp_path: Path) -> Iterator[Detector]:
    save(tiny.deploy_model(), tmp_path / "deploy.onnx")
    with Detector.open(tmp_path / "deploy.onnx") as opened:
        yield opened


@pytest.fixture
def gpu() -> StandInGpu:
    return StandInGpu()


@pytest.fixture(params=["decoded here", "decoded on the device"])
def decoder(request: pytest.FixtureRequest, gpu: StandInGpu) -> HostJpegDecoder | None:
    return HostJpegDecoder(gpu, REFUSED) if "device" in request.param else None


def photo(level: int, height: int = 30, width: int = 40) -> Pixels:
    ramp = np.linspace(0, 40, width).astype(np.uint8)
    return np.clip(np.broadcast_to(ramp[None, :, None], (height, width, 3)) + level, 0, 255).astype(np.uint8)


def jpeg(pixels: Pixels, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, comment=comment)
    return file.getvalue()


def items() -> list[Item]:
    """Every kind of photo: JPEGs of all sizes, pixels, a PNG, one that the device refuses, a cut one, a broken one."""
    png = io.BytesIO()
    Image.fromarray(photo(90)).save(png, "PNG")
    whole = jpeg(photo(50, 100, 90))
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    spoilt = jpeg(noise, REFUSED)[:-20_000] + b"\xff\xd9"  # whole to look at, refused by the device, damaged in truth
    return [
        PhotoBytes(jpeg(photo(0)), "small"),
        PhotoBytes(jpeg(photo(20, 1, 1)), "one pixel"),
        PhotoPixels(photo(40, 25, 35), "pixels"),
        PhotoBytes(whole[: len(whole) // 2], "cut"),
        PhotoBytes(jpeg(photo(60, 200, 300)), "large"),
        PhotoBytes(png.getvalue(), "png"),
        PhotoBytes(b"buy milk", "text"),
        PhotoBytes(jpeg(photo(120, 33, 77), REFUSED), "refused"),
        PhotoBytes(spoilt, "spoilt"),
        PhotoBytes(jpeg(noise)[:-20_000] + b"\xff\xd9", "early end"),  # the same, which the device takes
        PhotoBytes(jpeg(noise)[:-300] + b"\xff\xd9", "late end"),  # too little is missing for the device to see
        PhotoBytes(jpeg(np.full((40, 40, 3), 200, np.uint8)), "flat, and whole"),
        PhotoBytes(jpeg(photo(160, 500, 20)), "tall"),
    ]


def outcomes_on_device(
    detector: Detector, gpu: StandInGpu, decoder: HostJpegDecoder | None, batch: int, given: list[Item]
) -> list[Outcome]:
    lane = lane_on_host(detector, gpu, batch, StageTimes(), decoder)
    return list(detect_stream(detector, given, batch=batch, workers=3, lane=lane))


@pytest.mark.parametrize("rule", [ResizeRule("stretch"), ResizeRule("letterbox")], ids=lambda rule: rule.mode)
@pytest.mark.parametrize("batch", [1, 3, 16])
def test_the_device_finds_what_the_host_finds(
    detector: Detector,
    gpu: StandInGpu,
    decoder: HostJpegDecoder | None,
    batch: int,
    rule: ResizeRule,
) -> None:
    detector = Detector(detector.runtime, detector.contract.replaced(resize=rule))
    expected = list(detect_stream(detector, items(), batch=batch))
    found = outcomes_on_device(detector, gpu, decoder, batch, items())
    assert [outcome.item.name for outcome in found] == [item.name for item in items()]
    assert [outcome.item.name for outcome in found if outcome.error] == [
        "cut",
        "text",
        "spoilt",
        "early end",
        "late end",
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.size == theirs.size
        assert str(ours.error) == str(theirs.error)
        if ours.detections and theirs.detections:
            assert np.allclose(ours.detections.boxes, theirs.detections.boxes, atol=1e-3)
            assert np.allclose(ours.detections.scores, theirs.detections.scores, atol=1 / 255)


def test_files_are_decoded_where_they_should_be(detector: Detector, gpu: StandInGpu) -> None:
    decoder = HostJpegDecoder(gpu, REFUSED)
    outcomes_on_device(detector, gpu, decoder, 3, items())
    assert decoder.decoded == 7  # small, one pixel, large, early end, late end, flat, tall


def test_a_photo_too_large_for_its_place_is_resized_here(
    monkeypatch: pytest.MonkeyPatch, detector: Detector, gpu: StandInGpu, decoder: HostJpegDecoder | None
) -> None:
    monkeypatch.setattr(device, "PLACE_BYTES", 8000)
    given: list[Item] = [PhotoBytes(jpeg(photo(60, 200, 300)), "large"), PhotoBytes(jpeg(photo(0)), "small")]
    expected = list(detect_stream(detector, given, batch=2))
    found = outcomes_on_device(detector, gpu, decoder, 2, given)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.detections
        assert theirs.detections
        assert ours.size == theirs.size
        assert np.allclose(ours.detections.boxes, theirs.detections.boxes, atol=1e-3)
        assert np.allclose(ours.detections.scores, theirs.detections.scores, atol=1 / 255)


def test_results_stay_when_their_memory_is_used_again(detector: Detector, gpu: StandInGpu) -> None:
    given: list[Item] = [PhotoPixels(np.full((10, 10, 3), level, np.uint8)) for level in range(40)]
    found = outcomes_on_device(detector, gpu, None, 4, given)
    levels = [round(float(outcome.detections.scores[0] - 0.9) * 255) for outcome in found if outcome.detections]
    assert levels == list(range(40))


def test_memory_stays_within_what_the_places_need_and_goes_back(
    monkeypatch: pytest.MonkeyPatch, detector: Detector, gpu: StandInGpu, decoder: HostJpegDecoder | None
) -> None:
    most = 0
    peak = StandInGpu.allocate

    def counted(self: StandInGpu, nbytes: int) -> object:
        nonlocal most
        made = peak(self, nbytes)
        most = max(most, len(self.alive))
        return made

    monkeypatch.setattr(StandInGpu, "allocate", counted)
    given: list[Item] = [PhotoBytes(jpeg(photo(level % 200, 20 + level, 30))) for level in range(60)]
    outcomes_on_device(detector, gpu, decoder, 2, given)
    held_by_sessions = {memory.pointer for memory in gpu.held}
    room, table, ends, sizes, results = 2, 2, 1, 1, 1
    places = (device.RUNNERS + stream.BATCHES_AHEAD) * (room + table + ends + sizes + results)
    session_outputs = 1
    decoded = device.RUNNERS * 2 if decoder else 0  # each thread's decoder keeps its last group
    assert most <= places + len(held_by_sessions) + session_outputs + decoded
    assert gpu.alive == held_by_sessions
    assert not gpu.graphs


@pytest.mark.parametrize("count", [1, 4])
def test_a_single_call_finds_what_a_stream_finds(
    monkeypatch: pytest.MonkeyPatch,
    detector: Detector,
    gpu: StandInGpu,
    decoder: HostJpegDecoder | None,
    count: int,
) -> None:
    def lane(detector: Detector, batch: int, times: StageTimes, *, alone: bool) -> device.DeviceLane:
        return lane_on_host(detector, gpu, batch, times, decoder, alone=alone)

    good = [item for item in items() if item.name not in ("cut", "text", "spoilt")][:count]
    expected = detector.detect(good)
    monkeypatch.setattr(instant, "device_lane_of", lane)
    path = instant.InstantPath(detector)
    for _ in range(3):
        found = path(good, room=5)
        assert found is not None
        assert len(found) == count
        for ours, theirs in zip(found, expected, strict=True):
            assert np.allclose(ours.boxes, theirs.boxes, atol=1e-3)
            assert np.allclose(ours.scores, theirs.scores, atol=1 / 255)
    with pytest.raises(ImageError, match="text is no image"):
        path([PhotoBytes(b"buy milk", "text")], room=5)
    for name in ("cut", "spoilt", "early end"):
        with pytest.raises(ImageError, match=f"{name} cannot be decoded"):
            path([item for item in items() if item.name == name], room=5)
    path.close()
    assert gpu.alive == {memory.pointer for memory in gpu.held}
