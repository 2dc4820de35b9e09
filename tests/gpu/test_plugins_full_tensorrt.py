"""Whole engines with plugins, for those who have full TensorRT 10 or 11; skipped where only TensorRT-RTX is.

    python -m pytest tests/gpu/test_plugins_full_tensorrt.py

Needs `tensorrt` with its libraries and PyTorch for CUDA; for the C++ library also nvcc, CMake and TensorRT's headers
(`TENSORRT_ROOT` or the system's folders). The project's own machines have none, so this has not run there: the objects
have, without an engine (test_plugins.py), and the Python classes in the real bindings (tests/plugins/test_python.py).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from detrt.engine.builder import build_engine
from detrt.engine.flavour import load
from detrt.engine.options import BuildOptions
from detrt.errors import EngineError
from detrt.graph.export import ExportOptions, onnx_from_model
from detrt.graph.onnx_file import save
from detrt.graph.plugin_nodes import for_plugins
from detrt.plugins.build import build_plugins
from detrt.runtime.onnxruntime import OnnxRuntime
from detrt.runtime.tensorrt import TensorRTRuntime
from tests.graph.test_export import contract_of
from tests.models.seeded import SMALL, pictures, seeded_model
from tests.plugins.nodes import Node, attention_node, behind_quantiser, offsets_node

PROGRAM = Path(__file__).parents[1] / "plugins" / "on_tensorrt.py"
NODES: dict[str, Callable[[], Node]] = {
    "attention": partial(attention_node, 2, 50, 8, 32, ((20, 20), (10, 10), (5, 5)), (4, 4, 4)),
    "discrete": partial(attention_node, 2, 50, 8, 32, ((20, 20), (10, 10)), (4, 8), 1),
    "offsets": lambda: behind_quantiser(offsets_node(2, 50, 256, 96, 192)),
}
RUN_BY = {"decorated": "decorated", "aot": "nothing", "v3": "v3", "v2": "v2"}
"""What an engine needs to run, by the interface that it was built with."""


@pytest.fixture(scope="module", autouse=True)
def tensorrt() -> None:
    """Full TensorRT."""
    try:
        load("tensorrt")
    except (ImportError, EngineError) as error:
        pytest.skip(f"there is no full TensorRT here: {error}")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """One model for each node, as TensorRT wants it, with feeds and what must come out."""
    for name, make in NODES.items():
        node = make()
        save(for_plugins(node.model).model, tmp_path / f"{name}.onnx")
        names = [value.name for value in node.model.graph.output]
        expected = {f"expected:{name}": value for name, value in zip(names, node.expected(), strict=True)}
        np.savez(tmp_path / f"{name}.npz", **node.feeds, **expected)  # type: ignore[arg-type]
    return tmp_path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C++ plugins for this TensorRT."""
    path = tmp_path_factory.mktemp("library") / "libdetrt_plugins.so"
    try:
        return build_plugins(path).library
    except EngineError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("interface", RUN_BY)
def test_engines_with_python_plugins_are_right(models: Path, interface: str) -> None:
    require_done("build", models, interface)
    require_done("run", models, RUN_BY[interface])


def test_engines_with_the_library_are_right(models: Path, library: Path) -> None:
    require_done("build", models, str(library))
    require_done("run", models, str(library))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_detector_with_the_library_finds_what_onnx_runtime_finds(
    library: Path, tmp_path: Path, precision: str
) -> None:
    options = ExportOptions(output="raw", sampler="plugin")
    model = onnx_from_model(seeded_model(SMALL), contract_of(SMALL, options), options)
    save(model, tmp_path / "small.onnx")
    chosen = BuildOptions(precision=precision, flavour="tensorrt", plugins=(library,))  # type: ignore[arg-type]
    engine = build_engine(tmp_path / "small.onnx", tmp_path / "small.engine", chosen).engine
    feeds = {"images": pictures(SMALL.size, 1).numpy()}
    with OnnxRuntime(model.SerializeToString(), device="cpu") as right, TensorRTRuntime(engine, check=True) as runtime:
        expected, found = right.run(feeds), runtime.run(feeds)
    tolerance = {"fp32": 1e-2, "fp16": 0.1}[precision]
    for name, value in expected.items():  # queries in another order are the same detections
        np.testing.assert_allclose(np.sort(found[name], axis=1), np.sort(value, axis=1), rtol=0, atol=tolerance)


def require_done(task: str, folder: Path, brings: str) -> None:
    command = [sys.executable, str(PROGRAM), task, str(folder), brings]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"{task}:") == len(NODES)
