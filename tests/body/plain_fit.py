"""The fit as it is written down, to compare with: one residual a measurement, derivatives by differences; slow."""

from dataclasses import replace

import numpy as np

from hmr_ros.body.fitting import Fitted
from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import forward_kinematics
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle, nearest_rotation

_STEP = 1e-5


def plain_fit(points, seen, start: Fitted, spread, iterations, near=None, others=()):
    """One person (N = 1) from `start`; `spread` [24] rad of the local rotations' priors."""
    R, betas, pelvis = start.rotations[0], start.betas[0], start.pelvis[0]
    mean = np.tile(np.eye(3), (24, 1, 1)) if near is None else near[0]
    for _ in range(iterations):
        world = forward_kinematics(R, points.rest(betas)[1])[0]
        parents = np.concatenate([np.eye(3)[None], world[SMPL_PARENTS[1:]]])

        def after(x, R=R, betas=betas, pelvis=pelvis, parents=parents):
            turns = np.swapaxes(parents, 1, 2) @ matrix_from_axis_angle(x[:72].reshape(24, 3)) @ parents
            return turns @ R, betas + x[72:82], pelvis + x[82:]

        offsets = 0.0 if points.posedirs is None else points.posedirs @ (R[1:] - np.eye(3)).reshape(-1)
        rigid = replace(points, template=points.template + offsets, posedirs=None)
        measured = residuals(rigid, seen, others, after(np.zeros(85)))
        ends = [[measured(after(s * row)) for s in (1, -1)] for row in _STEP * np.eye(85)]
        J = np.array([(a - b) / (2 * _STEP) for a, b in ends]).T
        away = (parents @ axis_angle_from_matrix(R @ np.swapaxes(mean, 1, 2))[..., None])[..., 0]
        away[0] = 0.0
        held = np.concatenate([np.repeat(1 / spread, 3), np.full(10, 1 / seen.sigma_betas[0]), np.full(3, 1e-2)])
        off = np.concatenate([away.reshape(-1), betas - seen.betas[0], np.zeros(3)])
        rows = np.concatenate([J, np.diag(held)])
        x = np.linalg.lstsq(rows, -np.concatenate([measured(after(np.zeros(85))), held * off]), rcond=None)[0]
        turn = x[:72].reshape(24, 3)
        turn *= np.minimum(1.0, 0.7 / np.maximum(np.linalg.norm(turn, axis=1, keepdims=True), 1e-9))
        R, betas, pelvis = after(x)
        betas = np.clip(betas, -3, 3)
    return R, betas, pelvis, relative(points, R, betas)


def relative(points, R, betas):
    """[P,3] m, pelvis at the origin."""
    return points.posed(R, betas) - points.rest(betas)[1][0]


def residuals(points, seen, others, at):
    """What is measured of the first person, in standard deviations, as a function of (R, betas, pelvis); bones that
    lean have the length that they have `at`."""
    cameras = [(np.eye(3), np.zeros(3), seen.rays[0], seen.sigma_rays[0])]
    cameras += [(c.R, c.t, c.rays[0], c.sigma_rays[0]) for c in others]
    first, second = seen.leans.bones.T if seen.leans else np.zeros((2, 0), int)
    p = relative(points, *at[:2])
    length = np.linalg.norm(p[second] - p[first], axis=1)

    def measured(state):
        R, betas, pelvis = state
        p = relative(points, R, betas)
        rows = [(p - seen.points[0]) / seen.sigma[0][:, None]]
        for turn, t, rays, sigma in cameras:
            there = (p + pelvis) @ turn.T + t
            rows.append((there[:, :2] / np.maximum(there[:, 2:], 0.2) - rays) / sigma[:, None])
        if seen.depths is not None:
            rows.append((p[:, 2] + pelvis[2] - seen.depths[0]) / seen.sigma_depths[0])
        if seen.leans:
            rows.append(((p[second] - p[first])[:, 2] / length - seen.leans.sine[0]) / seen.leans.sigma)
        return np.concatenate([row.reshape(-1) for row in rows])

    return measured


def plain_start(points, target, betas):
    """Local rotations [24,3,3] that lay each bone's points on `target` [P,3], parents first."""
    rest, joints = points.rest(betas)
    rest = rest - joints[0]
    share = points.weights.T.copy()
    for p, row in enumerate(points.weights):
        joint = int(row.argmax())
        if row[joint] == 1 and joint and np.allclose(points.template[p], points.J_template[joint]):
            share[SMPL_PARENTS[joint], p] = 1.0  # a joint speaks for both bones that it joins
    share += 1e-9
    moments = []
    for w in share:
        s, t = ((w[:, None] * x).sum(0) / w.sum() for x in (rest, target))
        moments.append((w[:, None, None] * (target - t)[:, :, None] * (rest - s)[:, None]).sum(0))
    world = [nearest_rotation(moments[0] + moments[3] + moments[6])]
    for joint in range(1, 24):
        M = moments[joint]
        world.append(nearest_rotation(M + 0.05 * np.linalg.norm(M) * world[SMPL_PARENTS[joint]]))
    return np.array([world[0], *(world[SMPL_PARENTS[j]].T @ world[j] for j in range(1, 24))])
