"""A benchmark's outcome as JSON: the rows, where they were taken, and how."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from detrt.benchmark.machine import Machine
from detrt.benchmark.timings import Subject, Timings
from detrt.errors import DatasetError
from detrt.files import whole

FORMAT = 1


@dataclass(frozen=True)
class BenchmarkReport:
    """What was timed, where, and by which command.

    Attributes:
        rows: in the order in which they were asked for; the first is what the others are compared with.
        failures: what could not be timed, and why.
        photos: the folder, or `made`.
        command: the words of the command line.
        time: UTC, when it ended.
        complete: False where it was interrupted.
    """

    rows: tuple[Timings, ...]
    failures: tuple[str, ...]
    machine: Machine
    photos: str
    command: tuple[str, ...]
    time: str
    complete: bool = True

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON."""
        with whole(path) as part:
            part.write_text(json.dumps({"format": FORMAT} | asdict(self), indent=1) + "\n")


def now() -> str:
    """The time as a report tells it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def load_report(path: str | os.PathLike[str]) -> BenchmarkReport:
    """Read what `BenchmarkReport.save` wrote.

    Raises:
        DatasetError: the file is no such report.
    """
    try:
        record: dict[str, Any] = json.loads(Path(path).read_text())
        if record.pop("format") != FORMAT:
            raise ValueError("it has another format")
        rows: Sequence[dict[str, Any]] = record.pop("rows")
        return BenchmarkReport(
            rows=tuple(_row(row) for row in rows),
            failures=tuple(record.pop("failures")),
            machine=Machine(**record.pop("machine")),
            command=tuple(record.pop("command")),
            **record,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is no benchmark report: {error}.", "Run `detrt bench --json` again.") from error


def _row(row: dict[str, Any]) -> Timings:
    clocks = row.pop("clocks_mhz")
    return Timings(
        subject=Subject(**row.pop("subject")),
        rounds=tuple(row.pop("rounds")),
        clocks_mhz=tuple(clocks) if clocks else None,
        **row,
    )
