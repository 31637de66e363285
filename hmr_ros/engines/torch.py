"""Networks in torch on the CPU, from the weights themselves."""

from __future__ import annotations

import torch
from torch import nn

from hmr_ros.engines.contract import Engine, Signature
from hmr_ros.types import Floats


class TorchEngine(Engine):
    """A module whose positional inputs and outputs are those of the signature, in its order."""

    kind = "torch"

    def __init__(self, module: nn.Module, signature: Signature) -> None:
        self.module = module.eval()
        super().__init__(signature, "cpu", "float32")

    @torch.inference_mode()
    def _run(self, inputs: dict[str, Floats]) -> dict[str, Floats]:
        answer = self.module(*(torch.as_tensor(inputs[name]) for name in self.signature.inputs))
        answers = answer if isinstance(answer, tuple) else (answer,)
        return {name: a.numpy() for name, a in zip(self.signature.outputs, answers, strict=True)}
