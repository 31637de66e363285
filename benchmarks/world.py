"""People in the world: rendered clips with a tilted camera, and every way to know which way is up.

`python benchmarks/world.py MOTION.npz:PITCH:ROLL:SEED ... --out FOLDER` renders each motion (at most 120 frames,
640x480) as `hmr render --pitch --roll --seed` does, recovers it once as `hmr run` does, and prints the figures of
`hmr evaluate` a clip and their mean: without feet held, with gravity given, with the camera's height too, with
gravity from people, and as live (the past alone) with gravity given. A clip that is in FOLDER already is not rendered
again.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from hmr_ros.body.loading import load_body
from hmr_ros.config import HmrConfig, with_values
from hmr_ros.evaluate.report import evaluate
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.results import ResultRecorder, load_humans
from hmr_ros.io.video import open_source
from hmr_ros.synth.render import render_file
from hmr_ros.types import Camera, Frame, Human
from hmr_ros.world.live import LiveWorld
from hmr_ros.world.whole import in_world

FIGURES = (
    "up_error_deg", "root_tilt_deg", "contact_f1", "foot_slide_mm", "foot_slide_truth_mm", "root_drift_percent",
    "acceleration_error_m_s2", "mpjpe_mm", "translation_mm",
)  # fmt: skip
CAMERA = replace(guess_camera(640, 480), guessed=False)
BODY = load_body()
Way = Callable[[list[Human], HmrConfig], list[Human]]


def files(humans: list[Human], config: HmrConfig) -> list[Human]:
    """As `hmr run`."""
    return in_world(humans, BODY, CAMERA, config)


def live(humans: list[Human], config: HmrConfig) -> list[Human]:
    """As the node."""
    world, out = LiveWorld(BODY, config), []
    for index in sorted({h.frame for h in humans}):
        people = [h for h in humans if h.frame == index]
        out += world(Frame(index, people[0].stamp_ns, np.zeros((1, 1, 3), np.uint8), CAMERA), people)
    return out


WAYS: dict[str, tuple[Way, bool, bool, dict[str, str]]] = {  # how, tilt given, height given, settings
    "feet as recovered": (files, True, False, {"world.feet": "never"}),
    "gravity given": (files, True, False, {}),
    "gravity and floor given": (files, True, True, {}),
    "gravity from people": (files, False, False, {}),
    "live, gravity given": (live, True, False, {"world.feet": "always"}),
}


def main() -> None:
    """Print a table a way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", metavar="MOTION:PITCH:ROLL:SEED")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    made = [clip(text, args.out) for text in args.clips]
    for name, (how, tilted, high, settings) in WAYS.items():
        print(f"\n{name}\n{'':<14}" + " ".join(f"{f[:13]:>13}" for f in FIGURES))
        rows = []
        for path, tilt, humans in made:
            truth = path.with_suffix(".truth.npz")
            given = dict(zip(("camera.pitch_deg", "camera.roll_deg"), tilt, strict=True)) if tilted else {}
            if high:
                given["camera.height_m"] = float(load_humans(truth).t_world_camera[0, 2])
            people = how(humans, with_values(HmrConfig(), given | settings))
            answer = args.out / "humans.npz"
            ResultRecorder(people).save(answer, K=CAMERA.K, body_model=BODY.name)
            found = evaluate(answer, truth)
            rows.append([np.nan if found.get(f) is None else found[f] for f in FIGURES])
            print(line(path.name, rows[-1]))
        print(line("mean", np.nanmean(rows, 0).tolist()))


def clip(text: str, out: Path) -> tuple[Path, tuple[float, float], list[Human]]:
    """Rendered, with its tilt and its people before they are in a world."""
    motion, pitch, roll, seed = text.rsplit(":", 3)
    path = out / f"{Path(motion).stem}.mp4"
    tilt = float(pitch), float(roll)
    if not path.is_file():
        render_file(
            [Path(motion)], path, path.with_suffix(".truth.npz"), camera=None, size="640x480", fps=None, seed=int(seed),
            max_frames=120, vertices=False, body=None, tilt=tilt,
        )  # fmt: skip
    pipeline = build_pipeline(offline(with_values(HmrConfig(), {"threads": 1})))
    camera = Camera(CAMERA.K, CAMERA.width, CAMERA.height)
    humans = [h for result in pipeline.results(open_source(str(path), camera)) for h in result.humans]
    return path.with_suffix(""), tilt, humans


def line(name: str, values: list[float]) -> str:
    """One row of the table."""
    return f"{name:<14}" + " ".join(f"{'-' if np.isnan(v) else f'{v:.2f}':>13}" for v in values)


if __name__ == "__main__":
    main()
