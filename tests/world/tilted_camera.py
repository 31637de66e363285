"""People whose truth is known, as a tilted camera sees them."""

from dataclasses import replace

import numpy as np

from hmr_ros.geometry.camera import guess_camera
from hmr_ros.synth.render import placed_in
from hmr_ros.synth.scene import tilted_view
from hmr_ros.types import Human, ScaleSource, TrackingState

CAMERA = replace(guess_camera(640, 480), guessed=False)
PITCH, ROLL = -20.0, 5.0


def humans_of(motion, body, pitch=PITCH, roll=ROLL, eye=(1.0, 2.2, 4.0), betas=None):
    """Everybody in `motion` (y up) before a camera at `eye` with this tilt, as recovered without an error."""
    view = tilted_view(CAMERA, np.array(eye), 0.2, pitch, roll)
    betas = motion.betas if betas is None else betas
    out = []
    for i, (pose, trans) in enumerate(zip(motion.poses, motion.trans, strict=True)):
        p = placed_in(view, body, pose, trans, betas)
        out.append(
            Human(
                frame=i, stamp_ns=round(i * 1e9 / motion.fps), track_id=0, state=TrackingState.TRACKED, score=1.0,
                boxes_xyxy=np.zeros(4), keypoints_2d=np.ones((33, 3)), global_orient=p.global_orient,
                body_pose=p.body_pose, betas=p.betas, transl=p.transl, joints=p.joints, joints_2d=p.joints_2d,
                joint_covariance=np.tile([1e-4, 0, 0, 1e-4, 0, 1e-4], (24, 1)), K=CAMERA.K, body_model=body.name,
                scale=ScaleSource.INTRINSICS,
            )
        )  # fmt: skip
    return out
