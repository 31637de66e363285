"""HMDiff's samples as hypotheses: bodies fitted to them."""

import numpy as np

from hmr_ros.config import HmrConfig, HypothesesConfig
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.types import Frame


def test_more_than_the_network_draws_at_once_are_all_different(rendered, open_body):
    images, _, camera = rendered
    config = HmrConfig(recover="hmdiff", refine="none", hypotheses=HypothesesConfig(count=12))
    pipeline = build_pipeline(offline(config, as_live=True))
    humans = [r.humans[0] for r in pipeline.results([Frame(i, 10**9 + i, images[i], camera) for i in range(3)])]
    for human in humans:
        joints = human.hypotheses.joints
        assert joints.shape == (12, 24, 3)
        apart = np.linalg.norm(joints[:, None] - joints[None], axis=-1).max(-1) + np.eye(12)
        assert apart.min() > 0.005
        np.testing.assert_allclose(joints[:, 0], np.tile(human.joints[0], (12, 1)), atol=1e-6)
        # bodies with the person's bones, about the person
        rest = open_body.rest_joints(human.betas)
        np.testing.assert_allclose(
            np.linalg.norm(joints[:, 4] - joints[:, 1], axis=-1), np.linalg.norm(rest[4] - rest[1]), atol=1e-6
        )
        assert np.linalg.norm(joints.mean(0) - human.joints, axis=-1).mean() < 0.06
