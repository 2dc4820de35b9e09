"""What TensorRT's builder measured, kept in a file between builds."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from detrt.engine import api
from detrt.files import whole


class TimingCacheFile:
    """Gives the builder a timing cache for the length of a block, and saves what it learned if the block ends well.

    A file that another GPU or version left is started anew, by TensorRT itself; the next save replaces it.
    """

    def __init__(self, path: Path | None, config: api.BuilderConfig) -> None:
        self._path, self._config = path, config

    def __enter__(self) -> None:
        if self._path:
            known = self._path.read_bytes() if self._path.is_file() else b""
            self._cache = self._config.create_timing_cache(known)  # held here: TensorRT keeps no reference
            self._config.set_timing_cache(self._cache, False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path and error is None and (cache := self._config.get_timing_cache()):
            with whole(self._path) as part:
                part.write_bytes(bytes(cache.serialize()))
