"""A stream of photos through a detector, in order and in bounded memory, on the CPU or all the way on the GPU."""

from detrt.pipeline.outcome import Outcome
from detrt.pipeline.stream import detect_stream

__all__ = ["Outcome", "detect_stream"]
