"""Two rendered people who cross keep their ids."""

from dataclasses import replace

import numpy as np

from hmr_ros.config import HmrConfig
from hmr_ros.evaluate.crowd import crowd
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.results import ResultRecorder, load_humans, save_arrays
from hmr_ros.synth.crowd import arranged
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import render_motions, truth_arrays
from hmr_ros.types import Frame

FPS = 15.0


def test_ids_stay_with_their_people(open_body, tmp_path):
    whole = demo_motion(FPS)
    motions = [replace(whole, poses=whole.poses[s : s + 45], trans=whole.trans[s : s + 45]) for s in (0, 60)]
    camera = replace(guess_camera(640, 480), guessed=False)
    motions, view = arranged(motions, open_body, "crossing", camera, 4)
    pipeline = build_pipeline(offline(HmrConfig(recover="kinematic", refine="none"), as_live=True))
    truths, humans = [], []
    for k, (image, people) in enumerate(render_motions(motions, open_body, view, 1)):
        truths += people
        result = pipeline.step(Frame(k, round(k * 1e9 / FPS), image, camera))
        humans += result.humans if result else []
    save_arrays(tmp_path / "t.npz", **truth_arrays(truths, camera, FPS, "open", vertices=False, people=2))
    ResultRecorder(humans).save(tmp_path / "h.npz", camera.K, "open")
    found, _ = crowd(load_humans(tmp_path / "h.npz"), load_humans(tmp_path / "t.npz"))
    assert found["identity_switches"] == found["reported_twice"] == 0
    assert found["crowd_recall"] > 0.6 and found["crowd_precision"] > 0.9
    assert len(np.unique([h.track_id for h in humans])) == 2
