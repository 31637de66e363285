"""Rotations as arrays: axis-angle vectors, matrices, two-vector alignment; all batched over leading axes."""

from __future__ import annotations

import math

import numpy as np

from hmr_ros.types import Floats

_TINY = 1e-12
_SHORTEST = 1e-6  # of a direction
_SMALLEST = 1e-150  # its square is still a number
Vector = tuple[float, float, float]


def matrix_from_axis_angle(axis_angle: Floats) -> Floats:
    """Rodrigues' formula: [...,3] rad -> [...,3,3]."""
    v = np.asarray(axis_angle, dtype=np.float64)
    angle = np.linalg.norm(v, axis=-1)[..., None, None]
    K = skew(v)
    # sin(a)/a and (1-cos(a))/a^2 in forms that stay exact at a = 0
    s = np.sinc(angle / np.pi)
    c = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.eye(3) + s * K + c * (K @ K)


def axis_angle_from_matrix(R: Floats) -> Floats:
    """Logarithm of a rotation: [...,3,3] -> [...,3] rad with angle in [0, pi]; stable at both ends."""
    return axis_angle_from_quaternion(quaternion_from_matrix(R))


def quaternion_from_matrix(R: Floats) -> Floats:
    """[...,3,3] -> [...,4] unit quaternion (w, x, y, z) with w >= 0 (Bar-Itzhack's largest-pivot form)."""
    R = np.asarray(R, dtype=np.float64)
    # of a rotation it is 4 q q^T - 1, and every row of q q^T is q times one of its entries; the largest is the safest
    rows = davenport(R).reshape(-1, 4, 4)
    every = np.arange(len(rows))
    pivot = rows.reshape(-1, 16)[:, ::5].argmax(-1)
    q = rows[every, pivot]
    q[every, pivot] += 1.0
    q *= np.copysign(1.0, q[:, :1]) / _length(q)
    return np.asarray(q.reshape(*R.shape[:-2], 4))


def axis_angle_from_quaternion(quat_wxyz: Floats) -> Floats:
    """[...,4] unit (w, x, y, z) -> [...,3] rad with angle in [0, pi]."""
    q = np.asarray(quat_wxyz, dtype=np.float64)
    vector, cosine = q[..., 1:], q[..., :1]
    sine = _length(vector)
    # q and -q are one rotation: the sign of the cosine turns the axis
    half = np.arctan2(np.copysign(sine, cosine), np.abs(cosine))
    return np.asarray(vector * (2 * half / np.maximum(sine, _SMALLEST)))


def matrix_from_quaternion(quat_wxyz: Floats) -> Floats:
    """[...,4] (w, x, y, z), of any length -> [...,3,3]; no turn where it is zero."""
    q = np.asarray(quat_wxyz, dtype=np.float64)
    length = _length(q)
    return matrix_from_unit_quaternion(np.where(length <= _TINY, _NO_TURN, q / np.maximum(length, _TINY)))


def matrix_from_unit_quaternion(q: Floats) -> Floats:
    """The same of [...,4] that have unit length."""
    squares = (q[..., :, None] * q[..., None, :]).reshape(*q.shape[:-1], 16)
    return np.asarray((squares @ _SQUARES).reshape(*q.shape[:-1], 3, 3))


def quaternion_from_axis_angle(axis_angle: Floats) -> Floats:
    """[...,3] rad -> [...,4] unit (w, x, y, z)."""
    half = 0.5 * np.asarray(axis_angle, dtype=np.float64)
    angle = _length(half)
    return np.concatenate([np.cos(angle), half * (np.sin(angle) / np.maximum(angle, _SMALLEST))], -1)


def quaternion_product(p: Floats, q: Floats) -> Floats:
    """[...,4] and [...,4] (w, x, y, z) -> their product [...,4], which turns by q, then by p."""
    left = (p @ _LEFT).reshape(*p.shape[:-1], 4, 4)
    return np.asarray((left @ q[..., None])[..., 0])


def davenport(M: Floats) -> Floats:
    """The symmetric K [...,4,4] with q^T K q = trace(R(q)^T M) for matrices M [...,3,3] and unit quaternions q: the
    eigenvector of its largest eigenvalue is the rotation closest to M (Davenport's q-method)."""
    return np.asarray((M.reshape(*M.shape[:-2], 9) @ _SQUARES.T).reshape(*M.shape[:-2], 4, 4))


def skew(v: Floats) -> Floats:
    """[...,3] -> [...,3,3] with skew(v) @ w == cross(v, w)."""
    K = np.zeros((*v.shape[:-1], 3, 3))
    K[..., 0, 1], K[..., 0, 2], K[..., 1, 2] = -v[..., 2], v[..., 1], -v[..., 0]
    K[..., 1, 0], K[..., 2, 0], K[..., 2, 1] = v[..., 2], -v[..., 1], v[..., 0]
    return K


def frame_from_two_vectors(primary: Floats, secondary: Floats) -> Floats:
    """Right-handed orthonormal frame [3,3] (columns) whose first axis is `primary` and whose second lies towards
    `secondary` (TRIAD). When the two are parallel, any perpendicular axis stands in for the second.

    Plain floats: for single vectors they are ten times faster than arrays, and recovery calls this 30 times a person.
    """
    x = _unit(_floats(primary))
    given = _floats(secondary)
    along = _dot(x, given)
    y = (given[0] - along * x[0], given[1] - along * x[1], given[2] - along * x[2])
    if math.hypot(*y) < 1e-6 * max(1.0, math.hypot(*given)):
        y = _perpendicular(x)
    y = _unit(y)
    return np.array([x, y, _cross(x, y)]).T


def rotation_between(a: Floats, b: Floats) -> Floats:
    """Shortest rotation [3,3] that takes the direction of `a` [3] to that of `b` [3]."""
    u, v = _unit(_floats(a)), _unit(_floats(b))
    axis = _cross(u, v)
    cosine = _dot(u, v)
    sine = math.hypot(*axis)
    if sine < 1e-9:
        if cosine > 0:
            return np.eye(3)
        axis = _unit(_perpendicular(u))
        return 2.0 * np.outer(axis, axis) - np.eye(3)  # half a turn
    x, y, z = axis
    f = 1.0 / (1.0 + cosine) if cosine > 0 else (1.0 - cosine) / sine**2  # the same; near half a turn only this exists
    return np.array(
        [
            [cosine + f * x * x, f * x * y - z, f * x * z + y],
            [f * x * y + z, cosine + f * y * y, f * y * z - x],
            [f * x * z - y, f * y * z + x, cosine + f * z * z],
        ]
    )


def rotations_between(a: Floats, b: Floats) -> Floats:
    """The same of many: [...,3] and [...,3] -> [...,3,3]; no turn where none is the shortest or a length is zero."""
    lengths = [_length(v) for v in (a, b)]
    u, v = (w / np.maximum(length, _SHORTEST) for w, length in zip((a, b), lengths, strict=True))
    near_half = 1.0 + (u * v).sum(-1)  # zero at half a turn
    defined = ((np.minimum(*lengths)[..., 0] > _SHORTEST) & (near_half > _SHORTEST))[..., None, None]
    K = skew((skew(u) @ v[..., None])[..., 0])
    return np.where(defined, np.eye(3) + K + K @ K / np.where(defined, near_half[..., None, None], 1.0), np.eye(3))


def fraction_of_rotation(R: Floats, share: float) -> Floats:
    """The rotation [3,3] about the same axis as R [3,3] by `share` of its angle (plain floats, as above)."""
    (a, b, c), (d, e, f), (g, h, i) = R.tolist()
    axis = ((h - f) / 2, (c - g) / 2, (d - b) / 2)
    sine, cosine = math.hypot(*axis), (a + e + i - 1) / 2
    if cosine < -0.99:  # near half a turn the axis hides in the symmetric part
        return matrix_from_axis_angle(share * axis_angle_from_matrix(R))
    if sine < 1e-9:
        return np.eye(3)
    angle = share * math.atan2(sine, cosine)
    x, y, z = _unit(axis)
    s, k = math.sin(angle), 1 - math.cos(angle)
    return np.array(
        [
            [1 - k * (y * y + z * z), k * x * y - s * z, k * x * z + s * y],
            [k * x * y + s * z, 1 - k * (x * x + z * z), k * y * z - s * x],
            [k * x * z - s * y, k * y * z + s * x, 1 - k * (x * x + y * y)],
        ]
    )


def quaternion_of(R: Floats) -> tuple[float, float, float, float]:
    """One rotation [3,3] -> unit quaternion (w, x, y, z) with w >= 0 (plain floats, as above)."""
    (a, b, c), (d, e, f), (g, h, i) = R.tolist()
    rows = (
        (1 + a + e + i, h - f, c - g, d - b),
        (h - f, 1 + a - e - i, b + d, c + g),
        (c - g, b + d, 1 - a + e - i, f + h),
        (d - b, c + g, f + h, 1 - a - e + i),
    )
    w, x, y, z = rows[max(range(4), key=lambda k: rows[k][k])]  # the largest entry is the safest
    norm = math.copysign(math.sqrt(w * w + x * x + y * y + z * z), w)
    return w / norm, x / norm, y / norm, z / norm


def rotation_vector_of(R: Floats) -> Floats:
    """One rotation [3,3] -> axis-angle [3] rad with angle in [0, pi] (plain floats, as above)."""
    w, x, y, z = quaternion_of(R)
    sine = math.sqrt(x * x + y * y + z * z)
    factor = 2 * math.atan2(sine, w) / sine if sine > _TINY else 2.0
    return np.array([factor * x, factor * y, factor * z])


def cross(a: Floats, b: Floats) -> Floats:
    """Cross product [3] of two single vectors [3], without the cost of NumPy's general one."""
    return np.array(_cross(_floats(a), _floats(b)))


def nearest_rotation(M: Floats) -> Floats:
    """The rotation closest to the matrix M [...,3,3] in the Frobenius norm (polar factor with det = +1)."""
    U, _, Vt = np.linalg.svd(M)
    sign = np.sign(np.linalg.det(U @ Vt))
    U = U * np.stack([np.ones_like(sign), np.ones_like(sign), sign], axis=-1)[..., None, :]
    return U @ Vt


def _length(v: Floats) -> Floats:
    """[...,K] -> [...,1]; np.linalg.norm costs three times as much for few vectors."""
    return np.asarray(np.sqrt((v * v).sum(-1, keepdims=True)))


def _squares() -> Floats:
    """[16,9]: products of two entries of a unit quaternion (w, x, y, z) -> entries of its matrix."""
    table = np.zeros((4, 4, 3, 3))
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        table[0, 0, k, k] = table[k + 1, k + 1, k, k] = 1.0
        table[i + 1, i + 1, k, k] = table[j + 1, j + 1, k, k] = -1.0
        table[[i + 1, j + 1, i + 1, j + 1], [j + 1, i + 1, j + 1, i + 1], [i, i, j, j], [j, j, i, i]] = 1.0
        table[[0, k + 1], [k + 1, 0], j, i] = 1.0
        table[[0, k + 1], [k + 1, 0], i, j] = -1.0
    return table.reshape(16, 9)


def _left() -> Floats:
    """[4,16]: a quaternion -> the matrix [4,4] that multiplies by it from the left."""
    table = np.zeros((4, 4, 4))
    table[0] = np.eye(4)
    for k in range(3):
        i, j = (k + 1) % 3 + 1, (k + 2) % 3 + 1
        table[k + 1, 0, k + 1], table[k + 1, k + 1, 0] = -1.0, 1.0
        table[k + 1, i, j], table[k + 1, j, i] = -1.0, 1.0
    return table.reshape(4, 16)


_SQUARES, _LEFT = _squares(), _left()
_NO_TURN = np.array([1.0, 0.0, 0.0, 0.0])


def _floats(v: Floats) -> Vector:
    x, y, z = v.tolist()
    return x, y, z


def _unit(v: Vector) -> Vector:
    norm = max(math.hypot(*v), _TINY)
    return v[0] / norm, v[1] / norm, v[2] / norm


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _perpendicular(v: Vector) -> Vector:
    smallest = min(range(3), key=lambda i: abs(v[i]))
    return _cross(v, (float(smallest == 0), float(smallest == 1), float(smallest == 2)))
