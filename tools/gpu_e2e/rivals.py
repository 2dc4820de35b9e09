"""Other people's ways from JPEG bytes to boxes, to be timed beside ours: the origin's, and a good engineer's."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from time import perf_counter

import numpy as np
from PIL import Image

from detrt.benchmark.timings import Round, Subject
from detrt.detector import Detector
from detrt.runtime.tensorrt import TensorRTRuntime


class OriginsWay:
    """One photo at a time: Pillow decodes and resizes, pageable floats go up, the engine runs kernel by kernel."""

    def __init__(self, subject: Subject, runtime: TensorRTRuntime, files: Sequence[bytes]) -> None:
        self.subject, self._runtime, self._files = subject, runtime, files
        self._session = runtime.session(graph=False)
        self._session.shape({spec.name: tuple(axis or 1 for axis in spec.shape) for spec in runtime.inputs})
        self._numbers = count()

    def time(self, runs: int) -> Round:
        times = []
        start = perf_counter()
        for _ in range(runs):
            before = perf_counter()
            self._detect(self._files[next(self._numbers) % len(self._files)])
            times.append(1e3 * (perf_counter() - before))
        return Round(tuple(times), 1e3 * (perf_counter() - start))

    def _detect(self, file: bytes) -> None:
        session, gpu = self._session, self._runtime.gpu
        image = Image.open(io.BytesIO(file)).convert("RGB")
        height, width = session.inputs["images"].shape[2:]
        small = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        feeds = {
            "images": np.ascontiguousarray((small.astype(np.float32) / 255).transpose(2, 0, 1)[None]),
            "orig_target_sizes": np.array([image.size], np.int64),
        }
        for name, feed in feeds.items():
            gpu.copy(session.inputs[name].pointer, feed.ctypes.data, feed.nbytes, session.stream)
        session.launch()
        session.download()

    def close(self) -> None:
        self._session.close()
        self._runtime.close()

    def __enter__(self) -> OriginsWay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OpenCvThreads:
    """A pool decodes and resizes the next batches with OpenCV while this one runs: pinned copies, a CUDA graph."""

    AHEAD = 2

    def __init__(self, subject: Subject, detector: Detector, files: Sequence[bytes], *, workers: int) -> None:
        import cv2

        cv2.setNumThreads(1)  # the pool is the parallelism
        self._cv2 = cv2
        self.subject, self._detector, self._files = subject, detector, files
        self._pool = ThreadPoolExecutor(workers)
        self._numbers = count()
        self._ahead = [self._begin() for _ in range(self.AHEAD)]

    def time(self, runs: int) -> Round:
        for _ in range(self.AHEAD):
            self._run()
        times = []
        start = perf_counter()
        for _ in range(runs):
            before = perf_counter()
            self._run()
            times.append(1e3 * (perf_counter() - before))
        return Round(tuple(times), 1e3 * (perf_counter() - start))

    def _begin(self) -> list[Future[tuple[np.ndarray, tuple[int, int]]]]:
        numbers = [next(self._numbers) % len(self._files) for _ in range(self.subject.batch)]
        return [self._pool.submit(self._prepare, self._files[number]) for number in numbers]

    def _prepare(self, file: bytes) -> tuple[np.ndarray, tuple[int, int]]:
        cv2 = self._cv2
        image = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
        height, width = self._detector.contract.input_size
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        return cv2.dnn.blobFromImage(small, 1 / 255, swapRB=True)[0], image.shape[1::-1]

    def _run(self) -> None:
        prepared = [future.result() for future in self._ahead.pop(0)]
        self._ahead.append(self._begin())
        self._detector.runtime.run(
            {
                "images": np.stack([pixels for pixels, _ in prepared]),
                "orig_target_sizes": np.array([size for _, size in prepared], np.int64),
            }
        )

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._detector.close()

    def __enter__(self) -> OpenCvThreads:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
