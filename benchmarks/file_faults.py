"""Faults of files: a disk that is full while an output is written, a bag that was cut off while it was recorded."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

NAMES = ("disk full: hmr bag", "disk full: hmr run", "disk full: hmr demo", "bag cut off: sqlite3", "bag cut off: mcap")
_FULL_KB = 64  # room on the disk that is full
_IMAGES = 30


def run(frames: np.ndarray, only: list[str]) -> Iterator[tuple[str, bool, str]]:
    """Name, whether all is as it should be, and what was said."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bag, video = write_bag(root / "in", frames, StoragePlugin.SQLITE3), write_video(root / "in.mp4", frames)
        commands = {
            NAMES[0]: ["bag", str(bag), "{out}/bag"],
            NAMES[1]: ["run", str(video), "--out", "{out}/run"],
            NAMES[2]: ["demo", "--seconds", "2", "--out", "{out}/demo"],
        }
        for name, command in commands.items():
            if not only or name in only:
                yield name, *disk_full(root, command)
        for name, plugin in zip(NAMES[3:], (StoragePlugin.SQLITE3, StoragePlugin.MCAP), strict=True):
            if not only or name in only:
                yield name, *cut_off(root, frames, plugin)


def disk_full(root: Path, command: list[str]) -> tuple[bool, str]:
    """A command whose output does not fit: it must end by itself with one line that says so."""
    with small_disk(root / "full") as (out, limit):
        done = hmr([part.format(out=out) for part in command], limit)
    said = [line for line in done.stderr.splitlines() if line.startswith("hmr: ")]
    good = done.returncode == 1 and len(said) == 1 and "Traceback" not in done.stderr
    return good, said[0] if said else f"exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"


@contextmanager
def small_disk(path: Path) -> Iterator[tuple[Path, int | None]]:
    """A file system that is full soon; where none may be mounted, a limit on the size of files."""
    path.mkdir(exist_ok=True)
    size = f"size={_FULL_KB}k"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(path)], capture_output=True, check=False)
    try:
        yield path, None if mounted.returncode == 0 else 1024 * _FULL_KB
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(path)], check=True)


def cut_off(root: Path, frames: np.ndarray, plugin: StoragePlugin) -> tuple[bool, str]:
    """A bag of which the second half is missing: what is before the cut must be answered, or the repair be named."""
    bag = write_bag(root / f"cut_{plugin.name}", frames, plugin)
    (file,) = (p for p in bag.iterdir() if p.suffix in (".db3", ".mcap"))
    size = file.stat().st_size
    os.truncate(file, size // 2)
    done = hmr(["bag", str(bag), str(root / f"out_{plugin.name}")], None)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "frames," in line or line.startswith("hmr: ")]
    answered = next((int(line.split()[0]) for line in said if "frames," in line), 0)
    whole = size // 2 * _IMAGES // size  # as many images lie before the cut, up to what the index takes
    return done.returncode == 0 and answered >= whole - 1, f"{answered} of {_IMAGES} images; {whole} lie before the cut"


def hmr(arguments: list[str], file_limit: int | None) -> subprocess.CompletedProcess[str]:
    """Run `hmr`, with a limit on the size of a file (bytes) where there is one."""
    limit = f"ulimit -f {file_limit // 1024}; trap '' XFSZ; " if file_limit else ""
    command = ["bash", "-c", f'{limit}exec "$@"', "bash", sys.executable, "-m", "hmr_ros", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def write_bag(path: Path, frames: np.ndarray, plugin: StoragePlugin) -> Path:
    """Thirty images at 15 Hz."""
    types = get_typestore(Stores.ROS2_JAZZY)
    t, kind = types.types, "sensor_msgs/msg/Image"
    with Writer(path, version=8, storage_plugin=plugin) as writer:
        connection = writer.add_connection("/camera/image_raw", kind, typestore=types)
        for i in range(_IMAGES):
            stamp = 10**18 + i * 66_666_667
            header = t["std_msgs/msg/Header"](
                t["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9), "optical"
            )
            image = np.ascontiguousarray(frames[i % len(frames)])
            message = t[kind](header, *image.shape[:2], "bgr8", 0, 3 * image.shape[1], image.reshape(-1))
            writer.write(connection, stamp, types.serialize_cdr(message, kind))
    return path


def write_video(path: Path, frames: np.ndarray) -> Path:
    """The same thirty images."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 15.0, frames.shape[2:0:-1])
    for i in range(_IMAGES):
        video.write(np.ascontiguousarray(frames[i % len(frames)]))
    video.release()
    return path
