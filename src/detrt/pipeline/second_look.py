"""Whether the files of a single call were whole, found out while the network runs on their pictures."""

from __future__ import annotations

from collections.abc import Sequence

from detrt.images.gpu.jpeg import DecodesJpegs
from detrt.images.gpu.preprocess import PhotoOnDevice
from detrt.images.gpu.run_out import run_out_of
from detrt.images.jpeg_segments import header_of
from detrt.pipeline.device_place import DevicePlace
from detrt.pipeline.lane import Loaded
from detrt.runtime.gpu import Gpu


class SecondLook:
    """Has the chip, which is idle by then, decode the files once more, with a run-out that shows where data end early.

    To make a run-out takes as long as to decode a small photo, so nobody who waits for one photo shall wait for it.
    """

    def __init__(self, gpu: Gpu, decoder: DecodesJpegs) -> None:
        self._gpu, self._decoder = gpu, decoder
        self._stream = gpu.stream()

    def begin(self, place: DevicePlace, loaded: Sequence[Loaded]) -> set[int]:
        """Enqueue the ends of what the chip has decoded; the rows of which it cannot tell."""
        doubtful, asked = set[int](), list[Loaded]()
        for photo in loaded:
            row = place.rows[photo.row]
            if not row.content:
                continue
            header = header_of(row.content)
            run_out = run_out_of(row.content, header) if header else None
            if run_out:
                row.keep(row.content, run_out)
                asked.append(photo)
            else:
                doubtful.add(photo.row)
        files = [file for photo in asked if (file := place.rows[photo.row].file)]
        images = self._decoder(files, self._stream.handle) if files else ()
        for photo, image in zip(asked, images, strict=True):
            if image:
                end = PhotoOnDevice(image.pointer, image.pitch, photo.placement)
                place.keep_end(photo.row, end, self._stream.handle)
            else:
                doubtful.add(photo.row)
        return doubtful

    def finish(self) -> None:
        """Wait until the ends are there, which they are when the network has ended, or all but."""
        self._gpu.synchronize(self._stream.handle)

    def close(self) -> None:
        """Give the decoder and its stream back."""
        self._decoder.close()
        self._stream.close()
