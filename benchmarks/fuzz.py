"""Random and damaged input for every reader: it is read, or refused in one line; nothing else, and no memory is kept.

`python benchmarks/fuzz.py --cases 100000`; cases are divided among the readers and follow from --seed and their number,
so that one can be repeated: `--reader results --first 4711 --cases 1`.
"""

import argparse
import faulthandler
import logging
import resource
import struct
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from hmr_ros.config import HmrConfig, read_config
from hmr_ros.errors import HmrError
from hmr_ros.geometry.camera import undistort_points
from hmr_ros.io.bags import BagImages
from hmr_ros.io.calibration import camera_of_info, read_camera
from hmr_ros.io.depth_messages import decode_depth
from hmr_ros.io.encodings import ENCODINGS, decode_image
from hmr_ros.io.results import ResultRecorder, load_humans, load_motion, save_arrays

NASTY = [0.0, -0.0, 1.0, -1.0, 1e-300, 1e300, np.inf, -np.inf, np.nan, 0.5, 320.0, 640.0, -5.0, 1e6, 2.0**31]
MODELS = ["plumb_bob", "rational_polynomial", "equidistant", "fisheye", "", "none", "Plumb_Bob", "omni", "x" * 99, "\0"]
FORMATS = ["jpeg", "png", "", "bgr8; jpeg compressed bgr8", "16UC1; compressedDepth png", "32FC1; compressedDepth"]
CAMERA = b"""image_width: 640
image_height: 480
distortion_model: plumb_bob
camera_matrix: {rows: 3, cols: 3, data: [500, 0, 320, 0, 510, 240, 0, 0, 1]}
distortion_coefficients: {data: [0.1, 0, 0, 0, 0]}
"""
CONFIG = Path(__file__).parents[1] / "config" / "live.yaml"


class Fuzz:
    """One reader with a folder for its files; call it with a random generator for one case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        image = cv2.resize(np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8), (64, 48))
        self.compressed = [cv2.imencode(suffix, image)[1].tobytes() for suffix in (".jpg", ".png")]
        wide = cv2.imencode(".png", image[..., 0].astype(np.uint16))[1].tobytes()
        self.depth = struct.pack("<iff", 0, 600.0, -20.0) + wide
        amass = {"poses": np.zeros((3, 156)), "trans": np.zeros((3, 3)), "mocap_framerate": np.array(120.0)}
        save_arrays(folder / "motion.npz", **amass)
        ResultRecorder().save(folder / "humans.npz", np.eye(3), "open")
        self.archives = [(folder / name).read_bytes() for name in ("motion.npz", "humans.npz")]
        self.yaml = [CONFIG.read_bytes(), CAMERA]
        self.bags = [recorded(folder, kind) for kind in ("MCAP", "SQLITE3", "ros1")]

    def encodings(self, rng: np.random.Generator) -> None:
        """sensor_msgs/Image of any encoding, with sizes, steps and data that belong together or do not."""
        width, height = (int(rng.choice([0, 1, 2, 3, 7, 16, 33, 64])) for _ in range(2))
        name = str(rng.choice(list(ENCODINGS))) if rng.random() < 0.9 else rng.bytes(5).decode("latin-1")
        step = int(rng.choice([0, width, 2 * width, 3 * width, 4 * width, 6 * width, 8 * width, 5, 2**31]))
        if rng.random() < 0.5 and name in ENCODINGS:
            step = width * ENCODINGS[name].channels * int(ENCODINGS[name].dtype[1])
        size = int(rng.choice([0, 1, step * height % 100_000, 2 * step * height % 100_000, 20_000]))
        message = SimpleNamespace(
            encoding=name if rng.random() < 0.5 else name.upper(), width=width, height=height, step=step,
            is_bigendian=int(rng.integers(2)), data=rng.bytes(size),
        )  # fmt: skip
        image = decode_image(message) if rng.random() < 0.8 else decode_depth(message)
        assert image.shape[:2] == (height, width)

    def compressed_images(self, rng: np.random.Generator) -> None:
        """Damaged jpeg, png and compressedDepth."""
        form = str(rng.choice(FORMATS))
        data = self.depth if "Depth" in form else self.compressed[int(rng.integers(2))]
        message = SimpleNamespace(format=form, data=np.frombuffer(damaged(data, rng), np.uint8))
        image = decode_image(message) if rng.random() < 0.7 else decode_depth(message)
        assert image.ndim in (2, 3)

    def camera_info(self, rng: np.random.Generator) -> None:
        """CameraInfo with any numbers in any field; what passes can be undistorted."""

        def numbers(plausible: list[float]) -> np.ndarray:
            values = np.array(plausible, np.float64)
            wrong = rng.random(len(values)) < rng.choice([0.0, 0.0, 0.02, 0.3])
            values[wrong] = rng.choice(NASTY, int(wrong.sum()))
            return values

        count = int(rng.choice([0, 1, 2, 3, 4, 5, 6, 8, 12, 14, 15, 40]))
        size = [int(rng.choice([640] * 8 + [0, 1, 64, 2**32 - 1])), int(rng.choice([480] * 8 + [0, 1, 48, 2**32 - 1]))]
        roi = [int(v) for v in rng.choice([0] * 12 + [1, 100, 300, 2**32 - 1], 4)]
        info = SimpleNamespace(
            width=size[0], height=size[1], distortion_model=str(rng.choice(MODELS)),
            d=numbers(list(rng.normal(0, float(rng.choice([0.01, 0.03, 0.3, 10])), count))),
            k=numbers([500.0, 0, 320, 0, 510, 240, 0, 0, 1]), p=numbers([400.0, 0, 310, 0, 0, 410, 230, 0, 0, 0, 1, 0]),
            binning_x=int(rng.choice([0, 1, 2, 2**32 - 1])), binning_y=int(rng.choice([0, 1, 2, 2**32 - 1])),
            roi=SimpleNamespace(x_offset=roi[0], y_offset=roi[1], width=roi[2], height=roi[3], do_rectify=False),
        )  # fmt: skip
        width, height = (640, 480) if rng.random() < 0.7 else (int(v) for v in rng.integers(1, 2000, 2))
        camera = camera_of_info(info, bool(rng.integers(2)), width, height)
        assert np.isfinite(camera.K).all() and camera.K[0, 0] > 0 and (camera.width, camera.height) == (width, height)
        assert np.isfinite(undistort_points(np.array([[width / 2, height / 2]]), camera)).all()

    def results(self, rng: np.random.Generator) -> None:
        """Damaged archives as results and as motion."""
        path = self.folder / "damaged.npz"
        path.write_bytes(damaged(self.archives[int(rng.integers(2))], rng))
        load_motion(path) if rng.random() < 0.5 else load_humans(path)

    def yaml_files(self, rng: np.random.Generator) -> None:
        """Damaged configurations and calibrations."""
        path = self.folder / "damaged.yaml"
        path.write_bytes(damaged(self.yaml[int(rng.integers(2))], rng, b"{}[]:,&*!|>%@`\"'#-\n\t 0123456789.nainfe"))
        if rng.random() < 0.5:
            assert isinstance(read_config(path), HmrConfig)
        else:
            read_camera(str(path))

    def recordings(self, rng: np.random.Generator) -> None:
        """Damaged and cut recordings of all three formats."""
        suffix, content = self.bags[int(rng.integers(3))]
        path = self.folder / f"damaged{suffix}"
        path.write_bytes(damaged(content, rng))
        with BagImages(path) as images:
            for frame in images:
                assert frame.image.ndim == 3


READERS: dict[str, tuple[Callable[[Fuzz, np.random.Generator], None], float]] = {  # with their share of the cases
    "encodings": (Fuzz.encodings, 0.3), "compressed_images": (Fuzz.compressed_images, 0.15),
    "camera_info": (Fuzz.camera_info, 0.25), "results": (Fuzz.results, 0.12), "yaml_files": (Fuzz.yaml_files, 0.08),
    "recordings": (Fuzz.recordings, 0.1),
}  # fmt: skip


def damaged(content: bytes, rng: np.random.Generator, alphabet: bytes = bytes(range(256))) -> bytes:
    """The same with some bytes changed, taken out, put in, or the end cut off."""
    out = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 2, 5, 20]))):
        at = int(rng.integers(len(out) + 1)) if rng.random() < 0.7 else int(rng.integers(min(len(out), 200) + 1))
        kind = rng.integers(4)
        if kind == 0:
            out[at : at + 1] = bytes([alphabet[int(rng.integers(len(alphabet)))]])
        elif kind == 1:
            out[at : at + int(rng.integers(1, 30))] = b""
        elif kind == 2:
            out[at:at] = bytes(alphabet[int(i)] for i in rng.integers(len(alphabet), size=int(rng.integers(1, 12))))
        elif rng.random() < 0.2:
            del out[at:]
        if not out:
            break
    return bytes(out)


def recorded(folder: Path, kind: str) -> tuple[str, bytes]:
    """A small recording and its suffix: four images of two sizes with their CameraInfo."""
    ros1 = kind == "ros1"
    types = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_JAZZY)
    t, name = types.types, "sensor_msgs/msg/Image"
    path = folder / (f"{kind}.bag" if ros1 else kind)
    writer = Writer1(path) if ros1 else Writer2(path, version=9, storage_plugin=StoragePlugin[kind])
    with writer:
        connection = writer.add_connection("/cam/image", name, typestore=types)
        for i in range(4):
            header = t["std_msgs/msg/Header"](*([0] if ros1 else []), t["builtin_interfaces/msg/Time"](i + 1, 0), "c")
            message = t[name](header, 12, 16 + 4 * (i % 2), "mono8", 0, 16 + 4 * (i % 2), np.zeros(12 * 20, np.uint8))
            serialized = types.serialize_ros1(message, name) if ros1 else types.serialize_cdr(message, name)
            writer.write(connection, (i + 1) * 10**9, serialized)
    file = path if ros1 else next(p for p in path.iterdir() if p.suffix in (".mcap", ".db3"))
    return file.suffix, file.read_bytes()


def run(reader: str, fuzz: Fuzz, seed: int, numbers: range) -> Counter[str]:
    """How many cases were read and how many refused; AssertionError names the case that did anything else."""
    ended: Counter[str] = Counter()
    for number in numbers:
        try:
            READERS[reader][0](fuzz, np.random.default_rng([seed, number]))
            ended["read"] += 1
        except HmrError as error:
            assert "\n" not in str(error), f"{reader} case {number}: {error!r} is more than one line"
            ended["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{reader} case {number} of seed {seed}: {type(error).__name__}: {error}") from error
    return ended


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", choices=READERS, help="this one alone")
    args = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    print(f"{'reader':20}{'cases':>8}{'read':>8}{'refused':>9}{'us each':>9}{'MB more':>9}")
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder))
        for name, (_, share) in READERS.items():
            if args.reader not in (None, name):
                continue
            count = args.cases if args.reader else max(1, round(share * args.cases))
            first = args.first + count // 10  # the first tenth warms up
            ended = run(name, fuzz, args.seed, range(args.first, first))
            before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
            ended += run(name, fuzz, args.seed, range(first, args.first + count))
            each = 1e6 * (time.perf_counter() - start) / max(1, args.first + count - first)
            more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            print(f"{name:20}{count:8}{ended['read']:8}{ended['refused']:9}{each:9.0f}{more:9.1f}", flush=True)


if __name__ == "__main__":
    main()
