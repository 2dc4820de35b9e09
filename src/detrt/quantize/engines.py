"""The quantised model as an engine beside the float model's FP16 engine: its time and its own AP, where a GPU is."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from detrt.benchmark.run import benchmark
from detrt.benchmark.subjects import cases_of
from detrt.benchmark.timings import ratio
from detrt.benchmark.turns import Pace
from detrt.detector import Detector
from detrt.engine.builder import build_engine
from detrt.engine.options import Batch, BuildOptions
from detrt.errors import DetrtError
from detrt.evaluate import CocoDataset, evaluate
from detrt.progress import Progress, silent
from detrt.runtime.cuda import first_gpu

SECONDS = 3.0  # timed for each engine, in turns


@dataclass(frozen=True)
class EngineVerdict:
    """What the engine says.

    Attributes:
        milliseconds, fp16_milliseconds: median device time of one photo, both from one run.
        time_ratio: of the two, round by round; below 1 the quantised engine is the faster.
        ap: of the quantised engine itself, where labels were given.
    """

    milliseconds: float
    fp16_milliseconds: float
    time_ratio: float
    ap: float | None

    @property
    def is_faster(self) -> bool:
        """Whether quantisation has bought any time."""
        return self.time_ratio < 1


def engine_verdict(
    quantized: Path, source: Path, labelled: CocoDataset | None, *, rest_is_fp16: bool, progress: Progress = silent
) -> EngineVerdict | str:
    """Build both engines, time them in turns, and score the quantised one; or say why that cannot be done here."""
    if first_gpu() is None:
        return "There is no GPU here, so no engine was built: neither its AP nor its time is known."
    try:
        with tempfile.TemporaryDirectory() as folder:
            narrow, wide = Path(folder) / "quantized.engine", Path(folder) / "fp16.engine"
            one = Batch(1, 1, 1)
            own = BuildOptions(precision="fp32" if rest_is_fp16 else "fp16", batch=one)
            build_engine(quantized, narrow, own, progress=progress)
            build_engine(source, wide, BuildOptions(precision="fp16", batch=one), progress=progress)
            cases = cases_of([str(narrow), str(wide)])
            rows = benchmark(cases, pace=Pace(SECONDS), progress=progress).rows
            ap = _ap(narrow, Path(folder), labelled, progress) if labelled else None
            return EngineVerdict(rows[0].p50, rows[1].p50, ratio(rows[0], rows[1])[0], ap)
    except DetrtError as error:
        return f"No engine could be judged here: {error}"


def _ap(engine: Path, folder: Path, labelled: CocoDataset, progress: Progress) -> float:
    with Detector.open(engine) as detector:
        return evaluate(detector, labelled, journal=folder / "ap.jsonl", progress=progress).scores.ap
