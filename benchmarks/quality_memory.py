"""How the memory of `--quality` grows: frames of one person observed, then refined.

`python benchmarks/quality_memory.py CLIP [FRAMES ...]`: the first 60 frames of a clip are repeated for so many frames.
"""

import argparse
import copy
import itertools
import resource
from dataclasses import replace

from hmr_ros.config import HmrConfig
from hmr_ros.factory import build_quality
from hmr_ros.io.video import open_source

SEEN = 60  # frames that are really observed


def peak_mb() -> float:
    """Most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("frames", type=int, nargs="*", default=[1000, 3000, 6000])
    args = parser.parse_args()
    whole = build_quality(HmrConfig())
    frames = list(itertools.islice(open_source(args.clip, None), SEEN))
    people = [p for frame in frames for p in whole.pipeline.observe(frame)]
    track = people[0].track.track_id
    people = [p for p in people if p.track.track_id == track]
    period = frames[1].stamp_ns - frames[0].stamp_ns
    whole.refine(people)  # what is loaded once
    start = peak_mb()
    print(f"{'frames':>8}{'observed MB':>13}{'refined MB':>12}{'kB a frame':>12}   above {start:.0f} MB")
    for count in args.frames:
        many = []
        for k in range(count):
            person = copy.deepcopy(people[k % len(people)])
            many.append(replace(person, frame=k, stamp_ns=k * period))
        observed = peak_mb() - start
        refined = whole.refine(many)
        after = peak_mb() - start
        print(f"{count:8}{observed:13.0f}{after:12.0f}{1024 * after / count:12.1f}")
        del many, refined


if __name__ == "__main__":
    main()
