"""One person on the page: a skinned mesh, which feet stand, how sure its joints are, and the way that they came."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import quaternion_from_matrix
from hmr_ros.types import Floats, Human
from hmr_ros.view.browser.scene import bones_of, contact_rings, four_weights, rest_shape, sigma_axes
from hmr_ros.view.skeleton import track_color
from hmr_ros.world.feet import Soles

_OTHER_SHAPE = 0.15  # of a beta, from which the mesh is sent anew: about 5 mm
_ANEW_S = 3.0  # but not more often, for a browser shows nobody while it takes the mesh in
CONTACT_COLOR = (255, 225, 0)  # of the rings under feet that stand; RGB
_NO_LINES = np.zeros((1, 2, 3), np.float32)


class Figure:
    """What viser's scene holds of one identity; made when it is first shown, hidden while the person is not there."""

    def __init__(self, scene: Any, body: BodyModel, track_id: int) -> None:
        blue, green, red = (round(c) for c in track_color(track_id))
        self._scene, self._body, self._name, self._soles = scene, body, f"/people/{track_id}", Soles(body)
        self._color, self._weights = (red, green, blue), four_weights(body.weights)
        self._betas: Floats | None = None  # of the mesh
        self._sent_s = 0.0  # when the mesh was sent
        self._mesh: Any = None
        dark = tuple(round(0.5 * c) for c in self._color)
        self._sigma = scene.add_line_segments(f"{self._name}/sigma", _NO_LINES, dark, thickness=0.006, visible=False)
        self._rings = scene.add_line_segments(
            f"{self._name}/contacts", _NO_LINES, CONTACT_COLOR, thickness=0.02, visible=False
        )
        self._trail = scene.add_line_segments(f"{self._name}/trail", _NO_LINES, self._color, thickness=0.015)

    def show(self, human: Human, to_world: Rigid, trail: Floats | None, *, uncertainty: bool, contacts: bool) -> None:
        """Move the body; `trail` [N,3] m in the world."""
        betas = self._shaped(human.betas)
        bones = bones_of(human, self._body, to_world, betas)
        for bone, wxyz, position in zip(
            self._mesh.bones, quaternion_from_matrix(bones.rotations), bones.positions, strict=True
        ):
            bone.wxyz, bone.position = wxyz, position
        self._mesh.visible = True
        rings = contact_rings(human, bones, self._soles, betas) if contacts else _NO_LINES[:0]
        self._rings.visible = len(rings) > 0
        if len(rings):
            self._rings.points = rings.astype(np.float32)
        self._sigma.visible = uncertainty
        if uncertainty:
            self._sigma.points = sigma_axes(human, to_world).astype(np.float32)
        self._trail.visible = trail is not None and len(trail) > 1
        if trail is not None and len(trail) > 1:
            self._trail.points = np.stack([trail[:-1], trail[1:]], 1).astype(np.float32)

    def hide(self) -> None:
        """The person is not there."""
        for handle in (self._mesh, self._rings, self._sigma, self._trail):
            if handle is not None:
                handle.visible = False

    def remove(self) -> None:
        """Take everything off the page."""
        for handle in (self._mesh, self._rings, self._sigma, self._trail):
            if handle is not None:
                handle.remove()

    def _shaped(self, betas: Floats) -> Floats:
        """Make the mesh of this shape; sent anew only where the body differs visibly. The shape of the mesh."""
        now = time.monotonic()
        if self._betas is not None and (
            now - self._sent_s < _ANEW_S or np.abs(betas - self._betas).max() < _OTHER_SHAPE
        ):
            return self._betas
        self._sent_s = now
        if self._mesh is not None:
            self._mesh.remove()
        self._betas = betas
        rest = rest_shape(self._body, betas)
        identity = np.tile([1.0, 0.0, 0.0, 0.0], (len(rest.joints), 1))
        self._mesh = self._scene.add_mesh_skinned(
            f"{self._name}/body", rest.vertices, self._body.faces, bone_wxyzs=identity, bone_positions=rest.joints,
            skin_weights=self._weights, color=self._color,
        )  # fmt: skip
        return betas
