"""The body model side by side with smplx: `python benchmarks/body.py`; one person and eight, joints and vertices."""

import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import smplx
import torch

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.loading import load_body

REPEATS = 100


def main() -> None:
    """Print the times and the largest difference."""
    torch.set_num_threads(1)
    body, rng = load_body(None), np.random.default_rng(0)
    parents = np.where(SMPL_PARENTS < 0, 2**32 - 1, SMPL_PARENTS).astype(np.uint32)
    arrays = {
        "v_template": body.v_template, "shapedirs": body.shapedirs, "J_regressor": body.J_regressor,
        "posedirs": np.zeros((len(body.v_template), 3, 207)), "weights": body.weights,
        "f": body.faces.astype(np.uint32), "kintree_table": np.stack([parents, np.arange(24, dtype=np.uint32)]),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "SMPL_NEUTRAL.pkl"
        path.write_bytes(pickle.dumps(arrays))
        peer = smplx.SMPL(str(path))
    for count in (1, 8):
        person = {
            "global_orient": rng.normal(0, 0.5, (count, 3)), "body_pose": rng.normal(0, 0.3, (count, 69)),
            "betas": rng.normal(0, 1, (count, 10)), "transl": rng.normal(0, 1, (count, 3)),
        }  # fmt: skip
        given = {k: torch.as_tensor(v, dtype=torch.float32) for k, v in person.items()}
        with torch.inference_mode():
            theirs = peer(**given).vertices.numpy()
            ms_theirs = median_ms(lambda given=given: peer(**given))
        ours = np.array([body.vertices(**{k: v[i] for k, v in person.items()}) for i in range(count)])
        each = [{k: v[i] for k, v in person.items()} for i in range(count)]
        ms_vertices = median_ms(lambda each=each: [body.vertices(**p) for p in each])
        ms_joints = median_ms(lambda person=person: body.joints(**person))
        print(
            f"{count} people: smplx {ms_theirs:.2f} ms (vertices and joints), ours {ms_vertices:.2f} ms vertices,"
            f" {ms_joints:.2f} ms joints alone; largest difference {1e3 * np.abs(ours - theirs).max():.4f} mm"
        )


def median_ms(call: Callable[[], object]) -> float:
    """Of `REPEATS` calls."""
    spent = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return 1e3 * float(np.median(spent))


if __name__ == "__main__":
    main()
