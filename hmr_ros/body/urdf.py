"""Lines of URDF that the descriptions of a person share."""

from __future__ import annotations

import numpy as np

from hmr_ros.types import Floats

_ANY_TURN = (-3.15, 3.15)  # rad


def joint(
    name: str,
    kind: str,
    parent: str,
    child: str,
    offset: Floats,
    axis: str = "",
    limits: tuple[float, float] = _ANY_TURN,
) -> list[str]:
    """A joint between two links, at `offset` [3] m in the parent; it turns about an `axis` ("x y z") within `limits`,
    rad."""
    low, high = limits
    turn = [f'    <axis xyz="{axis}"/>', f'    <limit lower="{low}" upper="{high}" effort="0" velocity="0"/>']
    return [
        f'  <joint name="{name}" type="{kind}">',
        f'    <parent link="{parent}"/>',
        f'    <child link="{child}"/>',
        f'    <origin xyz="{numbers(offset)}"/>',
        *(turn if axis else []),
        "  </joint>",
    ]


def numbers(values: Floats) -> str:
    """Values of an attribute to a tenth of a millimetre; no zero has a sign."""
    return " ".join(f"{v + 0.0:.4f}" for v in np.round(values, 4))
