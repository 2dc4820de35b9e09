"""The plugins on a GPU: their C++ objects through TensorRT's interfaces, their Python launch, and embedded kernels.

The libraries and the program that tries them are built beforehand, where the headers are: tools/gpu_plugins.py.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch

from detrt.extras import require
from detrt.kernels.launch import Element
from detrt.kernels.offset_projection import ROWS
from detrt.plugins.attention import AttentionOperation
from detrt.plugins.embedded import FUNCTION, Embedded, embedded_attention, embedded_offsets
from detrt.plugins.offsets import OffsetsOperation
from detrt.plugins.operation import Operation, View
from detrt.runtime import cuda
from tests.plugins.judged import require_right
from tests.plugins.nodes import Node, attention_node, offsets_node

BUILT = Path(__file__).parents[2] / ".gpu" / "plugins"
LIBRARIES = sorted(BUILT.glob("libdetrt_plugins_*.so"))

R18 = {"queries": 300, "heads": 8, "depth": 32, "shapes": ((80, 80), (40, 40), (20, 20)), "points": (4, 4, 4)}
ATTENTION: dict[str, Callable[[], Node]] = {
    "small": attention_node,
    "discrete": partial(attention_node, discrete=1),
    "ragged": partial(attention_node, batch=3, depth=5),
    "r18": partial(attention_node, batch=1, **R18),  # type: ignore[arg-type]
    "r18 x 4": partial(attention_node, batch=4, **R18),  # type: ignore[arg-type]
}
OFFSETS: dict[str, Callable[[], Node]] = {
    "small": offsets_node,
    "r18": partial(offsets_node, 1, 300, 256, 96, 192),
    "ragged": partial(offsets_node, 5, 33, 100, 11, 22),
}
KINDS: dict[str, tuple[type[Operation], dict[str, Callable[[], Node]]]] = {
    "attention": (AttentionOperation, ATTENTION),
    "offsets": (OffsetsOperation, OFFSETS),
}
CASES = [(kind, name) for kind, (_, nodes) in KINDS.items() for name in nodes]


@pytest.mark.skipif(not LIBRARIES, reason=f"{BUILT} holds no plugin library: python tools/gpu_plugins.py")
@pytest.mark.parametrize("library", LIBRARIES, ids=lambda path: path.stem)
def test_objects_of_the_library_are_right(library: Path, tmp_path: Path) -> None:
    """Contexts on two streams, graph replay, changing shapes, and nothing written beyond the outputs."""
    program = shutil.copy(BUILT / library.stem.replace("libdetrt_plugins", "prove"), tmp_path)
    Path(program).chmod(0o755)  # who carries it to the GPU may not keep that
    registry: list[str] = []
    if "11" in library.stem:
        libraries = require("tensorrt_rtx_libs", extra="rtx", purpose="A real registry")
        registry = ["--registry", str(Path(str(libraries.__file__)).parent / "libtensorrt_rtx.so.1")]
    done = subprocess.run([program, library, "--gpu", *registry], capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert "0 failed, on the GPU" in done.stdout


@pytest.mark.skipif(not (BUILT / "libscale_plugin.so").is_file(), reason="the sample is not built")
def test_the_sample_runs(tmp_path: Path) -> None:
    program = shutil.copy(BUILT / "test_scale_plugin", tmp_path)
    Path(program).chmod(0o755)
    done = subprocess.run([program, BUILT / "libscale_plugin.so"], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "right, and runs"


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_python_plugins_launch_what_the_operator_means(kind: str, name: str) -> None:
    operation, node = case_of(kind, name)
    inputs, outputs = on_gpu(node)
    stream = cuda.gpu().stream()
    operation.prepare()
    operation.enqueue(views(inputs), views(outputs), stream.handle)
    stream.synchronize()
    require_right(node, inputs, outputs)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_python_plugins_are_right_in_a_cuda_graph(kind: str, name: str) -> None:
    operation, node = case_of(kind, name)
    inputs, outputs = on_gpu(node)
    gpu = cuda.gpu()
    stream = gpu.stream()
    operation.prepare()
    operation.enqueue(views(inputs), views(outputs), stream.handle)  # compiles and loads, which a capture forbids
    stream.synchronize()
    graph = gpu.capture(stream.handle, lambda: operation.enqueue(views(inputs), views(outputs), stream.handle))
    for output in outputs:
        output.fill_(float("nan"))
    torch.cuda.synchronize()
    graph.launch(stream.handle)
    stream.synchronize()
    require_right(node, inputs, outputs)


@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.parametrize("element", [Element.float32, Element.float16])
def test_embedded_attention_is_launched_as_tensorrt_does(name: str, element: Element) -> None:
    node = ATTENTION[name]()
    operation = AttentionOperation.from_fields(node.fields)
    inputs, outputs = on_gpu(node)
    if element is Element.float16:
        inputs[0], outputs = inputs[0].half(), [output.half() for output in outputs]
    batch, queries = inputs[1].shape[:2]
    made = embedded_attention(operation, inputs[0].shape[2], 4, element, Element.float32, cuda.gpu().capability)
    threads = batch * queries * made.threads_per_row
    start(made, (-(-threads // made.launch.threads), 1), inputs, (batch, queries), outputs)
    require_right(node, inputs, outputs)


@pytest.mark.parametrize("name", OFFSETS)
def test_embedded_offsets_are_launched_as_tensorrt_does(name: str) -> None:
    node = OFFSETS[name]()
    operation = OffsetsOperation.from_fields(node.fields)
    inputs, outputs = on_gpu(node)
    made = embedded_offsets(operation, Element.int8, Element.float32, cuda.gpu().capability)
    rows = inputs[0].numel() // operation.depth
    start(made, (-(-rows // ROWS), made.launch.grid[1]), inputs, (rows,), outputs)
    require_right(node, inputs, outputs)


def case_of(kind: str, name: str) -> tuple[Operation, Node]:
    operation, nodes = KINDS[kind]
    node = nodes[name]()
    return operation.from_fields(node.fields), node


def on_gpu(node: Node) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    inputs = [torch.from_numpy(value).cuda() for value in node.feeds.values()]
    outputs = [torch.full(value.shape, torch.nan, device="cuda") for value in node.expected()]
    torch.cuda.synchronize()
    return inputs, outputs


def views(tensors: Sequence[torch.Tensor]) -> list[View]:
    return [View(t.data_ptr(), tuple(t.shape), Element[str(t.dtype).removeprefix("torch.")]) for t in tensors]


def start(
    made: Embedded,
    grid: tuple[int, int],
    inputs: Sequence[torch.Tensor],
    numbers: Sequence[int],
    outputs: Sequence[torch.Tensor],
) -> None:
    """Launch as TensorRT does: addresses of the inputs, whole numbers, addresses of the outputs."""
    driver = require("cuda.bindings.driver", extra="gpu", purpose="Launching a kernel")
    status, module = driver.cuModuleLoadData(made.ptx + b"\0")
    assert int(status) == 0, status
    status, function = driver.cuModuleGetFunction(module, FUNCTION.encode())
    assert int(status) == 0, status
    arguments = (
        *(ctypes.c_void_p(tensor.data_ptr()) for tensor in inputs),
        *(ctypes.c_int(number) for number in numbers),
        *(ctypes.c_void_p(tensor.data_ptr()) for tensor in outputs),
    )
    addresses = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
    (status,) = driver.cuLaunchKernel(
        function, *grid, 1, made.launch.threads, 1, 1, 0, 0, ctypes.addressof(addresses), 0
    )
    assert int(status) == 0, status
    torch.cuda.synchronize()
