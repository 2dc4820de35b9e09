"""The C++ plugin library: built and tried where a compiler and TensorRT's headers are, read where they are not.

The object-level proof (native/prove.cpp) needs both; it runs here without a GPU, in tests/gpu with one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from detrt.errors import EngineError
from detrt.graph.plugin_nodes import PLACE, PLUGINS
from detrt.plugins.attention import AttentionOperation
from detrt.plugins.build import NATIVE, BuildRequest, build_plugins
from detrt.plugins.offsets import PARTS, OffsetsOperation
from tests.cli.conftest import Command
from tests.cli.conftest import detrt as detrt

HEADERS = (Path("/usr"), Path("/usr/local/tensorrt"), Path("/opt/tensorrt"))
PROGRAM = Path(__file__).parent / "native" / "prove.cpp"


@pytest.fixture(scope="module")
def headers() -> Path:
    """A folder with include/NvInfer.h, and what compiles against it."""
    found = next((root for root in HEADERS if (root / "include" / "NvInfer.h").is_file()), None)
    if found is None or shutil.which("nvcc") is None or shutil.which("cmake") is None:
        pytest.skip("TensorRT's headers, nvcc or cmake are not here")
    return found


def test_objects_of_the_library_answer_as_they_should(headers: Path, tmp_path: Path) -> None:
    library = tmp_path / "libdetrt_plugins.so"
    built = build_plugins(library, BuildRequest(headers, ("90",)))
    program, v2 = tmp_path / "prove", ["-DPROVE_V2=1"] if built.interface == "v2" else []
    command = ["nvcc", "-x", "c++", "-std=c++17", *v2, "-isystem", str(headers / "include"), str(PROGRAM)]
    subprocess.run([*command, "-o", str(program), "-ldl"], check=True)
    done = subprocess.run([program, library], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_source_is_compiled() -> None:
    listed = (NATIVE / "CMakeLists.txt").read_text()
    for source in (NATIVE / "src").glob("*.cpp"):
        assert f"src/{source.name}" in listed
    for kernel in re.findall(r"\$\{KERNELS\}/(\w+\.cu)", listed):
        assert (NATIVE.parents[1] / "kernels" / kernel).is_file()


def test_names_are_the_same_in_cpp_python_and_graphs() -> None:
    sources = {path.name: path.read_text() for path in (NATIVE / "src").iterdir()}
    assert f'kNamespace[] = "{PLACE["plugin_namespace"]}"' in sources["operation.h"]
    assert f'kVersion[] = "{PLACE["plugin_version"]}"' in sources["operation.h"]
    for name, source in (("DeformableAttention", "attention.cpp"), ("MultiHeadOffsets", "offsets.cpp")):
        assert name in PLUGINS
        assert f'"{name}"' in sources[source]
    announced = {name: re.findall(r'\{"(\w+)", nullptr', text) for name, text in sources.items()}
    assert announced["attention.cpp"] == list(AttentionOperation.field_types)
    assert announced["offsets.cpp"] == [*OffsetsOperation.field_types, "output_element"]
    assert f'kParts[kOutputs] = {{"{PARTS[0]}", "{PARTS[1]}"}}' in sources["offsets.cpp"]


def test_missing_headers_are_named(tmp_path: Path, detrt: Command) -> None:
    done = detrt("plugins", "build", "--tensorrt-root", tmp_path, "-o", tmp_path / "library.so")
    assert done.code == 5
    assert "include/NvInfer.h" in done.err
    assert "github.com/NVIDIA/TensorRT" in done.err
    assert not (tmp_path / "library.so").exists()


def test_a_plugin_and_a_sampler_exclude_each_other(detrt: Command) -> None:
    done = detrt("export", "r18.pth", "-o", "r18.onnx", "--plugin", "deformable-attention", "--sampler", "gather")
    assert done.code == 2
    assert "both say how to sample" in done.err


@pytest.mark.parametrize("missing", ["cmake", "nvcc"])
def test_missing_tools_are_named(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detrt.plugins.build._CUDA_PLACES", ())
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else f"/usr/bin/{name}")
    monkeypatch.setattr(Path, "is_file", lambda path: True)
    with pytest.raises(EngineError, match=f"There is no {missing} here"):
        build_plugins(tmp_path / "library.so")


@pytest.mark.parametrize(
    ("said", "problem", "remedy"),
    [
        ("CMake Error at CMakeLists.txt:57 (message):\n  detrt: A is B.  Use\n  C.\n\n\n", "A is B.", "Use C."),
        ("nvcc fatal   : Unsupported gpu architecture 'compute_30'\n", "compute_30", "cmake -S"),
        ("a.cpp:3:1: error: expected ';'\ngmake: *** [all] Error 2\n", "expected ';'", "cmake -S"),
    ],
)
def test_what_the_compiler_says_is_told(
    said: str, problem: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "cmake"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(script))
    with pytest.raises(EngineError) as caught:
        build_plugins(tmp_path / "library.so")
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
