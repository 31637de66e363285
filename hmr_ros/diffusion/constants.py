"""Tables as tensors that stay: made once for each device, so that nothing is copied to it in the middle of a graph."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def constant(values: ArrayLike, device: str, dtype: torch.dtype = torch.int64) -> Tensor:
    """`values` on a device. Made with NumPy until here, so that an export sees a constant and not how it was made."""
    with torch.inference_mode(False):  # it is kept, and an export could not use what inference made
        return torch.as_tensor(np.array(values)).to(device, dtype)
