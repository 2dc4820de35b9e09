"""From a model file and a runtime's name to something that can be timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal, get_args

from detrt.benchmark.end_to_end import EndToEndStream, end_to_end_calls
from detrt.benchmark.photos import batches, input_sets
from detrt.benchmark.pytorch import UNTRAINED, torch_runtime
from detrt.benchmark.timeables import DeviceRuns, HostCalls, TorchRuns
from detrt.benchmark.timings import Protocol, Subject
from detrt.benchmark.turns import Timeable
from detrt.detector import Detector, contract_of
from detrt.errors import ModelError, UsageError
from detrt.images.read import Pixels
from detrt.runtime.base import Runtime
from detrt.runtime.onnxruntime import OnnxRuntime

RuntimeName = Literal["onnxruntime-cpu", "onnxruntime-cuda", "tensorrt", "torch", "torch-compiled"]
_BY_SUFFIX: dict[str, tuple[RuntimeName, ...]] = {
    ".onnx": ("onnxruntime-cpu", "onnxruntime-cuda"),
    ".engine": ("tensorrt",),
    ".pth": ("torch", "torch-compiled"),
    ".pt": ("torch", "torch-compiled"),
    ".safetensors": ("torch", "torch-compiled"),
}
_SETS = 16


@dataclass(frozen=True)
class Case:
    """One row to be: which model, by which runtime, how."""

    model: str
    runtime: RuntimeName
    protocol: Protocol = "engine"
    batch: int = 1
    graph: bool = True
    streams: int = 1
    precision: str = ""

    def __str__(self) -> str:
        """For example `model.engine by tensorrt: engine, batch 8`."""
        return f"{self.model} by {self.runtime}: {self.protocol}, batch {self.batch}"


def cases_of(
    models: Sequence[str],
    *,
    runtimes: Sequence[str] = (),
    protocols: Sequence[str] = ("engine",),
    batch_sizes: Sequence[int] = (1,),
    graphs: Sequence[bool] = (True,),
    streams: Sequence[int] = (1,),
    precisions: Sequence[str] = ("fp32",),
) -> list[Case]:
    """Every combination that makes sense, model by model.

    Args:
        models: paths of ONNX files, engines and checkpoints; `random:r18vd` is that variant, untrained, in PyTorch.
        runtimes: those wanted; by default the first that fits a model's suffix.
        protocols: where the clock starts and stops.
        batch_sizes: images a run.
        graphs: with and without a CUDA graph, where the runtime has any.
        streams: runs under way at once.
        precisions: of PyTorch models; other files have their own.

    Raises:
        UsageError: no runtime fits a model, or an unknown name.
    """
    _all_known("runtime", runtimes, get_args(RuntimeName))
    _all_known("protocol", protocols, get_args(Protocol))
    cases = []
    for model in models:
        for runtime in _runtimes_for(model, runtimes):
            variants = product(
                get_args(Protocol),
                batch_sizes,
                graphs if runtime == "tensorrt" else (True,),
                streams,
                precisions if runtime.startswith("torch") else ("",),
            )
            cases += [Case(model, runtime, *variant) for variant in variants if variant[0] in protocols]
    return cases


def open_case(case: Case, photos: Sequence[Pixels], files: Sequence[bytes] = ()) -> Timeable:
    """Load the model of a case, ready to be timed on `photos`, or end to end on the `files` that they are in.

    Raises:
        ModelError: it cannot be loaded here, or does not take such a batch.
    """
    runtime = _open(case)
    try:
        _check_batch(runtime, case.batch)
        match case.protocol:
            case "engine":
                return _engine(case, runtime, photos)
            case "infer":
                return _infer(case, runtime, photos)
            case "e2e":
                return end_to_end_calls(_subject(case, runtime), Detector(runtime, contract_of(runtime, {})), files)
            case "stream":
                return EndToEndStream(_subject(case, runtime), Detector(runtime, contract_of(runtime, {})), files)
    except BaseException:
        runtime.close()
        raise


def _infer(case: Case, runtime: Runtime, photos: Sequence[Pixels]) -> Timeable:
    detector = Detector(runtime, contract_of(runtime, {}))
    chosen = batches(photos, case.batch, _SETS)
    return HostCalls(_subject(case, runtime), lambda run: detector.detect(chosen[run % _SETS]), detector.close)


def _engine(case: Case, runtime: Runtime, photos: Sequence[Pixels]) -> Timeable:
    subject = _subject(case, runtime)
    sets = input_sets(contract_of(runtime, {}), photos, case.batch)
    if case.runtime == "tensorrt":
        from detrt.runtime.cuda import CudaEvent
        from detrt.runtime.tensorrt import TensorRTRuntime

        assert isinstance(runtime, TensorRTRuntime)
        return DeviceRuns(subject, runtime, sets, gpu=runtime.gpu, event=CudaEvent)
    if case.runtime.startswith("torch") and runtime.device != "cpu":
        from detrt.runtime.torch import TorchRuntime

        assert isinstance(runtime, TorchRuntime)
        return TorchRuns(subject, runtime, sets)
    if isinstance(runtime, OnnxRuntime):
        calls = [runtime.resident(feeds) for feeds in sets]
        return HostCalls(subject, lambda run: calls[run % len(calls)](), runtime.close)
    return HostCalls(subject, lambda run: runtime.run(sets[run % len(sets)]), runtime.close)


def _subject(case: Case, runtime: Runtime) -> Subject:
    manifest = getattr(runtime, "manifest", None)
    return Subject(
        model=Path(case.model).name,
        runtime=runtime.name,
        precision=manifest.precision if manifest else case.precision,
        device=runtime.device,
        protocol=case.protocol,
        batch=case.batch,
        graph=case.graph if case.runtime == "tensorrt" else None,
        streams=case.streams,
    )


def _open(case: Case) -> Runtime:
    if not case.model.startswith(UNTRAINED) and not Path(case.model).is_file():
        raise ModelError(f"There is no model at {case.model}.", "Check the path.")
    match case.runtime:
        case "onnxruntime-cpu" | "onnxruntime-cuda":
            return OnnxRuntime(case.model, device=case.runtime.rpartition("-")[2])
        case "tensorrt":
            from detrt.runtime.tensorrt import TensorRTRuntime

            return TensorRTRuntime(case.model, graph=case.graph)
        case "torch" | "torch-compiled":
            return torch_runtime(case.model, precision=case.precision, compiled=case.runtime == "torch-compiled")


def _check_batch(runtime: Runtime, batch: int) -> None:
    fixed = runtime.inputs[0].shape[0]
    if fixed is not None and fixed != batch:
        raise ModelError(
            f"{runtime.name} takes batches of {fixed}, not of {batch}.",
            f"Use --batch {fixed}, or a model whose batch is dynamic.",
        )


def _runtimes_for(model: str, wanted: Sequence[str]) -> list[RuntimeName]:
    suffix = ".pth" if model.startswith(UNTRAINED) else Path(model).suffix
    fitting = _BY_SUFFIX.get(suffix, ())
    chosen = [name for name in fitting if name in wanted] if wanted else list(fitting[:1])
    if not chosen:
        raise UsageError(
            f"{model} is run by {' or '.join(fitting) or 'nothing here'}"
            + (f", not by {' or '.join(wanted)}." if wanted else "."),
            "Choose another --runtime, or none.",
        )
    return chosen


def _all_known(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"There is no {what} '{unknown[0]}'.", f"Use: {', '.join(known)}.")
