"""What every engine is: named arrays in, named arrays out, any number of people at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.types import Floats

if TYPE_CHECKING:
    from torch import nn

Arrays = Mapping[str, Floats]


@dataclass(frozen=True)
class Signature:
    """Names and sizes of what a network takes and gives; every array has the batch as its first axis."""

    network: str
    inputs: dict[str, tuple[int, ...]]  # sizes behind the batch
    outputs: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Graph:
    """A network in torch, ready to run or to be exported."""

    module: nn.Module  # positional inputs and outputs are those of the signature, in its order
    signature: Signature
    sources: tuple[Path, ...]  # every file that it was made from
    settings: dict[str, int]  # what is baked in, e.g. steps


MakeInputs = Callable[[Signature, int, int], dict[str, Floats]]  # signature, people, seed -> plausible inputs


class Engine(ABC):
    """A network that is ready to run. Not safe to call from several threads at once."""

    kind: ClassVar[str]  # as in the configuration
    max_batch: int | None = None  # more people than this are answered in several runs

    def __init__(self, signature: Signature, device: str, dtype: str) -> None:
        self.signature, self.device, self.dtype = signature, device, dtype

    def __call__(self, inputs: Arrays) -> dict[str, Floats]:
        """`inputs` as in the signature, all with the same first axis; outputs float32. Raises InputError."""
        given, count = self._checked(inputs)
        most = self.max_batch or max(count, 1)
        if count == 0:
            return {name: np.zeros((0, *size), np.float32) for name, size in self.signature.outputs.items()}
        parts = [self._run({k: v[i : i + most] for k, v in given.items()}) for i in range(0, count, most)]
        return parts[0] if len(parts) == 1 else {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}

    @abstractmethod
    def _run(self, inputs: dict[str, Floats]) -> dict[str, Floats]:
        """Checked, contiguous float32 arrays with at least one row."""

    def _checked(self, inputs: Arrays) -> tuple[dict[str, Floats], int]:
        wanted, name = self.signature.inputs, self.signature.network
        if set(inputs) != set(wanted):
            raise InputError(f"network '{name}' takes {', '.join(wanted)}, not {', '.join(inputs)}; rename the inputs")
        given = {k: np.ascontiguousarray(inputs[k], np.float32) for k in wanted}
        counts = {len(v) if v.ndim else -1 for v in given.values()}
        for key, size in wanted.items():
            if given[key].shape[1:] != size or len(counts) > 1:
                raise InputError(
                    f"network '{name}' takes {key} as {['N', *size]}, not {list(given[key].shape)}, with one N for all"
                    " inputs; correct the shape"
                )
        return given, counts.pop()
