"""What there is to choose from: recoveries, refinements and networks, each under the name it has in the configuration.

Imports nothing: entries name their module, which is loaded when the entry is chosen.
"""

from __future__ import annotations

RECOVERIES = {
    "kinematic": "hmr_ros.methods.kinematic:build",
    "posture": "hmr_ros.methods.posturehmr.recovery:build",
}
REFINEMENTS = {
    "keypoints": "hmr_ros.methods.scorehmr.streaming:build_keypoints",
    "temporal": "hmr_ros.methods.scorehmr.streaming:build_temporal",
}
MAX_LAG = 4  # frames; the prior of the temporal refinement looks no further ahead
