"""Run by tests/gpu/test_plugins_full_tensorrt.py: engines of full TensorRT with a plugin in them, built and run.

    python on_tensorrt.py build FOLDER decorated|aot|v3|v2|LIBRARY.so    FOLDER/*.onnx to FOLDER/*.engine
    python on_tensorrt.py run FOLDER decorated|v3|v2|nothing|LIBRARY.so  the engines, against FOLDER/*.npz

Building and running are different processes, so an engine that needs nothing proves it (`run FOLDER nothing` imports no
detrt). Each NPZ holds the inputs by name, and the right outputs as `expected:<name>`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt as trt
import torch

TOLERANCE = 1e-4  # FP32 throughout, TF32 off; QuantizeLinear may round a tie to the other side: none is drawn


def main() -> None:
    task, folder, brings = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    logger = trt.Logger(trt.Logger.WARNING)
    kept = bring(brings)
    for onnx in sorted(folder.glob("*.onnx")):
        engine = onnx.with_suffix(".engine")
        if task == "build":
            engine.write_bytes(built(onnx, brings, logger))
        else:
            run(engine, logger)
        print(f"{task}: {engine.name}", flush=True)
    del kept


def bring(what: str) -> Any:
    """The plugins; what must be kept alive."""
    if what == "nothing":
        assert "detrt" not in sys.modules
        return None
    if what.endswith(".so"):
        handle = trt.get_plugin_registry().load_library(what)
        assert handle is not None
        return handle
    from detrt.plugins.python import register

    return register(what)  # type: ignore[arg-type]


def built(onnx: Path, brings: str, logger: Any) -> bytes:
    builder = trt.Builder(logger)
    flags = trt.NetworkDefinitionCreationFlag
    wanted = [flags.STRONGLY_TYPED]
    for interface, preference in (("aot", "PREFER_AOT_PYTHON_PLUGINS"), ("decorated", "PREFER_JIT_PYTHON_PLUGINS")):
        if brings == interface and hasattr(flags, preference):
            wanted.append(getattr(flags, preference))
    network = builder.create_network(sum(1 << int(flag) for flag in wanted))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(onnx.read_bytes()), [parser.get_error(i).desc() for i in range(parser.num_errors)]
    kinds = [network.get_layer(i).type for i in range(network.num_layers)]
    plugin_kinds = [getattr(trt.LayerType, name) for name in ("PLUGIN_V2", "PLUGIN_V3") if hasattr(trt.LayerType, name)]
    assert any(kind in plugin_kinds for kind in kinds), f"no plugin in the network: {kinds}"
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    config.clear_flag(trt.BuilderFlag.TF32)
    with np.load(onnx.with_suffix(".npz")) as feeds:
        for index in range(network.num_inputs):
            name, shape = network.get_input(index).name, feeds[network.get_input(index).name].shape
            profile.set_shape(name, (1, *shape[1:]), shape, (2 * shape[0], *shape[1:]))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    assert plan is not None
    return bytes(plan)


def run(path: Path, logger: Any) -> None:
    """Once as it is, once replayed from a CUDA graph, once for the first image alone."""
    engine = trt.Runtime(logger).deserialize_cuda_engine(path.read_bytes())
    assert engine is not None
    context = engine.create_execution_context()
    with np.load(path.with_suffix(".npz")) as archive:
        arrays = dict(archive)
    expected = {name.partition(":")[2]: arrays.pop(name) for name in list(arrays) if name.startswith("expected:")}
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    for images in (len(next(iter(arrays.values()))), 1):
        feeds = {name: torch.from_numpy(value[:images]).cuda() for name, value in arrays.items()}
        outputs = {name: torch.full(v[:images].shape, torch.nan, device="cuda") for name, v in expected.items()}
        for name, tensor in feeds.items():
            assert context.set_input_shape(name, tuple(tensor.shape))
        for name, tensor in (feeds | outputs).items():
            context.set_tensor_address(name, tensor.data_ptr())
        torch.cuda.synchronize()
        assert context.execute_async_v3(stream.cuda_stream)
        stream.synchronize()
        require_right(outputs, expected, images)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            assert context.execute_async_v3(stream.cuda_stream)
        for tensor in outputs.values():
            tensor.fill_(torch.nan)
        torch.cuda.synchronize()
        graph.replay()
        torch.cuda.synchronize()
        require_right(outputs, expected, images)


def require_right(outputs: dict[str, Any], expected: dict[str, Any], images: int) -> None:
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name].cpu().numpy(), value[:images], rtol=0, atol=TOLERANCE)


if __name__ == "__main__":
    main()
