"""A video to a table: where everybody's joints are in every frame, one row a person and frame.

python examples/video_to_table.py clip.mp4 joints.csv
"""

import csv
import sys

from hmr_ros import HumanMeshRecovery
from hmr_ros.body.joints import SMPL_JOINTS


def main(video: str, table: str) -> None:
    """Write frame, seconds, identity and the 24 joints in metres."""
    header = ["frame", "seconds", "person", *(f"{joint}_{axis}_m" for joint in SMPL_JOINTS for axis in "xyz")]
    rows = 0
    with open(table, "w", newline="", encoding="utf-8") as file:  # noqa: PTH123
        writer = csv.writer(file)
        writer.writerow(header)
        for frame, people in HumanMeshRecovery().track(video):
            for person in people:
                joints = person.joints.reshape(-1).round(4).tolist()
                writer.writerow([frame.index, round(frame.stamp_ns * 1e-9, 3), person.track_id, *joints])
                rows += 1
    print(f"{rows} rows -> {table}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: video_to_table.py VIDEO OUT.csv")
    main(*sys.argv[1:])
