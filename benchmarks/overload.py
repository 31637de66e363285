"""More images than the machine can answer: 1920x1080 at 60 Hz to the live node with its defaults.

`python benchmarks/overload.py [--seconds 60] [--out build/overload.json]`, or `make overload`. Measured: how long
the image of an answer had waited when the worker took it (at most two frame times, for 95 % of the answers), how old
answers are, and how fast parameters and services are answered meanwhile (200 ms). The exit code is 1 where a bar is
missed.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from lifecycle_msgs.srv import GetState
from live_node import Observer, Seen, keeps, played, start_ros
from passing_people import passing_people
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from soak import CLIP_S, machine

WIDTH, HEIGHT, FPS = 1920, 1080, 60.0
PART = (0.3, 0.4)  # of the clip: two people in view
BARS = {"waited_frames_p95": 2.0, "request_ms_max": 200.0}


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=Path("build/overload.json"))
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    frames = passing_people(args.out.parent / f"people_{WIDTH}x{HEIGHT}.npy", WIDTH, HEIGHT, CLIP_S, PART)
    start_ros()
    result = overload(frames, args.seconds, args.out.parent / "overload_camera.json") | {"machine": machine()}
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(0 if report(result) else 1)


def overload(frames: Path, seconds: float, log: Path) -> dict[str, Any]:
    """Play the camera to the node and ask it things meanwhile."""
    with played(frames, FPS, seconds, log) as (node, observer, start):
        camera = start()
        observer.wait(lambda: len(observer.answers) > 20)
        begin, requests = len(observer.answers), []
        while camera.poll() is None:
            requests += asked(observer)
            observer.spin(0.5)
    sent = json.loads(log.read_text())
    return summary(observer, begin, sent, requests) | {"log": node.said()}


def asked(observer: Observer) -> list[float]:
    """Seconds that a request of each kind took."""
    people = 7 + int(time.time()) % 2  # another value each time
    value = ParameterValue(type=2, integer_value=people)
    change = SetParameters.Request(parameters=[Parameter(name="tracker.max_people", value=value)])
    took = []
    for kind, service, request in (
        (GetParameters, "get_parameters", GetParameters.Request(names=["tracker.max_people"])),
        (SetParameters, "set_parameters", change),
        (GetState, "get_state", GetState.Request()),
    ):
        answer, seconds = observer.call(kind, service, request)
        assert answer is not None, f"{service} was not answered"
        took.append(seconds)
    return took


def summary(observer: Observer, begin: int, camera: dict[str, Any], requests: list[float]) -> dict[str, Any]:
    """Figures of the answers from number `begin` on."""
    answers = observer.answers
    # the worker took an image no sooner than it had given the answer before
    pairs = zip(answers[begin - 1 :], answers[begin:], strict=False)
    waited = np.array([max(0.0, before.at_s - 1e-9 * after.stamp_ns) for before, after in pairs]) * FPS
    busy = np.diff([a.at_s for a in answers[begin:]])
    values, stamps = observer.statuses[-1].values, camera["stamps_ns"]
    seen: list[Seen] = answers[begin:]
    return {
        "images": len(stamps), "answers": len(answers), "camera_share_of_a_core": camera["share_of_a_core"],
        "camera_hz": 1e9 * (len(stamps) - 1) / (stamps[-1] - stamps[0]),
        "in_order": bool((np.diff([a.stamp_ns for a in seen]) > 0).all()),
        "waited_frames_p95": float(np.percentile(waited, 95)), "waited_frames_max": float(waited.max()),
        "age_ms": np.percentile([a.age_ms for a in seen], (50, 95, 100)).tolist(),
        "between_answers_ms": (1e3 * np.percentile(busy, (50, 95, 100))).tolist(),
        "requests": len(requests), "request_ms_p50": 1e3 * float(np.median(requests)),
        "request_ms_max": 1e3 * max(requests),
        "received": int(values["received"]), "dropped": int(values["dropped"]), "people": max(a.people for a in seen),
    }  # fmt: skip


def report(result: dict[str, Any]) -> bool:
    """Print the table; whether every bar is kept."""
    r, core = result, result["camera_share_of_a_core"]
    print(
        f"images              {r['images']} at {r['camera_hz']:.1f} Hz on {r['machine']}; camera {core:.2f} of a core"
    )
    print(f"the node            received {r['received']}, answered {r['answers']}, up to {r['people']} people")
    print("age of an answer    p50 {:.1f}, p95 {:.1f}, most {:.1f} ms".format(*r["age_ms"]))
    print("between answers     p50 {:.1f}, p95 {:.1f}, most {:.1f} ms".format(*r["between_answers_ms"]))
    print(f"image had waited    p95 {r['waited_frames_p95']:.2f}, most {r['waited_frames_max']:.2f} frame times")
    print(f"requests            {r['requests']}, p50 {r['request_ms_p50']:.1f}, most {r['request_ms_max']:.1f} ms")
    kept = keeps(result, BARS)
    print(f"{'ok  ' if result['in_order'] else 'MISS'} every answer is of a newer image")
    return kept and result["in_order"]


if __name__ == "__main__":
    main()
