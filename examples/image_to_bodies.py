"""One image: who is in it, how far away, in which pose; and the bodies drawn on it.

python examples/image_to_bodies.py photo.jpg bodies.png
"""

import sys

import cv2
import numpy as np

from hmr_ros import HumanMeshRecovery
from hmr_ros.view.overlay import draw_humans


def main(photo: str, out: str) -> None:
    """Print a line a person and write the drawn image."""
    image = cv2.imread(photo)
    if image is None:
        sys.exit(f"{photo} is not an image")
    hmr = HumanMeshRecovery()
    people = hmr(image)  # without K the focal length is guessed, and distances with it
    for person in people:
        pelvis, head = person.joints[0], person.joints[15]  # metres; camera frame: x right, y down, z forward
        size = np.ptp(person.vertices(), axis=0)
        print(f"score {person.score:.2f}: pelvis {pelvis.round(2)} m, head {head.round(2)} m, extent {size.round(2)} m")
    if people:
        image = draw_humans(image, people, people[0].body)
    cv2.imwrite(out, image)
    print(f"{len(people)} people -> {out}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: image_to_bodies.py PHOTO OUT.png")
    main(*sys.argv[1:])
