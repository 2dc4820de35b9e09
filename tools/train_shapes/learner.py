"""One step of training: on a GPU recorded once as a CUDA graph, then replayed."""

from __future__ import annotations

import copy
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

    On a GPU most of the arithmetic is in bfloat16 (`half`), and a step is recorded and replayed (`graph`): launched one
    by one, its two thousand kernels would take longer than they run.
    """

    def __init__(
        self, variant: Variant, plan: Plan, device: torch.device, *, graph: bool = True, half: bool = True
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
        self._half = half and device.type == "cuda"
        self._begun = 0  # steps since this object was made
        self._recorded: torch.cuda.CUDAGraph | None = None
        self._recording = graph and device.type == "cuda"
        self._parameters = list(self.model.parameters())
        self._old, self._new = _kept(self.average), _kept(self.model)

    def learn(self, batches: Batches, rate: float) -> None:
        """Take one step."""
        batches.copy_to(self._pictures, self._boxes, self._labels)
        if self._recording and self._recorded is None and self._begun >= WARMUPS:
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
        self._begun += 1

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
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half, cache_enabled=False):
            answers = self._training(images, targets)
        terms = losses(answers, targets, self._centres)
        terms.sum().backward()  # type: ignore[no-untyped-call]
        self._terms.copy_(terms.detach())

    def _record(self) -> None:
        """Record `_compute` as a CUDA graph."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                self._compute()
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        for parameter in self._parameters:
            parameter.grad = None  # so that the recording makes gradients of its own, which stay where they are
        self._recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._recorded, capture_error_mode="thread_local"):  # another thread fills batches
            self._compute()

    @torch.no_grad()
    def _remember(self) -> None:
        torch._foreach_lerp_(self._old, self._new, 1 - self.plan.averaging_at(self.step))


def _kept(model: RTDETRv2) -> list[Tensor]:
    """What is averaged: weights, and the running means and variances of the norms."""
    running = [value for name, value in model.named_buffers() if name.endswith(("running_mean", "running_var"))]
    return [*model.parameters(), *running]


def _groups(model: RTDETRv2, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels alone."""
    parameters = list(model.parameters())
    return [
        {"params": [value for value in parameters if value.ndim > 1], "weight_decay": decay},
        {"params": [value for value in parameters if value.ndim == 1], "weight_decay": 0.0},
    ]
