"""Tracking: identities last, bodies are not doubled, real footage is followed."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from hmr_ros.body.joints import LIMB_JOINTS, SMPL_LIMBS
from hmr_ros.config import HmrConfig, with_values
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.geometry.camera import project
from hmr_ros.io.model_store import landmark_models
from hmr_ros.io.video import open_source
from hmr_ros.perception.finders import build_finder
from hmr_ros.perception.landmarks import Landmarker
from hmr_ros.perception.tracker import PersonTracker
from hmr_ros.types import Camera, Frame, Roi, TrackingState


@pytest.fixture(scope="module")
def pipeline():
    return build_pipeline(offline(HmrConfig(refine="none")))


@pytest.fixture(autouse=True)
def forget(pipeline):
    pipeline.reset()


def frames(rendered, order):
    images, _, camera = rendered
    return [Frame(i, round(i * 1e9 / 15), images[p], camera) for i, p in enumerate(order)]


def follow(pipeline, source):
    """Rows of (frame, id, human) of a whole source."""
    return [(frame.index, h.track_id, h) for frame in source for h in pipeline.step(frame).humans]


def test_one_person_one_id_and_near_the_truth(pipeline, rendered):
    rows = follow(pipeline, frames(rendered, range(25)))
    assert [i for i, _, _ in rows] == list(range(25)) and len({t for _, t, _ in rows}) == 1
    assert rows[0][2].state is TrackingState.NEW and rows[1][2].state is TrackingState.TRACKED
    truth = rendered[1]
    for i, _, human in rows[::6]:
        error = procrustes_errors(human.joints[None, SMPL_LIMBS], truth[i].joints[None, SMPL_LIMBS])
        assert error.mean() < 100
        assert abs(human.transl[2] - truth[i].transl[2]) < 0.5


def test_id_survives_an_occlusion(pipeline, rendered):
    shown = frames(rendered, range(25))
    for i in range(10, 16):
        shown[i] = replace(shown[i], image=np.full_like(shown[i].image, 128))
    rows = follow(pipeline, shown)
    assert len({t for _, t, _ in rows}) == 1
    assert not {i for i, _, _ in rows} & set(range(10, 16))
    assert next(h for i, _, h in rows if i >= 16).state is TrackingState.RECOVERED


@pytest.mark.parametrize("live", [False, True])
def test_no_more_people_than_wanted_whoever_comes_back(rendered, live):
    """The left one is hidden, the right one comes, the left one returns."""
    config = with_values(HmrConfig(refine="none", recover="kinematic"), {"tracker.max_people": 1})
    pipeline = build_pipeline(config if live else offline(config))
    images, _, camera = rendered
    grey, ids = np.full_like(images[0], 110), []
    for i in range(24):
        left, right = (images[i] if i < 6 or i >= 14 else grey), (images[i] if i >= 7 else grey)
        frame = Frame(i, round(i * 1e9 / 15), np.hstack([left, right]), camera)
        ids.append([h.track_id for h in pipeline.step(frame).humans])
        pipeline.search(frame)
    assert max(map(len, ids)) == 1
    assert ids[5] and ids[12] and ids[12] != ids[5] and ids[-1] == ids[12]  # who is followed stays


def test_a_smaller_number_of_people_holds_at_once(rendered):
    config = HmrConfig(refine="none", recover="kinematic")
    pipeline = build_pipeline(offline(config))
    images, _, camera = rendered
    found = []
    for i in range(6):
        if i == 3:
            pipeline.adjust(with_values(config, {"tracker.max_people": 1}))
        found.append(len(pipeline.step(Frame(i, round(i * 1e9 / 15), np.hstack([images[i]] * 2), camera)).humans))
    assert found == [2, 2, 2, 1, 1, 1]


def test_live_search_finds_the_person_one_frame_later(rendered):
    live = build_pipeline(HmrConfig())
    found = []
    for frame in frames(rendered, range(4)):
        found.append(len(live.step(frame).humans))
        live.search(frame)
    assert found == [0, 1, 1, 1]


def test_live_nobody_is_answered_who_is_seen_in_one_frame_only(rendered):
    live = build_pipeline(HmrConfig(refine="none"))
    shown = frames(rendered, range(8))
    for i in (0, 1, 3, 4):
        shown[i] = replace(shown[i], image=np.full_like(shown[i].image, 128))
    answers = []
    for frame in shown:
        answers.append(live.step(frame).humans)
        live.search(frame)
    assert [len(a) for a in answers] == [0, 0, 0, 0, 0, 0, 1, 1]
    assert answers[6][0].state is TrackingState.NEW


class Fooled:
    """A finder that sees a body three times as large, and very certain of it, in every tile beside what it finds."""

    def __init__(self, finder):
        self._finder, self.min_score = finder, finder.min_score

    def __call__(self, image, window):
        found = self._finder(image, window)
        if window.size_px >= max(image.shape[:2]) or len(found) == 0:
            return found
        large = Roi(found[0].roi.center_px, 3 * found[0].roi.size_px, found[0].roi.angle_rad + 1.0)
        return [replace(found[0], roi=large, score=0.99), *found]


def test_what_a_tile_proposes_never_comes_before_the_whole_image(rendered):
    config = offline(HmrConfig(), as_live=True)
    found = []
    for fractions, wrap in (("", lambda f: f), ("0.6", Fooled)):
        search = replace(config.detector, tile_fractions=fractions)
        tracker = PersonTracker(
            wrap(build_finder(search, 1)), Landmarker(landmark_models("full"), 1), config.tracker, search
        )
        found.append(tracker.step(frames(rendered, [0])[0]))
    (one,), (other,) = found
    np.testing.assert_array_equal(one.keypoints.keypoints_2d, other.keypoints.keypoints_2d)


def test_photos_of_a_folder_are_strangers_to_each_other(pipeline, shared, tmp_path):
    """Nobody is followed from one photo into the next, and every photo is searched as the first."""
    names = ["squat", "jockey", "tree_pose"]
    for i, name in enumerate(names):
        (tmp_path / f"{i}.jpg").write_bytes((shared / f"photos/{name}.jpg").read_bytes())
    rows = follow(pipeline, open_source(str(tmp_path), None))
    assert [i for i, _, _ in rows] == [0, 1, 2] and len({t for _, t, _ in rows}) == 3  # and nobody on the horse
    assert all(h.state is TrackingState.NEW for _, _, h in rows)


def test_time_running_backwards_starts_over(pipeline, rendered):
    first = follow(pipeline, frames(rendered, range(3)))
    again = follow(pipeline, frames(rendered, range(3)))
    assert first[0][1] != again[0][1]


@pytest.mark.parametrize("image", [np.zeros((480, 640, 3)), np.zeros((1, 1, 3)), np.zeros((0, 0, 3))])
def test_images_without_people(pipeline, image):
    camera = Camera(np.eye(3), 1, 1)
    assert pipeline.step(Frame(0, 0, image.astype(np.uint8), camera)).humans == []


def test_two_people_keep_their_ids(pipeline, shared):
    rows = follow(pipeline, list(open_source(str(shared / "footage/two_people_outdoors.mp4"), None))[:120])
    count = {t: sum(t == u for _, u, _ in rows) for _, t, _ in rows}
    assert len(count) == 2 and max(count.values()) >= 118 and min(count.values()) >= 70


def test_four_people_in_the_street(pipeline, shared):
    source = list(open_source(str(shared / "footage/street_crowd.mp4"), None))
    people = [pipeline.step(frame).humans for frame in source]
    assert len(people[-1]) >= 4


def test_no_legs_are_made_up_below_the_image(pipeline, shared):
    rows = follow(pipeline, open_source(str(shared / "footage/upper_body_indoor.mp4"), None))
    assert len({t for _, t, _ in rows}) == 1 and len(rows) >= 46
    legs = np.array([h.keypoints_2d[25:, 2] for _, _, h in rows])
    assert legs.mean() < 0.15


def test_unusual_pose_in_a_still(pipeline, shared):
    image = cv2.imread(str(shared / "footage/weightlifter.jpg"))
    source = next(iter(open_source(str(shared / "footage/weightlifter.jpg"), None)))
    assert len(pipeline.step(replace(source, image=image)).humans) == 1


@pytest.mark.parametrize("view", [0, 1])
def test_recovery_is_no_worse_than_the_landmarks_on_real_video(pipeline, shared, view):
    reference = np.load(shared / "balance/reference.npz")
    names = list(reference["joint_names"])
    index = [names.index(n.split("_")[0][0].upper() + n.split("_")[1].capitalize()) for n in LIMB_JOINTS]
    K, R, t = (reference[k][view] for k in ("K", "R", "t"))
    source = open_source(str(shared / f"balance/cam0{view + 1}.mp4"), Camera(K, 1080, 1920))
    rows = follow(pipeline, source)
    where = project(reference["joints3d"][0][index] @ R.T + t, K).mean(0)  # the bystander is seen as often
    main = min((row for row in rows if row[0] == 0), key=lambda row: np.linalg.norm(row[2].joints_2d.mean(0) - where))[
        1
    ]
    errors = []
    for i, track, human in rows:
        reliable = reference["reliable"][i][index]
        if track == main and reliable.sum() >= 10:
            truth = reference["joints3d"][i][index] @ R.T + t
            errors.append(procrustes_errors(human.joints[None, SMPL_LIMBS][:, reliable], truth[None, reliable]).mean())
            assert np.isfinite(project(human.joints, K)).all()
    assert [i for i, track, _ in rows if track == main] == list(range(len(reference["joints3d"])))
    assert len(errors) > 50 and np.median(errors) <= 70
