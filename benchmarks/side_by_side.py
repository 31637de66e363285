"""What two versions of hmr_ros spend on each stage after tracking, by turns in one run, so that a busy machine is one
to both: `python benchmarks/side_by_side.py OLD NEW [--people 1 2 4 8] [--rounds 8]`.

OLD and NEW are checkouts; both run with the Python of this environment, one thread each. Prints the median processor
time [ms] of the thread that recovers, of both, and old over new.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

_STAGES = ("evidence", "recover", "refine", "all")
_FRAMES = 12  # of a turn
_PERIOD_NS = 33_333_333


def main() -> None:
    """A row for each number of people."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", type=Path, nargs="*", metavar="CHECKOUT")
    parser.add_argument("--people", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=8, help="after one that does not count")
    args = parser.parse_args()
    if not args.checkouts:
        serve()
        return
    sides = [started(folder.resolve()) for folder in args.checkouts]
    for people in args.people:
        found = [[turn(side, people) for side in sides] for _ in range(args.rounds + 1)][1:]
        print(f"{people} people:", ", ".join(told(stage, found) for stage in _STAGES), flush=True)


def told(stage: str, found: list[list[dict[str, list[float]]]]) -> str:
    """Of both sides, and the ratio."""
    ms = [float(np.median(np.concatenate([both[side][stage] for both in found]))) for side in range(len(found[0]))]
    return f"{stage} {' / '.join(f'{m:.2f}' for m in ms)} ms ({ms[0] / ms[-1]:.2f})"


def started(folder: Path) -> "subprocess.Popen[str]":
    """A process with the package of a checkout."""
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, __file__], cwd=folder, env=environment, text=True, stderr=subprocess.DEVNULL,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def turn(side: "subprocess.Popen[str]", people: int) -> dict[str, list[float]]:
    """Milliseconds of each stage and frame."""
    assert side.stdin is not None and side.stdout is not None
    side.stdin.write(f"{people}\n")
    side.stdin.flush()
    answer = side.stdout.readline()
    if not answer:
        raise SystemExit(f"the package in {side.args} does not run; try hmr bench there")
    found: dict[str, list[float]] = json.loads(answer)
    return found


def serve() -> None:
    """Answers one line for each number of people on the standard input: runs of the rendered person side by side."""
    from hmr_ros.commands.bench import _frame
    from hmr_ros.config import HmrConfig
    from hmr_ros.factory import build_pipeline, offline

    config = HmrConfig(threads=1)
    config = replace(config, temporal=replace(config.temporal, lag=0))
    pipeline, frame = build_pipeline(offline(config, as_live=True)), _frame(640, 480)
    track = pipeline.tracker.step(frame)[0]

    def timed(stage: str, work: Any) -> Any:
        start = time.thread_time()
        result = work()
        pipeline.stage_seconds[stage] = pipeline.stage_seconds.get(stage, 0.0) + time.thread_time() - start
        return result

    pipeline._timed = timed
    for line in sys.stdin:
        people, spent = int(line), {stage: [] for stage in _STAGES}
        crowd = [replace(track, track_id=100 * people + i) for i in range(people)]
        for _ in range(_FRAMES):
            frame = replace(frame, index=frame.index + 1, stamp_ns=frame.stamp_ns + _PERIOD_NS)
            pipeline.stage_seconds, start = {}, time.thread_time()
            pipeline.recover(frame, crowd)
            for stage, seconds in (pipeline.stage_seconds | {"all": time.thread_time() - start}).items():
                spent[stage].append(1e3 * seconds)
        print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()
