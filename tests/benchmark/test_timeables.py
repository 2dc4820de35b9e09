from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from detrt.benchmark.timeables import DeviceRuns, HostCalls
from detrt.benchmark.timings import Subject
from detrt.runtime.base import Array
from detrt.runtime.device import DeviceArray

COPY, RUN = 5.0, 2.0  # milliseconds that the stand-in device takes
SETS = [{"images": np.full((1, 3), value, np.float32)} for value in range(3)]


@dataclass
class Device:
    """A device whose streams are only clocks, and which notes what is done on them."""

    clocks: dict[int, float] = field(default_factory=dict)
    copies: list[tuple[int, int]] = field(default_factory=list)
    launches: list[int] = field(default_factory=list)
    held: list[Memory] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    graphs: list[bool] = field(default_factory=list)
    closed: bool = False

    index, name, capability, device, inputs, outputs = 0, "a stand-in", "9.0", "cuda:0", (), ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def use(self) -> None: ...

    def allocate(self, nbytes: int) -> Memory:
        self.held.append(Memory(1000 + len(self.held), nbytes))
        return self.held[-1]

    def copy(self, target: int, source: int, nbytes: int, stream: int) -> None:
        self.copies.append((target, source))
        self.clocks[stream] = self.clocks.get(stream, 0.0) + COPY

    def session(self, *, graph: bool = True) -> Session:
        self.graphs.append(graph)
        self.sessions.append(Session(self, stream=len(self.sessions) + 1))
        return self.sessions[-1]

    def close(self) -> None:
        self.closed = True


@dataclass
class Memory:
    pointer: int
    nbytes: int
    closed: bool = False

    def close(self) -> None:
        self.closed = True


@dataclass
class Session:
    device: Device
    stream: int
    closed: bool = False

    @property
    def inputs(self) -> dict[str, DeviceArray]:
        return {"images": DeviceArray(self.stream, (1, 3), "float32")}

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        assert shapes == {"images": (1, 3)}

    def upload(self, feeds: Mapping[str, Array]) -> None: ...

    def launch(self) -> None:
        self.device.launches.append(self.stream)
        self.device.clocks[self.stream] += RUN

    def synchronize(self) -> None: ...

    def close(self) -> None:
        self.closed = True


@dataclass
class Event:
    device: Device
    at: float = 0.0

    def record(self, stream: int) -> None:
        self.at = self.device.clocks[stream]

    def milliseconds_since(self, start: Event) -> float:
        return self.at - start.at


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def runs_on(device: Device) -> Callable[[int, bool], DeviceRuns]:
    def make(streams: int, graph: bool) -> DeviceRuns:
        subject = Subject("m.engine", "a stand-in", "fp16", "cuda:0", "engine", graph=graph, streams=streams)
        return DeviceRuns(subject, device, SETS, gpu=device, event=lambda: Event(device))  # type: ignore[arg-type]

    return make


def test_events_enclose_the_run_and_not_the_change_of_inputs(runs_on: Callable[[int, bool], DeviceRuns]) -> None:
    with runs_on(1, True) as runs:
        assert runs.time(150).runs == (RUN,) * 150


def test_input_sets_rotate_from_round_to_round(device: Device, runs_on: Callable[[int, bool], DeviceRuns]) -> None:
    with runs_on(1, True) as runs:
        resident = [memory.pointer for memory in device.held]
        device.copies.clear()
        runs.time(2)
        runs.time(2)
    assert [source for _, source in device.copies] == [*resident, resident[0]]


def test_streams_are_launched_in_turn(device: Device, runs_on: Callable[[int, bool], DeviceRuns]) -> None:
    with runs_on(3, False) as runs:
        runs.time(5)
    assert device.launches == [1, 2, 3, 1, 2]
    assert device.graphs == [False] * 3


def test_everything_is_given_back(device: Device, runs_on: Callable[[int, bool], DeviceRuns]) -> None:
    with runs_on(2, True) as runs:
        runs.time(1)
    assert device.closed
    assert all(session.closed for session in device.sessions)
    assert len(device.held) == 3
    assert all(memory.closed for memory in device.held)


@pytest.mark.parametrize("streams", [1, 3])
def test_host_calls_get_the_number_of_their_run(streams: int) -> None:
    seen: list[int] = []
    closed: list[bool] = []
    subject = Subject("m.onnx", "a runtime", "", "cpu", "infer", streams=streams)
    with HostCalls(subject, seen.append, lambda: closed.append(True)) as calls:
        first, second = calls.time(3), calls.time(4)
    assert sorted(seen) == list(range(7))
    assert (len(first.runs), len(second.runs)) == (3, 4)
    assert all(value >= 0 for value in second.runs)
    assert second.wall >= max(second.runs)
    assert closed == [True]
