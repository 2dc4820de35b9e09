"""Photos through an engine on a GPU: only JPEG files or 8-bit pixels go there, and only boxes come back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from detrt.detections import Detections
from detrt.detector import Detector
from detrt.errors import ImageError
from detrt.images.gpu.jpeg import DecodesJpegs
from detrt.images.gpu.preprocess import FusedPreprocessing, PhotoOnDevice, fits_kernel
from detrt.images.gpu.run_out import RunOut, ends_whole, run_out_of
from detrt.images.jpeg_segments import JpegHeader
from detrt.images.preprocess import require_rgb
from detrt.images.read import Pixels, decode_jpeg, jpeg_header
from detrt.images.resize import Placement, place, resize
from detrt.images.sources import Encoded, Item
from detrt.pipeline.device_place import DevicePlace, PhotoRow
from detrt.pipeline.lane import Loaded
from detrt.pipeline.second_look import SecondLook
from detrt.pipeline.station import Station
from detrt.runtime.cuda import CudaEvent
from detrt.runtime.device import DeviceRuntime
from detrt.runtime.gpu import Gpu
from detrt.stages import StageTimes

RUNNERS = 3
"""Threads that bring groups to the GPU and boxes back: one group computes, one waits behind it, one comes back."""

PLACE_BYTES = 512 << 20
"""Most that the photos of one group may take, on the host and on the device each; larger ones are resized here."""


class GpuRuntime(DeviceRuntime, Protocol):
    """A runtime with a device path that says on which GPU."""

    @property
    def gpu(self) -> Gpu: ...


class DeviceLane:
    """A place is pinned and device memory for the photos of a group; what runs one group after the other is a station.

    Photos are decoded by the threads that load, or, where there is a decoder for it, by the GPU a group at a time; what
    the GPU cannot decode is decoded here. The kernel makes the network's input of either.
    """

    runners = RUNNERS

    def __init__(
        self,
        detector: Detector,
        gpu: Gpu,
        station: Station,
        batch: int,
        times: StageTimes,
        decoder: Callable[[], DecodesJpegs] | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self._detector, self._gpu, self._times = detector, gpu, times
        self._second_look = SecondLook(gpu, decoder()) if decoder and alone else None
        self._most_bytes = PLACE_BYTES // batch
        self._station = station
        self._places: list[DevicePlace] = []
        self._new_decoder = decoder
        self.loads_together = decoder is not None  # all but nothing is left to do for each photo
        self._idle_decoders: queue.SimpleQueue[DecodesJpegs] = queue.SimpleQueue()
        self._chip = threading.Lock()  # which serves groups that come at once in turns, and all of them late

    def place(self) -> DevicePlace:
        """See `Lane`."""
        self._places.append(self._station.place())
        return self._places[-1]

    def load(self, place: DevicePlace, row: int, item: Item) -> Loaded:
        """See `Lane`."""
        with self._times.stage("decode"):
            return Loaded(row, self._load(place.rows[row], item))

    def run(self, place: DevicePlace, loaded: Sequence[Loaded]) -> list[Detections | ImageError]:
        """See `Lane`."""
        decoder = self._decoder()
        try:
            failed = self._decode(place, loaded, decoder) if decoder else {}
            good = [photo for photo in loaded if photo.row not in failed]
            rows, placements = [photo.row for photo in good], [photo.placement for photo in good]
            outputs, doubtful = self._outputs(place, good, rows, placements)
            failed |= self._damaged(place, good, doubtful) if decoder else {}
        finally:
            place.clear()
            if decoder:
                self._idle_decoders.put(decoder)
        with self._times.stage("boxes"):
            found = self._detector.decode(outputs, placements) if good else []
        by_row: dict[int, Detections | ImageError] = dict(zip(rows, found, strict=True))
        by_row |= failed
        return [by_row[photo.row] for photo in loaded]

    def use(self) -> None:
        """See `Lane`."""
        self._gpu.use()

    def close(self) -> None:
        """See `Lane`."""
        while not self._idle_decoders.empty():
            self._idle_decoders.get().close()
        if self._second_look:
            self._second_look.close()
        for made in self._places:
            made.close()
        self._station.close()

    def _outputs(
        self, place: DevicePlace, good: Sequence[Loaded], rows: list[int], placements: list[Placement]
    ) -> tuple[dict[str, Any], set[int]]:
        """What the network makes of the good photos, and the rows whose end nobody has seen."""
        if not good:
            self._gpu.synchronize(place.stream)  # the chip may still read files which the next group will overwrite
            return {}, set()
        doubtful = set[int]()
        with self._times.stage("gpu"):
            self._station.start(place, rows, placements)
            if self._second_look:
                doubtful = self._second_look.begin(place, good)
            outputs = self._station.finish(place, rows)
            if self._second_look:
                self._second_look.finish()
        return outputs, doubtful

    def _decoder(self) -> DecodesJpegs | None:
        try:
            return self._idle_decoders.get_nowait()
        except queue.Empty:
            return self._new_decoder() if self._new_decoder else None

    def _load(self, row: PhotoRow, item: Item) -> Placement:
        row.photo, row.file, row.content, row.item = None, None, None, item
        if isinstance(item, Encoded):
            file = item.encoded()
            try:
                header = jpeg_header(file, name=item.name, upright=item.upright)
                if header and self._fits(placement := self._placed(header.size)):
                    if self._new_decoder and (run_out := self._run_out(file, header)):
                        row.keep(file, run_out)
                    else:
                        decode_jpeg(file, row.room(*header.size))
                        row.send(placement)
                    return placement
            except ValueError:
                pass  # damaged, and what follows says so by name
        return self._send(row, item.pixels())

    def _run_out(self, file: bytes, header: JpegHeader) -> RunOut | None:
        """What the chip gets behind the file's data, if it gets it: as it is where a second look comes afterwards."""
        if self._second_look:
            return RunOut(len(file), b"") if header.sequential and ends_whole(file) else None
        return run_out_of(file, header)

    def _send(self, row: PhotoRow, pixels: Pixels) -> Placement:
        """Bring decoded pixels to the device; those of a huge photo at the network's size already."""
        require_rgb(pixels)
        placement = sent = self._placed(pixels.shape[:2])
        if not self._fits(placement):
            pixels = resize(pixels, placement, self._detector.contract.resize)
            sent = Placement(placement.input, placement.input, placement.input)
        row.room(*pixels.shape[:2])[:] = pixels
        row.send(sent)
        return placement

    def _decode(self, place: DevicePlace, loaded: Sequence[Loaded], decoder: DecodesJpegs) -> dict[int, ImageError]:
        """Decode the files of the rows on the GPU, or here what it refuses; the errors by row."""
        failed: dict[int, ImageError] = {}
        waiting = [photo for photo in loaded if place.rows[photo.row].file]
        files = [file for photo in waiting if (file := place.rows[photo.row].file)]
        with self._times.stage("decode on gpu"), self._chip:
            images = decoder(files, place.stream) if files else ()
        for photo, image in zip(waiting, images, strict=True):
            row = place.rows[photo.row]
            if image and image.size == photo.placement.photo:
                row.photo = PhotoOnDevice(image.pointer, image.pitch, photo.placement)
                if not self._second_look:
                    place.keep_end(photo.row, row.photo, place.stream)
                continue
            row.file = row.content = None
            assert row.item is not None
            try:
                self._send(row, row.item.pixels())
            except ImageError as error:
                failed[photo.row] = error
        return failed

    def _damaged(self, place: DevicePlace, loaded: Sequence[Loaded], doubtful: set[int]) -> dict[int, ImageError]:
        """The errors of photos whose data end early, which a decoder chip does not see: their run-out shows.

        Where a photo's last pixels are all alike, or not known, which is rare, libjpeg-turbo has the last word.
        """
        failed: dict[int, ImageError] = {}
        for photo in loaded:
            row = place.rows[photo.row]
            if row.file and row.item and (photo.row in doubtful or place.ends_flat(photo.row)):
                try:
                    row.item.pixels()
                except ImageError as error:
                    failed[photo.row] = error
        return failed

    def _placed(self, size: tuple[int, int]) -> Placement:
        contract = self._detector.contract
        return place(size, contract.input_size, contract.resize)

    def _fits(self, placement: Placement) -> bool:
        height, width = placement.photo
        return 3 * height * width <= self._most_bytes and fits_kernel(placement)


def device_lane(
    detector: Detector,
    batch: int,
    times: StageTimes,
    *,
    decoder: Callable[[], DecodesJpegs] | None = None,
    alone: bool = False,
) -> DeviceLane:
    """The lane of a detector whose runtime is an engine on a GPU, ready to run.

    Args:
        detector: its runtime is a `GpuRuntime`.
        batch: photos a group.
        times: to be filled.
        decoder: makes what decodes JPEGs on the GPU; None decodes them on the CPU.
        alone: groups come one at a time, each of which somebody waits for.

    Raises:
        MissingExtraError, EngineError: the kernel cannot be compiled here.
        ModelError: the engine does not take such a batch.
    """
    runtime: GpuRuntime = detector.runtime  # type: ignore[assignment]  # who calls has looked
    gpu, contract = runtime.gpu, detector.contract
    gpu.use()
    dtype = next(spec.dtype for spec in runtime.inputs if spec.name == contract.input_name)
    preprocess = FusedPreprocessing(contract, dtype, gpu.capability)
    station = Station(runtime.session(), gpu, contract, preprocess, partial(CudaEvent, timed=False), batch, alone=alone)
    return DeviceLane(detector, gpu, station, batch, times, decoder, alone=alone)
