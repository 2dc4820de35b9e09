"""The part of TensorRT's Python API that detrt uses, as types.

Three modules answer to it: `tensorrt` 10.x, `tensorrt` 11.x and `tensorrt_rtx`. mypy holds our code to what is
declared here; tests/engine/test_api.py holds what is declared here to the real bindings of all three. So an attribute
that one of them lacks fails a test on any machine, with or without a GPU. What only TensorRT-RTX has stands in the
protocols named Rtx.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Member(Protocol):
    """One value of an enumeration of the bindings."""

    @property
    def name(self) -> str: ...
    def __int__(self) -> int: ...


class HostMemory(Protocol):
    """Bytes that TensorRT owns; `memoryview` and `bytes` read them."""

    @property
    def nbytes(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...


class Tensor(Protocol):
    """A tensor of a network; a dynamic axis is -1."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> Sequence[int]: ...
    @property
    def dtype(self) -> Member: ...


class Network(Protocol):
    """A network definition, filled by the parser."""

    @property
    def num_inputs(self) -> int: ...
    @property
    def num_outputs(self) -> int: ...
    @property
    def num_layers(self) -> int: ...
    def get_input(self, index: int, /) -> Tensor: ...
    def get_output(self, index: int, /) -> Tensor: ...


class ParserError(Protocol):
    """Why the parser stopped."""

    def desc(self) -> str: ...
    def node(self) -> int: ...
    def node_name(self) -> str: ...
    def node_operator(self) -> str: ...


class OnnxParser(Protocol):
    """ONNX to network."""

    @property
    def num_errors(self) -> int: ...
    def parse(self, model: bytes, /) -> bool: ...
    def get_error(self, index: int, /) -> ParserError: ...


class OptimizationProfile(Protocol):
    """The least, the usual and the greatest shape of each dynamic input."""

    def set_shape(self, name: str, least: Sequence[int], usual: Sequence[int], greatest: Sequence[int], /) -> None: ...


class TimingCache(Protocol):
    """What the builder measured, kept between builds."""

    def serialize(self) -> HostMemory: ...


class BuilderConfig(Protocol):
    """How to build."""

    builder_optimization_level: int
    hardware_compatibility_level: Any
    profiling_verbosity: Any
    progress_monitor: Any

    def set_flag(self, flag: Member, /) -> None: ...
    def clear_flag(self, flag: Member, /) -> None: ...
    def set_memory_pool_limit(self, pool: Member, pool_size: int, /) -> None: ...
    def add_optimization_profile(self, profile: OptimizationProfile, /) -> int: ...
    def create_timing_cache(self, serialized_timing_cache: bytes, /) -> TimingCache: ...
    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool, /) -> bool: ...
    def get_timing_cache(self) -> TimingCache | None: ...


class RtxBuilderConfig(BuilderConfig, Protocol):
    """TensorRT-RTX builds for GPUs that need not be present."""

    num_compute_capabilities: int

    def set_compute_capability(self, compute_capability: Member, index: int, /) -> bool: ...


class Builder(Protocol):
    """Network to serialised engine."""

    def create_network(self, flags: int, /) -> Network: ...
    def create_builder_config(self) -> BuilderConfig: ...
    def create_optimization_profile(self) -> OptimizationProfile: ...
    def build_serialized_network(self, network: Network, config: BuilderConfig, /) -> HostMemory | None: ...


class PluginRegistry(Protocol):
    """Where plugin libraries register what they bring."""

    def load_library(self, plugin_path: str, /) -> Any: ...


class ExecutionContext(Protocol):
    """One place to run an engine in."""

    def set_input_shape(self, name: str, shape: Sequence[int], /) -> bool: ...
    def get_tensor_shape(self, name: str, /) -> Sequence[int]: ...
    def set_tensor_address(self, name: str, memory: int, /) -> bool: ...
    def execute_async_v3(self, stream_handle: int) -> bool: ...


class RuntimeCache(Protocol):
    """Kernels that TensorRT-RTX compiled for this GPU."""

    def serialize(self) -> HostMemory: ...
    def deserialize(self, blob: bytes, /) -> bool: ...


class RuntimeConfig(Protocol):
    """How TensorRT-RTX makes a context; it compiles kernels as the context is made or first run."""

    dynamic_shapes_kernel_specialization_strategy: Any

    def create_runtime_cache(self) -> RuntimeCache: ...
    def set_runtime_cache(self, cache: RuntimeCache, /) -> bool: ...


class Engine(Protocol):
    """A deserialised engine."""

    @property
    def num_layers(self) -> int: ...
    def create_execution_context(self) -> ExecutionContext | None: ...


class RtxEngine(Protocol):
    """An engine of TensorRT-RTX, whose contexts take more settings."""

    def create_runtime_config(self) -> RuntimeConfig: ...
    def create_execution_context(self, runtime_config: RuntimeConfig, /) -> ExecutionContext | None: ...


class Runtime(Protocol):
    """Bytes to engine."""

    engine_host_code_allowed: bool

    def deserialize_cuda_engine(self, serialized_engine: bytes, /) -> Engine | None: ...


class Enumeration(Protocol):
    """An enumeration of the bindings; its members are declared in `MEMBERS`."""

    def __getattr__(self, name: str, /) -> Any: ...


class Module(Protocol):
    """`tensorrt` or `tensorrt_rtx`."""

    __version__: str
    ILogger: type[Any]
    IProgressMonitor: type[Any]
    BuilderFlag: Enumeration
    ExecutionContextAllocationStrategy: Enumeration
    HardwareCompatibilityLevel: Enumeration
    MemoryPoolType: Enumeration
    NetworkDefinitionCreationFlag: Enumeration
    ProfilingVerbosity: Enumeration

    def Builder(self, logger: Any, /) -> Builder: ...  # noqa: N802
    def OnnxParser(self, network: Network, logger: Any, /) -> OnnxParser: ...  # noqa: N802
    def Runtime(self, logger: Any, /) -> Runtime: ...  # noqa: N802
    def get_plugin_registry(self) -> PluginRegistry: ...


class RtxModule(Module, Protocol):
    """`tensorrt_rtx`."""

    ComputeCapability: Enumeration
    DynamicShapesKernelSpecializationStrategy: Enumeration


# Class of the bindings -> the protocol that says what we use of it. (The bindings prefix interfaces with an I.)
CLASSES: dict[str, type] = {
    "Builder": Builder,
    "IBuilderConfig": BuilderConfig,
    "ICudaEngine": Engine,
    "IExecutionContext": ExecutionContext,
    "IHostMemory": HostMemory,
    "INetworkDefinition": Network,
    "IOptimizationProfile": OptimizationProfile,
    "IPluginRegistry": PluginRegistry,
    "ITensor": Tensor,
    "ITimingCache": TimingCache,
    "OnnxParser": OnnxParser,
    "ParserError": ParserError,
    "Runtime": Runtime,
}

RTX_CLASSES: dict[str, type] = {
    "IBuilderConfig": RtxBuilderConfig,
    "ICudaEngine": RtxEngine,
    "IRuntimeCache": RuntimeCache,
    "IRuntimeConfig": RuntimeConfig,
}

# Enumeration -> the members that we name in code.
MEMBERS: dict[str, tuple[str, ...]] = {
    "BuilderFlag": ("REFIT", "TF32", "VERSION_COMPATIBLE"),
    "HardwareCompatibilityLevel": ("AMPERE_PLUS",),
    "MemoryPoolType": ("WORKSPACE",),
    "NetworkDefinitionCreationFlag": ("STRONGLY_TYPED",),
    "ProfilingVerbosity": ("DETAILED",),
}

RTX_MEMBERS: dict[str, tuple[str, ...]] = {
    "DynamicShapesKernelSpecializationStrategy": ("EAGER",),
}
