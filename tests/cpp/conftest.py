"""cpp/ built once for all tests: what of it needs neither CUDA nor TensorRT."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from detrt.errors import DetrtError

SOURCES = Path(__file__).parents[2] / "cpp"


class Refused(Exception):  # noqa: N818 that is what it says
    """The error that the C++ library gave instead of an answer."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem, self.remedy = problem, remedy


class Peer:
    """cpp/tests/peer.cpp: answers questions that Python can answer as well."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, ask: str, **about: Any) -> Any:
        """The answer.

        Raises:
            Refused: the library raised one of detrt's errors.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"ask": ask} | about, default=str) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())
        if "problem" in reply:
            raise Refused(reply["problem"], reply["remedy"])
        assert "fault" not in reply, reply
        return reply["answer"]

    def close(self) -> None:
        """End it."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=10)


def refusal(work: Callable[[], object]) -> tuple[str, str] | None:
    """What is wrong and what to do, where the work is refused."""
    try:
        work()
    except (DetrtError, Refused) as error:
        return error.problem, error.remedy
    return None


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build folder; skipped where there is no CMake, no compiler, or not every library."""
    missing = [tool for tool in ("cmake", "g++") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"there is no {' and no '.join(missing)} here")
    build = tmp_path_factory.mktemp("cpp")
    fast = ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0", "-DCMAKE_UNITY_BUILD=ON"]
    configured = subprocess.run(
        ["cmake", "-S", SOURCES, "-B", build, "-DDETRT_GPU=OFF", *fast], capture_output=True, text=True, timeout=60
    )
    if "is not here. On Debian" in configured.stderr:
        pytest.skip(f"a library is missing: {' '.join(configured.stderr.split())[:300]}")
    assert configured.returncode == 0, configured.stderr
    made = subprocess.run(["cmake", "--build", build, "--parallel", "2"], capture_output=True, text=True, timeout=280)
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    return build


@pytest.fixture(scope="session")
def peer(built: Path) -> Iterator[Peer]:
    """The library, ready to be asked."""
    asked = Peer(built / "tests" / "detrt-peer")
    yield asked
    asked.close()
