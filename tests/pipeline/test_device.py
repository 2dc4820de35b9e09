"""The device's lane on stand-ins for GPU and engine: right rows, right errors, all memory given back."""

from __future__ import annotations

import numpy as np
import pytest

from detrt import Detector
from detrt.contract import ResizeRule
from detrt.errors import ImageError
from detrt.images.read import Pixels
from detrt.images.sources import Item, PhotoBytes, PhotoPixels
from detrt.pipeline import Outcome, detect_stream, device, stream
from detrt.runtime.turns import Turns
from detrt.stages import StageTimes
from tests.pipeline.device_standin import HostJpegDecoder, lane_on_host
from tests.pipeline.photos import REFUSED, items, jpeg, photo
from tests.runtime.standin import StandInGpu


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


@pytest.mark.parametrize(
    "wrong",
    [
        photo(90) / 255,
        photo(90).astype(np.int32),
        photo(90)[..., :1],
        photo(90)[..., 0],
        np.dstack([photo(90), photo(90)[..., :1]]),
        photo(90)[:0],
    ],
    ids=["float", "int32", "one channel", "no channels", "four channels", "no lines"],
)
def test_pixels_that_are_no_rgb_of_8_bits_fail_alone(detector: Detector, gpu: StandInGpu, wrong: Pixels) -> None:
    given: list[Item] = [PhotoPixels(wrong, "wrong"), PhotoPixels(photo(90), "right")]
    bad, good = outcomes_on_device(detector, gpu, None, 2, given)
    (on_host, _) = detect_stream(detector, given, batch=2)
    assert isinstance(bad.error, ImageError)
    assert str(bad.error) == str(on_host.error)
    assert good.detections


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


def test_groups_of_damaged_photos_leave_no_memory_behind(detector: Detector, gpu: StandInGpu) -> None:
    cut = PhotoBytes(jpeg(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8))[:-5000])
    places, most = device.RUNNERS + stream.BATCHES_AHEAD, 3 << 20  # a place has room for 1 MiB here and there
    for outcome in detect_stream(detector, [cut] * 60, lane=lane_on_host(detector, gpu, 1, StageTimes())):
        assert outcome.error
        assert gpu.held_bytes() <= places * most


def test_a_stream_alone_never_waits_for_its_own_runs(detector: Detector, gpu: StandInGpu) -> None:
    """What is enqueued behind each other keeps the GPU busy."""
    list(detect_stream(detector, items(), lane=lane_on_host(detector, gpu, 1, StageTimes())))
    assert not gpu.waited


def test_streams_of_one_engine_wait_for_each_others_runs(detector: Detector, gpu: StandInGpu) -> None:
    turns = Turns()
    lanes = [lane_on_host(detector, gpu, 2, StageTimes(), turns=turns) for _ in range(2)]
    one, two = (detect_stream(detector, [PhotoPixels(photo(90))] * 6, batch=2, lane=lane) for lane in lanes)
    scores = [
        outcome.detections.scores[0] for pair in zip(one, two, strict=True) for outcome in pair if outcome.detections
    ]
    assert len(set(gpu.waited)) == 2
    assert len(scores) == 12
    assert len(set(scores)) == 1
