"""Options of the commands that run the pipeline, and of view, render and convert: one function a command."""

from __future__ import annotations

import argparse
from pathlib import Path

from hmr_ros.config import CALIBRATE, ENGINES, RECOVER, REFINE, UNCERTAINTY
from hmr_ros.config_groups import PERSONS
from hmr_ros.synth import LOOKS

CONVERT_FORMATS = ("bvh", "bvh-lafan1", "glb", "amass", "smplx", "holosmpl", "csv")
# as in evaluate/protocols/table.py, which --help need not load
PROTOCOLS = ("3dpw", "emdb", "emdb2", "h36m", "h36m-p1")
SPLITS = ("test", "validation", "train")


def run_options(p: argparse.ArgumentParser) -> None:
    """Of `hmr run`."""
    p.add_argument("source", help="video file, image, folder of images, camera index (0) or device, or URL of a stream")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    p.add_argument("--camera", metavar="K", help="intrinsics: camera_info YAML file or fx,fy,cx,cy (default: a guess)")
    p.add_argument(
        "--depth", type=Path, metavar="DIR",
        help="registered depth, one image a frame: folder of 16 bit .png (mm) or .npy (m), a single one, or FFV1 video",
    )  # fmt: skip
    p.add_argument("--no-overlay", action="store_true", help="do not draw and write the overlay")
    p.add_argument("--hypotheses", type=int, metavar="N", help="write N poses that the evidence allows: hypotheses.npz")
    p.add_argument(
        "--uncertainty", choices=UNCERTAINTY, default="none",
        help="draw the ellipses that hold each joint with 95 %%, or the hypotheses as faint skeletons",
    )  # fmt: skip
    p.add_argument("--quality", action="store_true", help="refine whole tracks afterwards, with the frames to come")
    p.add_argument("--fast", action="store_true", help="landmark network and lag of the live node")
    p.add_argument("--in-turn", action="store_true", help="one stage after another: slower, less memory, same results")


def batch_options(p: argparse.ArgumentParser) -> None:
    """Of `hmr batch`."""
    p.add_argument("inputs", nargs="+", help="videos, folders, bags, globs, or a .txt that names one a line")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder for each input, and the manifest")
    p.add_argument("--camera", metavar="K", help="intrinsics of all of them: camera_info YAML file or fx,fy,cx,cy")
    p.add_argument("--no-overlay", action="store_true", help="do not draw and write overlays")
    p.add_argument("--quality", action="store_true", help="refine whole tracks afterwards, with the frames to come")
    p.add_argument("--fast", action="store_true", help="landmark network and lag of the live node")
    p.add_argument("--workers", type=_positive, default=0, metavar="N", help="items at a time (default: the cores)")
    p.add_argument("--retries", type=int, default=1, metavar="N", help="more attempts where a worker crashes")
    p.add_argument(
        "--ray", default="", metavar="ADDRESS",
        help="Ray cluster, local, or none for processes (default: local where Ray is installed)",
    )  # fmt: skip


def view_options(p: argparse.ArgumentParser) -> None:
    """Of `hmr view`."""
    p.add_argument("source", nargs="?", help="humans.npz, folder of `hmr run`, or a source as `hmr run` takes it")
    p.add_argument("--ros", action="store_true", help="show what a running node publishes instead")
    p.add_argument("--humans-topic", default="/hmr/humans", metavar="TOPIC", help="with --ros: people")
    p.add_argument("--image-topic", metavar="TOPIC", help="with --ros: images (default: those of the camera)")
    p.add_argument("--camera", metavar="K", help="intrinsics of a source: camera_info YAML file or fx,fy,cx,cy")
    p.add_argument("--video", metavar="CLIP", help="the clip that results belong to (default: overlay.mp4 beside them)")
    p.add_argument("--port", type=int, default=8080)
    p.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine alone)")


def stream_options(p: argparse.ArgumentParser) -> None:
    """Of `hmr stream`."""
    p.add_argument("source", help="video file, folder of images, camera index (0) or device, or URL of a stream")
    p.add_argument("--sonic", metavar="ADDRESS", help="where SONIC finds it, such as tcp://127.0.0.1:5556 (pyzmq)")
    p.add_argument("--vmc", metavar="HOST:PORT", help="VMC program that gets it, such as 127.0.0.1:39539 (python-osc)")
    p.add_argument("--person", choices=PERSONS, help="whom it is about")
    p.add_argument("--camera", metavar="K", help="intrinsics: camera_info YAML file or fx,fy,cx,cy (default: a guess)")


def bag_options(p: argparse.ArgumentParser) -> None:
    """Of `hmr bag`."""
    p.add_argument("input", type=Path, help="rosbag2 folder (sqlite3 or MCAP), .mcap or ROS 1 .bag")
    p.add_argument("output", type=Path, help="folder of the new bag")
    p.add_argument("--topic", help="image topic (needed only where the bag has several)")
    p.add_argument(
        "--depth-topic", metavar="TOPIC", help="depth registered to the images: 16UC1, 32FC1, compressedDepth"
    )
    p.add_argument("--camera", metavar="K", help="intrinsics instead of the bag's CameraInfo: YAML file or fx,fy,cx,cy")
    p.add_argument("--quality", action="store_true", help="refine whole tracks afterwards, with the frames to come")


def multiview_options(p: argparse.ArgumentParser) -> None:
    """Of `hmr multiview`."""
    p.add_argument("calibration", type=Path, help="YAML: views, each with source, camera and, if calibrated, R and t")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")


def render_options(p: argparse.ArgumentParser) -> None:
    """Of `hmr render`."""
    p.add_argument(
        "motion", type=Path, nargs="+", help=".npz with poses [F,72], trans [F,3] (y up); several: people in one scene"
    )
    p.add_argument("--out", type=Path, required=True, metavar="CLIP", help="video file to write")
    p.add_argument("--place", default="own", help="own (as in the files), crossing, side-by-side, crowd or following")
    p.add_argument("--truth", type=Path, metavar="NPZ", help="truth.npz to write")
    p.add_argument("--depth", type=Path, metavar="DIR", help="folder for 16 bit .png (mm): true/ and noisy/")
    p.add_argument("--camera", metavar="K", help="fx,fy,cx,cy or camera_info YAML (default: random by seed)")
    p.add_argument(
        "--pitch", type=float, metavar="DEG", help="the camera looks up by so much, down: negative (default: by seed)"
    )
    p.add_argument("--roll", type=float, metavar="DEG", help="the camera is turned clockwise by so much")
    p.add_argument("--size", default="640x480", metavar="WxH")
    p.add_argument("--fps", type=float, help="frames per second (default: what the file says, else 30)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--max-frames", type=int)
    p.add_argument("--vertices", action="store_true", help="put the vertices into the truth as well (large)")
    p.add_argument(
        "--look",
        choices=LOOKS,
        default="painted",
        help="of the people; painted: bare and flat, lifelike: dressed",
    )
    p.add_argument("--body", help="SMPL file to render instead of the open body")


def _positive(text: str) -> int:
    """A count of an option; argparse says what is wrong with another text."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is below 1")
    return value


def convert_options(p: argparse.ArgumentParser) -> None:
    """Options of `hmr convert`."""
    p.add_argument("humans", type=Path, help="humans.npz of hmr run, demo or multiview")
    p.add_argument("--to", nargs="+", required=True, choices=CONVERT_FORMATS, metavar="FORMAT",
                   help=f"one or several of {', '.join(CONVERT_FORMATS)}")  # fmt: skip
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files, one a person")
    p.add_argument("--id", type=int, nargs="+", metavar="ID", help="these people alone (default: all)")
    p.add_argument(
        "--gaps", choices=("fill", "cut"), default="fill",
        help="frames without the person: interpolated, or another file from there on",
    )  # fmt: skip
    p.add_argument("--max-gap", type=float, default=1.0, metavar="S", help="longest gap that is filled (default 1 s)")
    p.add_argument("--fps", type=float, help="frames a second (default: the source's; holosmpl: 50)")
    p.add_argument("--body", metavar="FILE", help="SMPL file that the results belong to, where one was used")


def evaluate_options(p: argparse.ArgumentParser) -> None:
    """Of `hmr evaluate`."""
    p.add_argument("humans", type=Path, help="humans.npz; with --protocol the folder of the data set")
    p.add_argument("truth", type=Path, nargs="?", help="truth.npz of `hmr render`")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    p.add_argument("--protocol", choices=PROTOCOLS, help="run a published data set instead, judged as published")
    p.add_argument(
        "--smpl", type=Path, metavar="DIR", help="folder of SMPL_MALE.pkl, SMPL_FEMALE.pkl, SMPL_NEUTRAL.pkl"
    )
    p.add_argument("--regressor", type=Path, metavar="FILE", help="J_regressor_h36m.npy (default: that in --smpl)")
    p.add_argument("--results", type=Path, metavar="DIR", help="where SEQUENCE/humans.npz are kept, and taken from")
    p.add_argument("--split", choices=SPLITS, default="test", help="of 3DPW")
    p.add_argument("--sequences", nargs="+", default=[], metavar="NAME", help="these alone")
    p.add_argument("--fast", action="store_true", help="with the networks and the lag of the live node")


def pipeline_options(p: argparse.ArgumentParser) -> None:
    """Options that stay stable for every command that runs the pipeline."""
    p.add_argument("--recover", choices=RECOVER)
    p.add_argument("--calibrate", choices=CALIBRATE, help="how people are moved to target joints (PC-HMR)")
    p.add_argument("--refine", choices=REFINE)
    p.add_argument("--engine", choices=ENGINES)
    p.add_argument("--steps", type=int, metavar="K", help="steps of the posture decoder (recover: posture)")
    p.add_argument("--body", metavar="FILE", help="SMPL file (.npz, .pkl) instead of the open body")
    p.add_argument(
        "--rotate", type=int, choices=(0, 90, 180, 270), help="degrees clockwise that make the images upright"
    )
    p.add_argument("--camera-pitch", type=float, metavar="DEG", help="the camera looks up by so much, down: negative")
    p.add_argument(
        "--camera-roll", type=float, metavar="DEG", help="the camera is turned clockwise, seen from behind, by so much"
    )
    p.add_argument("--camera-height", type=float, metavar="M", help="of the camera over the floor that people stand on")
    p.add_argument("--config", metavar="FILE", help="YAML file, see config/live.yaml")
    p.add_argument("--max-frames", type=_positive, metavar="N", help="stop after N frames")
