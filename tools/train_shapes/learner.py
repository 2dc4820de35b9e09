"""One step of training: on a GPU recorded once as a CUDA graph, then replayed."""

from __future__ import annotations

import copy
import sys
import traceback
from typing import Any

import torch
from tools.train_shapes.batches import Batches, turned
from tools.train_shapes.forward import Training
from tools.train_shapes.initial import initialise
from tools.train_shapes.loss import TERMS, losses
from tools.train_shapes.plan import Plan
from tools.train_shapes.scenes import MOST
from torch import Tensor

from detrt.models.decoder import anchor_logits
from detrt.models.rtdetrv2 import RTDETRv2
from detrt.models.variants import Variant

WARMUPS = 12  # steps before the recording, in which cuDNN chooses its kernels


class Learner:
    """A model, the average of its past weights, and the optimiser.

    Attributes:
        model: what learns.
        average: what is judged and kept.
        step: steps so far.
    """

    def __init__(
        self, variant: Variant, plan: Plan, device: torch.device, *, graph: bool = True, compiled: bool = False
    ) -> None:
        self.plan = plan
        self.device = device
        self.step = 0
        self.model = RTDETRv2(variant)
        initialise(self.model)
        self.model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self._training = Training(self.model, MOST).to(device)
        self._optimiser = torch.optim.AdamW(_groups(self.model, plan.decay), lr=plan.rate, fused=device.type == "cuda")
        side = variant.size[0]
        self._pictures = torch.zeros(plan.batch, side, side, 3, dtype=torch.uint8, device=device)
        self._boxes = torch.full((plan.batch, MOST, 4), 0.5, device=device)
        self._labels = torch.full((plan.batch, MOST), -1, dtype=torch.int64, device=device)
        self._terms = torch.zeros(len(TERMS), device=device)
        self._centres = anchor_logits(variant.size)[0][0, :, :2].sigmoid().to(device)
        if compiled:
            self.model.backbone.compile()
            self.model.encoder.compile()
        self._recorded: torch.cuda.CUDAGraph | None = None
        self._recording = graph and device.type == "cuda"
        self._parameters = list(self.model.parameters())

    def learn(self, batches: Batches, rate: float) -> None:
        """Take one step."""
        batches.copy_to(self._pictures, self._boxes, self._labels)
        if self._recording and self._recorded is None and self.step >= WARMUPS:
            self._record()
        if self._recorded is not None:
            self._recorded.replay()
        else:
            self._compute()
        torch.nn.utils.clip_grad_norm_(self._parameters, self.plan.clip)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        self._remember()
        self.step += 1

    def terms(self) -> dict[str, float]:
        """The last step's losses."""
        return dict(zip(TERMS, self._terms.tolist(), strict=True))

    def state(self) -> dict[str, Any]:
        """All that goes on learning needs."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "step": self.step,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def _compute(self) -> None:
        """Gradients of the batch that lies ready."""
        for parameter in self._parameters:
            parameter.grad = None
        images, targets = turned(self._pictures, self._boxes, self._labels)
        on_gpu = self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=on_gpu, cache_enabled=False):
            answers = self._training(images, targets)
        terms = losses(answers, targets, self._centres)
        terms.sum().backward()  # type: ignore[no-untyped-call]
        self._terms.copy_(terms.detach())

    def _record(self) -> None:
        """Record `_compute`; where that fails, say why and go on without."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(stream):
                for _ in range(2):
                    self._compute()
            torch.cuda.current_stream().wait_stream(stream)
            torch.cuda.synchronize()
            for parameter in self._parameters:
                parameter.grad = None  # so that the recording makes gradients of its own, which stay where they are
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._compute()
            self._recorded = graph
        except RuntimeError:
            traceback.print_exc()
            print("The step cannot be recorded as a CUDA graph; going on without.", file=sys.stderr, flush=True)
            self._recording = False
            torch.cuda.synchronize()

    @torch.no_grad()
    def _remember(self) -> None:
        stays = self.plan.averaging_at(self.step)
        pairs = [
            (old, new)
            for old, new in zip(self._kept(self.average), self._kept(self.model), strict=True)
            if old.is_floating_point()
        ]
        torch._foreach_lerp_([old for old, _ in pairs], [new for _, new in pairs], 1 - stays)

    @staticmethod
    def _kept(model: RTDETRv2) -> list[Tensor]:
        """Weights, and the running mean and variance of the norms."""
        skipped = ("anchors", "num_points_scale", "position")
        buffers = [value for name, value in model.named_buffers() if not name.endswith(skipped)]
        return [*model.parameters(), *buffers]


def _groups(model: RTDETRv2, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels alone."""
    parameters = list(model.parameters())
    return [
        {"params": [value for value in parameters if value.ndim > 1], "weight_decay": decay},
        {"params": [value for value in parameters if value.ndim == 1], "weight_decay": 0.0},
    ]
