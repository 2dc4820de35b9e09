"""What has been started and finished in an output folder: a line of JSON each, only ever added to."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from detrt.benchmark.report import now
from detrt.errors import UsageError
from detrt.files import sha256_of
from detrt.workflow.step import Digest

FILE = "journal.jsonl"


@dataclass(frozen=True)
class Record:
    """A step that was finished: what it depended on and what it left, by name and SHA-256.

    Attributes:
        inputs: digests by name.
        outputs: SHA-256 by file.
        seconds: that it took.
        machine: where.
        at: UTC, when it ended.
    """

    inputs: Mapping[str, Digest]
    outputs: Mapping[str, str]
    seconds: float
    machine: str
    at: str

    def fits(self, inputs: Mapping[str, Digest], folder: Path) -> bool:
        """Whether it was made of these inputs, and its outputs are still as it left them.

        What is not on this machine cannot have changed here, so that a step may be finished on one machine and counted
        on another.
        """
        same = self.inputs.keys() == inputs.keys() and all(
            digest is None or self.inputs[name] in (digest, None) for name, digest in inputs.items()
        )
        return same and all(
            (folder / name).is_file() and sha256_of(folder / name) == digest for name, digest in self.outputs.items()
        )


class WorkflowJournal:
    """The journal of one output folder."""

    def __init__(self, folder: Path) -> None:
        """Read what is there; a last line that an interrupt cut off does not count."""
        self._folder = folder
        self._records: dict[str, Record] = {}
        self._file: IO[bytes] | None = None
        for line in _lines(folder / FILE):
            if line.get("event") == "finished":
                fields = {name: line[name] for name in ("inputs", "outputs", "seconds", "machine", "at")}
                self._records[line["step"]] = Record(**fields)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder, so that two workflows do not write into it at once; a process that dies lets go of it.

        Raises:
            UsageError: another one is at work there, or nothing can be written there.
        """
        with self._opened() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"Another workflow is at work in {self._folder}.", "Wait for it, or give another -o DIR."
                ) from None
            self._file = file
            try:
                yield
            finally:
                self._file = None

    def _opened(self) -> IO[bytes]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return (self._folder / FILE).open("ab")
        except OSError as error:
            raise UsageError(
                f"{self._folder} cannot be a workflow's folder: {error.strerror}.",
                "Give -o DIR, a folder that can be made and written.",
            ) from error

    def record_of(self, step: str) -> Record | None:
        """The last time that the step was finished."""
        return self._records.get(step)

    def started(self, step: str) -> None:
        """Note that work on a step begins."""
        self._write({"event": "started", "step": step, "at": now()})

    def failed(self, step: str, reason: str) -> None:
        """Note why a step came to nothing."""
        self._write({"event": "failed", "step": step, "reason": reason, "at": now()})

    def finished(
        self, step: str, inputs: Mapping[str, Digest], outputs: tuple[str, ...], seconds: float, machine: str
    ) -> Record:
        """Note that a step is done; from this line on it counts."""
        made = {name: sha256_of(self._folder / name) for name in outputs}
        record = Record(dict(inputs), made, round(seconds, 3), machine, now())
        self._records[step] = record
        self._write({"event": "finished", "step": step} | vars(record))
        return record

    def _write(self, line: Mapping[str, Any]) -> None:
        assert self._file is not None, "a journal is written while its folder is held"
        self._file.write(b"\n" * self._is_cut_off() + orjson.dumps(line) + b"\n")
        self._file.flush()

    def _is_cut_off(self) -> bool:
        """Whether the last line has no end, because an interrupt came between."""
        content = (self._folder / FILE).read_bytes()
        return bool(content) and not content.endswith(b"\n")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        content = path.read_bytes()
    except OSError:
        return
    for line in content.split(b"\n"):
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:  # noqa: PERF203 cut off, or the nothing behind the last line
            continue
