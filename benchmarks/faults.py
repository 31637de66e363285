"""Every fault that a robot has, put to the real node while it runs, and what became of it.

`python benchmarks/faults.py [--nobody 60] [--only NAME ...] [--out build/faults.json]`, or `make faults`. After each
fault good images are shown. Kept: the process lives on, one line in the log says what is wrong (none where nothing is),
a status on /diagnostics too, and a person is answered within a second of good images. The exit code is 1 otherwise.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import file_faults
import numpy as np
import rclpy
from live_node import LiveNode, Observer, start_ros
from passing_people import passing_people
from robot import Robot
from sensor_msgs.msg import CompressedImage, Image
from soak import CLIP_S, HEIGHT, WIDTH, machine

RECOVERY_S = 1.0
_LOAD = ("images dropped", "did not come")  # what is said on a machine that has too much to do
PART = (0.3, 0.4)  # of the clip: people in view
FAILING = np.array([1, 2, 3], np.uint8)  # first pixel of an image at which the failing node's pipeline raises


@dataclass(frozen=True)
class Fault:
    """What is done, and what must be said about it; without words nothing may be said."""

    name: str
    play: Callable[[Robot], None]
    words: str = ""  # of the log line and of the status
    lines: int | None = None  # at most; None: one with words, none without
    arguments: tuple[str, ...] = ()
    mode: str = "raw"
    after_s: float = 2.0  # of good images before: the same line is logged every ten seconds


@dataclass
class Outcome:
    """What became of a fault."""

    name: str
    survived: bool
    lines: list[str]
    logged: bool  # as many lines as there should be, with these words
    diagnosed: bool
    recovery_s: float | None  # None: never
    note: str = ""
    statuses: tuple[str, ...] = ()  # levels and messages that were seen

    @property
    def kept(self) -> bool:
        """Whether all of it is as it should be."""
        return self.survived and self.logged and self.diagnosed and (self.recovery_s or 0.0) <= RECOVERY_S


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nobody", type=float, default=60.0, help="seconds without anybody in view")
    parser.add_argument("--only", nargs="*", default=[], help="names of faults")
    parser.add_argument("--out", type=Path, default=Path("build/faults.json"))
    parser.add_argument("--table", type=Path, help="JSON of an earlier run: print it as docs/reliability.md has it")
    parser.add_argument("--node", action="store_true", help=argparse.SUPPRESS)
    args, rest = parser.parse_known_args()
    if args.node:
        sys.exit(failing_node(rest))
    if args.table:
        table(json.loads(args.table.read_text())["outcomes"])
        return
    args.out.parent.mkdir(parents=True, exist_ok=True)
    frames = np.array(np.load(passing_people(args.out.parent / "people_faults.npy", WIDTH, HEIGHT, CLIP_S, PART)))
    start_ros()
    faults = [f for f in (*live_faults(args.nobody), *OTHERS) if not args.only or f.name in args.only]
    outcomes = []
    for setting in dict.fromkeys((f.mode, f.arguments) for f in faults):
        outcomes += session(frames, *setting, [f for f in faults if (f.mode, f.arguments) == setting])
    rclpy.try_shutdown()
    if not args.only or set(args.only) & set(file_faults.NAMES):
        for name, good, note in file_faults.run(frames, args.only):
            outcomes.append(Outcome(name, good, [], True, True, 0.0, note))
            report(outcomes[-1])
    result = {"machine": machine(), "outcomes": [asdict(o) | {"kept": o.kept} for o in outcomes]}
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(0 if all(o.kept for o in outcomes) else 1)


def session(frames: np.ndarray, mode: str, arguments: tuple[str, ...], faults: list[Fault]) -> list[Outcome]:
    """One node, and faults one after the other."""
    command = (str(Path(__file__)), "--node") if mode == "failing" else ("-m", "hmr_ros", "live")
    node, observer = LiveNode("image_topic:=/camera/image_raw", *arguments, command=command), Observer()
    robot = Robot(node, observer, frames, compressed=mode == "compressed", simulated="use_sim_time:=true" in arguments)
    outcomes = []
    try:
        if not observer.wait(observer.is_ready):
            sys.exit("the node did not become ready: " + "; ".join(node.said()))
        for fault in faults:
            if robot.recovery_s(30.0) is None:
                sys.exit("nobody is answered before " + fault.name)
            robot.good(fault.after_s)  # at least a whole period of diagnostics with nothing wrong
            outcomes.append(outcome(robot, fault))
            report(outcomes[-1])
    finally:
        robot.close()
        node.stop()
    return outcomes


def outcome(robot: Robot, fault: Fault) -> Outcome:
    """Play the fault and good images after it."""
    node, observer = robot.node, robot.observer
    node.said()
    observer.statuses.clear()
    robot.note, pid = "", node.process.pid
    fault.play(robot)
    recovery = robot.recovery_s(10.0)
    if fault.words:
        robot.good(1.5)  # the period of diagnostics in which it happened ends
        diagnosed = any(s.level and fault.words in s.message for s in observer.statuses)
    else:
        diagnosed = not any(s.level for s in observer.statuses if not any(t in s.message for t in _LOAD))
    said = node.said()
    most = fault.lines if fault.lines is not None else int(bool(fault.words))
    logged = len(said) <= most and (not fault.words or any(fault.words in t for t in said))
    survived = node.alive and (node.process.pid == pid or fault.name.startswith("SIGKILL"))
    statuses = tuple(dict.fromkeys(f"{s.level}: {s.message}" for s in observer.statuses))
    return Outcome(fault.name, survived, said, logged, diagnosed, recovery, robot.note, statuses)


def report(o: Outcome) -> None:
    """One row of the table."""
    recovery = "never" if o.recovery_s is None else f"{o.recovery_s:.2f} s"
    found = ["" if good else bad for good, bad in ((o.survived, "DIED"), (o.logged, "LOG"), (o.diagnosed, "STATUS"))]
    print(f"{'ok  ' if o.kept else 'MISS'} {o.name:<34} lines {len(o.lines)}  recovery {recovery:>7}  "
          f"{' '.join(filter(None, found))} {o.note}".rstrip())  # fmt: skip
    for line in [*o.lines, *o.statuses] if not o.kept else o.lines[:1]:
        print(f"       {line[:150]}")


def table(outcomes: list[dict]) -> None:
    """Outcomes as rows of Markdown."""
    print("| fault | lines | recovery | kept | what was said or seen |\n|---|---|---|---|---|")
    for o in outcomes:
        from_file = o["name"] in file_faults.NAMES
        recovery = "" if from_file else "never" if o["recovery_s"] is None else f"{o['recovery_s']:.2f} s"
        seen = " ".join([*o["lines"][:1], re.sub(r"/\S+/", "", o["note"])]).strip()
        lines = "" if from_file else len(o["lines"])
        print(f"| {o['name']} | {lines} | {recovery} | {'yes' if o['kept'] else 'no'} | {seen.split(';')[0]} |")


def live_faults(nobody_s: float) -> list[Fault]:
    """What happens to a camera's topic."""
    return [
        Fault("camera dies and returns", Robot.camera_dies, "no image on /camera/image_raw"),
        Fault("stamps jump back", lambda r: r.shift(-5.0), "stamps of images jump back"),
        Fault("stamps repeat", Robot.repeat_stamp, "the stamp of the one before"),
        Fault("stamps of zero", lambda r: r.good(1.5, stamp_ns=0), "stamps of zero"),
        Fault("resolution changes", Robot.resolutions),
        Fault("encoding changes", Robot.encodings),
        Fault("intrinsics change", lambda r: r.good(1.5, focal=2.0)),
        Fault("step and width disagree", lambda r: r.good(1.5, message=_short_step), "check the driver"),
        Fault("data is too short", lambda r: r.good(1.5, message=_short_data), "check the driver"),
        Fault("NaN in CameraInfo", lambda r: r.good(1.5, focal=float("nan")), "calibrate the camera"),
        Fault("image of 0x0", lambda r: r.good(1.5, message=_empty), "is empty"),
        Fault("image of 1x1", lambda r: r.good(1.5, image=np.zeros((1, 1, 3), np.uint8))),
        Fault("image of 7680x4320", lambda r: r.large(7680, 4320), lines=1),
        Fault("nobody in view", lambda r: r.nobody(nobody_s)),
        Fault("twenty people", Robot.crowd),
        Fault("SIGKILL and a new start", Robot.killed),
    ]


def _empty(message: Image) -> None:
    message.height = message.width = message.step = 0
    message.data = b""


def _short_step(message: Image) -> None:
    message.step = message.width  # of three bytes a pixel


def _short_data(message: Image) -> None:
    message.data = message.data[: len(message.data) // 2]


def _truncated(message: CompressedImage) -> None:
    message.data = message.data[: len(message.data) // 3]


def _noise(message: CompressedImage) -> None:
    message.data = np.random.default_rng(0).integers(0, 256, 20000, np.uint8).tobytes()


def _large_header(message: CompressedImage) -> None:
    """A JPEG that says that it has 65500 x 65500 pixels."""
    data = bytearray(message.data)
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = (65500).to_bytes(2, "big") * 2
    message.data = bytes(data)


OTHERS = [
    Fault("JPEG cut off", lambda r: r.good(1.5, message=_truncated), "cannot be decoded", mode="compressed"),
    Fault("JPEG of noise", lambda r: r.good(1.5, message=_noise), "cannot be decoded", mode="compressed", after_s=11.0),
    Fault(
        "JPEG of 65500x65500",
        lambda r: r.good(1.5, message=_large_header),
        "megapixels",
        mode="compressed",
        after_s=11.0,
    ),
    Fault("JPEG of 7680x4320", lambda r: r.large(7680, 4320), mode="compressed"),
    Fault("a bag in a loop, simulated time", lambda r: r.shift(-4.0), "jump back", arguments=("use_sim_time:=true",)),
    Fault("an exception in the worker", Robot.worker_fails, "RuntimeError", mode="failing"),
]


def failing_node(arguments: list[str]) -> int:
    """The live node with a pipeline that raises at images that begin with a certain pixel."""
    from hmr_ros.factory import build_pipeline
    from hmr_ros.ros.live import run_live

    def factory(config):
        pipeline = build_pipeline(config)
        step = pipeline.step

        def failing(frame):
            if (frame.image[0, 0] == FAILING).all():
                raise RuntimeError("this image is one that nobody thought of")
            return step(frame)

        pipeline.step = failing
        return pipeline

    cv2.setNumThreads(1)
    return run_live(arguments, factory)


if __name__ == "__main__":
    main()
