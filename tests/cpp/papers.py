"""An engine's manifest for an engine of six bytes."""

from __future__ import annotations

import hashlib

from detrt.contract import ModelContract, ResizeRule
from detrt.engine.manifest import EngineManifest
from detrt.engine.platform import here
from detrt.signature import TensorSpec

CONTRACT = ModelContract(
    (32, 48),
    output_form="raw",
    sizes_name=None,
    resize=ResizeRule("letterbox", antialias=False, pad=7),
    color="BGR",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    class_names=("cat", "dög", 'a "mug"'),
    top_k=20,
    variant="tiny",
)


def papers(
    *, platform: str | None = None, capabilities: tuple[str, ...] = (), metadata: dict[str, str] | None = None
) -> EngineManifest:
    """Of an engine whose content is `engine`."""
    return EngineManifest(
        flavour="tensorrt_rtx",
        version="1.6.1.120",
        platform=platform or here(),
        compute_capabilities=capabilities,
        hardware="none",
        version_compatible=False,
        gpu="",
        precision="fp16",
        precision_note="3 of 7 nodes stay FP32",
        batch=(1, 4, 8),
        profile={"images": ((1, 3, 32, 48), (4, 3, 32, 48), (8, 3, 32, 48))},
        inputs=(TensorSpec("images", (None, 3, 32, 48), "float32"),),
        outputs=(TensorSpec("logits", (None, 5, 3), "float32"), TensorSpec("boxes", (None, 5, 4), "float32")),
        metadata=CONTRACT.to_metadata() if metadata is None else metadata,
        plugins=(),
        onnx="it's a model.onnx",
        onnx_sha256="0" * 64,
        arguments=("--precision", "fp16", "--calib", "my photos"),
        fingerprint="f",
        layers={"network": 3},
        detrt="0",
        engine_sha256=hashlib.sha256(b"engine").hexdigest(),
        engine_bytes=6,
        rewrites=("one",),
    )
