"""How far a network may be from its original in float32, by output and precision."""

from __future__ import annotations

import numpy as np

from hmr_ros.runtime.contract import Arrays

FLOAT32, FLOAT16 = "fp32", "fp16"
PRECISIONS = (FLOAT32, FLOAT16)
RELATIVE = {FLOAT32: 1e-4, FLOAT16: 1e-2}  # of the largest value, for outputs that the table does not name
# with products in float16, in each output's unit: points in sizes of the person (about 0.5 m), rotations as entries of
# matrices, pelvis in m. A body that is made of such answers has no joint a millimetre off (tests/runtime)
_HALF = {
    "points_2d": 3e-4, "sigma_2d": 3e-4, "points_3d": 3e-4, "sigma_3d": 3e-4, "rotations": 1e-3, "pelvis": 2e-4,
    "mean": 3e-4, "samples": 2e-3, "clean": 2e-3, "mesh": 2e-4,
    "points": 2e-3, "sines": 5e-3,
}  # fmt: skip
_HALF_RELATIVE = {"sigma": 0.1}  # an exponential of what a network says


def allowed(name: str, expected: Arrays, precision: str) -> float:
    """Largest difference that the output `name` may have, in its unit."""
    largest = float(np.abs(expected[name]).max())
    if precision == FLOAT16:
        if name in _HALF:
            return _HALF[name]
        return _HALF_RELATIVE.get(name, RELATIVE[FLOAT16]) * largest
    return RELATIVE[FLOAT32] * max(largest, 1e-9)


def differences(expected: Arrays, found: Arrays) -> dict[str, float]:
    """Largest difference of each output; infinite where something is not finite."""
    worst = {name: float(np.abs(array - found[name]).max()) for name, array in expected.items()}
    return {name: error if np.isfinite(error) else float("inf") for name, error in worst.items()}


def beyond(errors: dict[str, float], expected: Arrays, precision: str) -> str:
    """Which of the `differences` is larger than `allowed`, in words; "" where none is."""
    for name, error in errors.items():
        limit = allowed(name, expected, precision)
        if not error <= limit:
            return f"by {error:.1e} in {name} (allowed {limit:.1e})"
    return ""


def relative_errors(expected: Arrays, found: Arrays) -> dict[str, float]:
    """The same over the largest value of each output."""
    largest = {name: max(float(np.abs(array).max()), 1e-9) for name, array in expected.items()}
    return {name: error / largest[name] for name, error in differences(expected, found).items()}
