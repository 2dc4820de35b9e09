"""ONNX file to engine and manifest."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import cast

import onnx

from detrt import __version__
from detrt.engine import api
from detrt.engine.calibration import ranges_from_photos
from detrt.engine.capabilities import refuse_unsupported, refuse_unsupported_model
from detrt.engine.debug_tensors import mark_debug_tensors
from detrt.engine.fingerprint import fingerprint, up_to_date
from detrt.engine.flavour import Flavour, find, member
from detrt.engine.interrupt import interrupt_held
from detrt.engine.log import gist
from detrt.engine.manifest import EngineManifest, cache_path
from detrt.engine.monitor import BuildMonitor
from detrt.engine.network import fixed_to_profile, network_from_onnx, network_inputs, network_outputs
from detrt.engine.options import BuildOptions, Shapes, batch_of, profile_of, refuse_other_size
from detrt.engine.platform import here
from detrt.engine.plugins import load_plugins, papers_of
from detrt.engine.tf32 import decide_on_tf32
from detrt.engine.timing_cache import TimingCacheFile
from detrt.errors import EngineError, UsageError
from detrt.files import refuse_unwritable, whole
from detrt.graph.engine_form import EngineForm, in_engine_form
from detrt.graph.onnx_file import contract_from_onnx, input_specs, load, sha256_of_model
from detrt.graph.plugin_nodes import for_plugins
from detrt.graph.precision import plan_precision, with_plan
from detrt.graph.ranges import hash_of
from detrt.progress import Progress, silent
from detrt.runtime import cuda
from detrt.runtime.gpu import Gpu


@dataclass(frozen=True)
class BuildResult:
    """The engine, its manifest, and whether anything had to be done."""

    engine: Path
    manifest: EngineManifest
    was_up_to_date: bool
    seconds: float


def build_engine(
    model: str | os.PathLike[str],
    engine: str | os.PathLike[str],
    options: BuildOptions | None = None,
    *,
    force: bool = False,
    progress: Progress = silent,
) -> BuildResult:
    """Build `engine` from the ONNX file `model`, or find that it is up to date.

    Both files (the engine, and its manifest beside it) are written whole, the manifest last.

    Args:
        model: path of an ONNX file, in float32 or with Q/DQ nodes.
        engine: path to write, `.engine`.
        options: how to build; see `BuildOptions`.
        force: build even where the engine is up to date.
        progress: told of calibration photos and of the builder's phases.

    Raises:
        ModelError: the ONNX file cannot be read.
        UsageError: options that do not fit the model or this TensorRT.
        EngineError: TensorRT cannot build it; says why.
        MissingExtraError: there is no TensorRT here.
        KeyboardInterrupt: Ctrl-C; TensorRT ends after the step that it is at.
    """
    started = time.perf_counter()
    options = options or BuildOptions()
    source, target = Path(model), _engine_path(engine)
    flavour = find(options.flavour)
    gpu = cuda.first_gpu()
    refuse_unsupported(options, flavour, gpu)
    proto = load(source)
    refuse_unsupported_model(proto, flavour)
    if options.size:
        refuse_other_size(input_specs(proto), options.size)
    digest = sha256_of_model(source)
    plugins = papers_of(options.plugins, target)
    expected = fingerprint(digest, options, plugins, flavour, gpu)
    if not force and (current := up_to_date(target, expected)):
        return BuildResult(target, current, was_up_to_date=True, seconds=time.perf_counter() - started)
    refuse_unwritable(target)

    contract = contract_from_onnx(proto)
    size = options.size or (contract.input_size if contract else None)
    profile = profile_of(input_specs(proto), options.batch, size)
    form = _form(fixed_to_profile(proto, profile), options)
    ready, note = _at_precision(form.model, options, progress)
    load_plugins(options.plugins, flavour)
    decide_on_tf32(flavour, options.precision)
    with interrupt_held() as interrupt:
        builder = flavour.trt.Builder(flavour.log.native)
        network = network_from_onnx(ready, builder, flavour)
        mark_debug_tensors(network, options.debug_tensors)
        monitor = BuildMonitor(flavour.trt, progress, interrupt)
        serialized = _serialized(builder, network, options, profile, flavour, monitor)
        layers = {"network": network.num_layers} | _engine_layers(serialized, flavour, gpu)
    manifest = EngineManifest(
        flavour=flavour.name,
        version=flavour.version,
        platform=here(),
        compute_capabilities=options.targets or (() if flavour.is_rtx or gpu is None else (gpu.capability,)),
        hardware=options.hardware,
        version_compatible=options.version_compatible,
        gpu=gpu.name if gpu else "",
        precision=options.precision,
        precision_note=note,
        batch=astuple(batch_of(profile, options.batch)),
        profile=profile,
        inputs=network_inputs(network),
        outputs=network_outputs(network),
        metadata={entry.key: entry.value for entry in proto.metadata_props},
        plugins=plugins,
        onnx=source.name,
        onnx_sha256=digest,
        arguments=tuple(options.to_arguments()),
        fingerprint=expected,
        layers=layers,
        detrt=__version__,
        engine_sha256=hashlib.sha256(serialized).hexdigest(),
        engine_bytes=len(serialized),
        rewrites=form.rewrites,
    )
    _write(target, serialized, manifest)
    return BuildResult(target, manifest, was_up_to_date=False, seconds=time.perf_counter() - started)


def _engine_path(engine: str | os.PathLike[str]) -> Path:
    path = Path(engine)
    if path.suffix != ".engine":
        raise UsageError(
            f"The engine would be called {path.name}.", f"Call it {path.stem}.engine: detrt opens by suffix."
        )
    return path


def _form(proto: onnx.ModelProto, options: BuildOptions) -> EngineForm:
    """The graph to build, which keeps the names of its tensors where somebody wants to look at them."""
    return EngineForm(proto, ()) if options.as_exported or options.debug_tensors else in_engine_form(proto)


def _at_precision(proto: onnx.ModelProto, options: BuildOptions, progress: Progress) -> tuple[onnx.ModelProto, str]:
    """The model with the precision in its graph, and a line that says what stayed FP32."""
    ranges = None
    if options.calibration and options.precision in ("fp16", "bf16"):
        narrow = options.precision
        ranges = ranges_from_photos(proto, options.calibration, narrow, progress=progress)
    if options.plugins:
        proto = for_plugins(proto).model
        ranges = ranges and replace(ranges, model_sha256=hash_of(proto))  # the same tensors, but for those inside nodes
    plan = plan_precision(proto, options.precision, ranges=ranges)
    return with_plan(proto, plan).model, plan.summary()


def _serialized(
    builder: api.Builder,
    network: api.Network,
    options: BuildOptions,
    profile: Mapping[str, Shapes],
    flavour: Flavour,
    monitor: BuildMonitor,
) -> bytes:
    """Run the builder.

    Raises:
        EngineError: it gave up; with the first errors that it logged.
    """
    config = _config(builder, options, profile, flavour)
    config.progress_monitor = monitor.native
    with TimingCacheFile(options.timing_cache, config), flavour.log.errors() as said:
        memory = builder.build_serialized_network(network, config)
    if monitor.raised:
        raise monitor.raised
    if memory is None:
        raise EngineError(
            f"{flavour} cannot build the engine: {gist(said)}.",
            "`detrt build -vv` shows all that the builder says. A smaller --batch or --precision fp32 may help to "
            "find the cause.",
        )
    return bytes(memory)


def _config(
    builder: api.Builder, options: BuildOptions, profile: Mapping[str, Shapes], flavour: Flavour
) -> api.BuilderConfig:
    trt, config = flavour.trt, builder.create_builder_config()
    if options.precision == "fp32":
        config.clear_flag(trt.BuilderFlag.TF32)  # on by default
    if options.level is not None:
        config.builder_optimization_level = options.level
    if options.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    if options.refit:
        config.set_flag(trt.BuilderFlag.REFIT)
    if options.detailed:
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware != "none":
        level = "AMPERE_PLUS" if options.hardware == "ampere+" else "SAME_COMPUTE_CAPABILITY"
        config.hardware_compatibility_level = member(trt.HardwareCompatibilityLevel, level, flavour)
    if flavour.is_rtx:
        _set_targets(cast("api.RtxBuilderConfig", config), options.targets, flavour)
    shapes = builder.create_optimization_profile()
    for name, (least, usual, greatest) in profile.items():
        if least != greatest:
            shapes.set_shape(name, least, usual, greatest)
    config.add_optimization_profile(shapes)
    return config


def _set_targets(config: api.RtxBuilderConfig, targets: tuple[str, ...], flavour: Flavour) -> None:
    config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        name = f"SM{target.replace('.', '')}"
        config.set_compute_capability(member(flavour.rtx.ComputeCapability, name, flavour), index)


def _engine_layers(serialized: bytes, flavour: Flavour, gpu: Gpu | None) -> dict[str, int]:
    """How many layers the engine has, where there is a GPU to read it on."""
    if gpu is None:
        return {}
    engine = flavour.trt.Runtime(flavour.log.native).deserialize_cuda_engine(serialized)
    return {"engine": engine.num_layers} if engine else {}


def _write(engine: Path, serialized: bytes, manifest: EngineManifest) -> None:
    """Engine first, manifest last: between the two, the old manifest's hash does not fit and nothing runs."""
    with whole(engine) as part:
        part.write_bytes(serialized)
    manifest.save(engine)
    cache_path(engine).unlink(missing_ok=True)
