"""What the demo leaves behind: overlay video, humans.npz, truth.npz and a summary."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hmr_ros.body.loading import load_body
from hmr_ros.evaluate.report import evaluate
from hmr_ros.io.results import ResultRecorder, save_arrays
from hmr_ros.io.video import VideoWriter
from hmr_ros.ros.demo.clip import DemoClip
from hmr_ros.ros.demo.recording import Recording
from hmr_ros.synth.render import truth_arrays
from hmr_ros.types import Human
from hmr_ros.view.overlay import draw_humans

_OVERLAY_S = 10.0  # one loop
_SHOWN = ("pa_mpjpe_limbs_mm", "mpjpe_mm", "recall", "joints_2d_px")


def write_report(out: Path, clip: DemoClip, recording: Recording) -> None:
    """Write everything to `out` and print the summary."""
    people = _numbered(recording, clip)
    recorder = ResultRecorder()
    for humans in people:
        recorder.add(humans)
    recorder.save(out / "humans.npz", K=clip.camera.K, body_model=load_body().name)
    summary = _summary(recording, people)
    if clip.truth is not None:
        played = [clip.truth[i % len(clip)] for i in range(len(recording.sent_ns))]
        save_arrays(out / "truth.npz", **truth_arrays(played, clip.camera, clip.fps, load_body().name, vertices=False))
        if any(people):
            summary["against_truth"] = evaluate(out / "humans.npz", out / "truth.npz")
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    _write_overlay(out, clip, people)
    _print(summary, out)


def _numbered(recording: Recording, clip: DemoClip) -> list[list[Human]]:
    """People of each image that was sent, with the frame number and intrinsics that messages do not carry."""
    return [
        [replace(h, frame=i, K=clip.camera.K) for h in recording.humans.get(stamp, [])]
        for i, stamp in enumerate(recording.sent_ns)
    ]


def _summary(recording: Recording, people: list[list[Human]]) -> dict[str, Any]:
    latency_ms = 1e3 * np.array(recording.latency_s)
    return {
        "sent": len(recording.sent_ns),
        "received_by_node": int(recording.diagnostics.get("received", 0)),
        "dropped_by_node": int(recording.diagnostics.get("dropped", 0)),
        "answers_recorded": len(latency_ms),
        "frames_with_people": sum(bool(p) for p in people),
        "track_ids": sorted({h.track_id for humans in people for h in humans}),
        "latency_ms_p50": float(np.percentile(latency_ms, 50)),
        "latency_ms_p95": float(np.percentile(latency_ms, 95)),
        "node": recording.diagnostics,
    }


def _write_overlay(out: Path, clip: DemoClip, people: list[list[Human]]) -> None:
    frames = np.load(clip.frames_file, mmap_mode="r")
    body = load_body()
    count = min(len(people), round(_OVERLAY_S * clip.fps))
    with VideoWriter(out / "overlay.mp4", clip.fps, for_browsers=True) as video:
        for i in tqdm(range(count), unit="frame", desc="draw the overlay"):
            video.write(draw_humans(np.array(frames[i % len(clip)]), people[i], body))


def _print(summary: dict[str, Any], out: Path) -> None:
    print(
        f"\nsent {summary['sent']}, received by the node {summary['received_by_node']}, "
        f"dropped {summary['dropped_by_node']}, answered {summary['answers_recorded']}, "
        f"with people {summary['frames_with_people']}, ids {summary['track_ids']}\n"
        f"latency from stamp to arrival of the answer: p50 {summary['latency_ms_p50']:.1f} ms, "
        f"p95 {summary['latency_ms_p95']:.1f} ms"
    )
    for name in _SHOWN:
        if value := summary.get("against_truth", {}).get(name):
            print(f"against the truth: {name} {value:.2f}")
    print(f"results in {out}/: overlay.mp4, humans.npz, summary.json")
