"""Build an ONNX model with TensorRT-RTX in a process of its own: `rtx_build.py MODEL [FOLDER]`. Needs no GPU."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any


def main(model: str, folder: str | None = None) -> None:
    """Print the version and the engine's size, or what went wrong, and exit with 1."""
    if folder:
        sys.path.insert(0, folder)
    trt: Any = importlib.import_module("tensorrt_rtx_bindings")
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.ERROR))
    if not parser.parse(Path(model).read_bytes()):
        sys.exit("\n".join(str(parser.get_error(number)) for number in range(parser.num_errors)))
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for number in range(network.num_inputs):
        value = network.get_input(number)
        shape = [max(1, side) for side in value.shape]
        profile.set_shape(value.name, shape, shape, shape)
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        sys.exit("no engine")
    print(trt.__version__, engine.nbytes)


if __name__ == "__main__":
    main(*sys.argv[1:])
