"""The web page: bodies in the world, floor and camera, the image, a list of people, and what plays it back."""

from __future__ import annotations

import contextlib
import html
import io
import socket
from typing import Any

import cv2
import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.errors import AssetError, InputError
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import quaternion_from_matrix
from hmr_ros.types import Floats, Human, Image, ScaleSource
from hmr_ros.view.browser.figure import Figure
from hmr_ros.view.browser.playback import Moment, Playback
from hmr_ros.view.browser.scene import Floor
from hmr_ros.view.skeleton import track_color
from hmr_ros.world.stand import STANDS

_TRAIL_S = 3.0
_MOST_FIGURES = 64  # hidden ones are kept until there are so many
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Page:
    """Serves the page and draws one moment after another. One thread draws; viser answers the browsers."""

    def __init__(self, body: BodyModel, playback: Playback, *, host: str, port: int, recorded: bool) -> None:
        """Listens at once. AssetError without viser, InputError where the port cannot be had."""
        viser = _viser()
        _check_port(host, port)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints a table of its addresses
            self._server = viser.ViserServer(host=host, port=port, label="hmr_ros", verbose=False)
        self.url = f"http://{'localhost' if host in _LOOPBACK else host}:{port}"
        self._body, self._playback, self._recorded = body, playback, recorded
        self._floor = Floor(body)
        self._figures: dict[int, Figure] = {}
        self._camera: Any = None
        self._aimed = False
        self._shown: Moment | None = None
        self._moved_by_us = False
        self._build()

    @property
    def is_watched(self) -> bool:
        """Whether a browser looks at it."""
        return bool(self._server.get_clients())

    def close(self) -> None:
        """Stop to serve."""
        self._server.stop()

    def update(self) -> None:
        """Draw the moment that is to be shown now, unless it is the one that stands there."""
        moment = self._playback.current()
        if moment is None:
            return
        if moment is not self._shown:
            if moment.t_world_camera is None:
                self._floor.observe(moment.humans, moment.R_world_camera)
            self._shown = moment
            with self._server.atomic():
                self._draw(moment)
        self._move_slider()

    def _build(self) -> None:
        server, gui = self._server, self._server.gui
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, control_width="medium")
        server.scene.add_grid(
            "/floor", width=20, height=20, cell_size=0.5, section_size=1.0, plane_color=(60, 66, 74), plane_opacity=0.9,
            cell_color=(90, 96, 104), section_color=(120, 126, 134), shadow_opacity=0.35,
        )  # fmt: skip
        self._status = gui.add_html("<i>nothing was seen yet</i>")
        self._image = gui.add_image(np.zeros((9, 16, 3), np.uint8), format="jpeg")
        self._people = gui.add_html("")
        self._slider = gui.add_slider("seconds", min=0.0, max=1.0, step=0.01, initial_value=0.0)
        self._play = gui.add_button("Pause")
        self._play.on_click(lambda _: self._toggle())
        self._slider.on_update(self._sought)
        if not self._recorded:
            gui.add_button("Live").on_click(lambda _: self._set_playing(True, newest=True))
        self._loop = gui.add_checkbox("repeat", initial_value=self._recorded, visible=self._recorded)
        self._trails = gui.add_checkbox("trails", initial_value=True)
        self._contacts = gui.add_checkbox("contacts", initial_value=True)
        self._uncertainty = gui.add_checkbox("uncertainty", initial_value=False)
        for box in (self._trails, self._contacts, self._uncertainty):
            box.on_update(lambda _: self._redraw())

    def advance(self, passed_s: float) -> None:
        """Time passes."""
        self._playback.advance(passed_s, bool(self._loop.value))

    def _draw(self, moment: Moment) -> None:
        to_world = self._world_of(moment)
        shown = {h.track_id for h in moment.humans if np.isfinite(h.joints).all()}
        trails = self._trails_of(shown) if self._trails.value else {}
        for human in moment.humans:
            if human.track_id in shown:
                figure = self._figure(human.track_id)
                figure.show(
                    human, to_world, trails.get(human.track_id),
                    uncertainty=bool(self._uncertainty.value), contacts=bool(self._contacts.value),
                )  # fmt: skip
        for track_id, figure in self._figures.items():
            if track_id not in shown:
                figure.hide()
        self._draw_camera(moment, to_world)
        if shown and not self._aimed:
            self._aim(to_world(np.array([h.joints[0] for h in moment.humans if h.track_id in shown])))
        self._status.content = self._said(moment)
        self._people.content = _table(moment)

    def _world_of(self, moment: Moment) -> Rigid:
        """From the frame of a moment's people to the page's world."""
        place = moment.t_world_camera
        return Rigid(
            moment.R_world_camera, np.array([0.0, 0.0, self._floor.camera_height_m]) if place is None else place
        )

    def _figure(self, track_id: int) -> Figure:
        if track_id not in self._figures:
            if len(self._figures) >= _MOST_FIGURES:
                self._figures.pop(next(iter(self._figures))).remove()
            self._figures[track_id] = Figure(self._server.scene, self._body, track_id)
        return self._figures[track_id]

    def _trails_of(self, shown: set[int]) -> dict[int, Floats]:
        """Where everybody's pelvis was in the last seconds, as a line on the floor."""
        places: dict[int, list[Floats]] = {track_id: [] for track_id in shown}
        for moment in self._playback.trail(_TRAIL_S):
            to_world = self._world_of(moment)
            for human in moment.humans:
                if human.track_id in places:
                    places[human.track_id].append(to_world(human.joints[0]))
        return {i: np.array(p) * [1, 1, 0] + [0, 0, 0.01] for i, p in places.items() if p}

    def _draw_camera(self, moment: Moment, to_world: Rigid) -> None:
        image = None if moment.image is None else _rgb(moment.image)
        if image is not None:
            self._image.image = image
        if not moment.in_camera or not moment.height:  # of an image without people that was not seen, no size is known
            return
        if self._camera is None:
            fov = 2 * float(np.arctan2(moment.height / 2, moment.K[1, 1]))
            self._camera = self._server.scene.add_camera_frustum(
                "/camera",
                fov,
                moment.width / moment.height,
                scale=0.3,
                thickness=0.008,
                color=(230, 230, 230),
                format="jpeg",
            )
        self._camera.wxyz = quaternion_from_matrix(to_world.rotation)
        self._camera.position = to_world.translation
        if image is not None:
            self._camera.image = image

    def _aim(self, people: Floats) -> None:
        """Everybody [N,3] m who is there at first into the view, seen from beside the camera."""
        self._aimed = True
        at = people.mean(0)
        distance = 3.0 + 1.5 * float(np.linalg.norm(people - at, axis=1).max())
        eye = at + distance * np.array([-0.85, -0.55, 0.35])
        initial = self._server.initial_camera
        initial.position, initial.look_at = tuple(eye), tuple(at)
        for client in self._server.get_clients().values():
            client.camera.position, client.camera.look_at = eye, at

    def _said(self, moment: Moment) -> str:
        parts = [f"{self._playback.position_s:.2f} s", f"{self._playback.rate():.0f} images/s"]
        if moment.delay_s is not None:
            parts.append(f"{1e3 * moment.delay_s:.0f} ms behind")
        return f'<div style="padding:0 1em">{" &middot; ".join(parts)}</div>'

    def _move_slider(self) -> None:
        seconds = max(self._playback.seconds, 0.01)
        if abs(self._slider.max - seconds) > 0.05:
            self._slider.max = seconds
        self._moved_by_us = True
        try:
            self._slider.value = min(self._playback.position_s, self._slider.max)
        finally:
            self._moved_by_us = False

    def _sought(self, event: Any) -> None:
        if event.client is None or self._moved_by_us:  # ours, while it plays
            return
        self._set_playing(False)
        self._playback.seek(float(self._slider.value))

    def _toggle(self) -> None:
        self._set_playing(not self._playback.playing)

    def _set_playing(self, playing: bool, newest: bool = False) -> None:
        if newest:
            self._playback.follow()
        elif playing:
            self._playback.playing = True
        else:
            self._playback.pause()
        self._play.label = "Pause" if self._playback.playing else "Play"

    def _redraw(self) -> None:
        self._shown = None


def _table(moment: Moment) -> str:
    """The people list: colour and id, distance, standard deviation of the joints, state, which feet stand, what says
    how far away."""
    rows = []
    for human in sorted(moment.humans, key=lambda h: h.track_id):
        blue, green, red = (round(c) for c in track_color(human.track_id))
        scale = ScaleSource(human.scale).name.lower()
        rows.append(
            f'<tr><td style="color:rgb({red},{green},{blue})">&#9632; {human.track_id}</td>'
            f"<td>{np.linalg.norm(human.joints[0]):.2f} m</td>"
            f"<td>&plusmn;{1e3 * np.median(human.joint_sigma):.0f} mm</td>"
            f"<td>{html.escape(human.state.name.lower())}</td><td>{_standing(human)}</td>"
            f"<td>{html.escape(scale)}</td></tr>"
        )
    head = "<tr><th>id</th><th>distance</th><th>joints</th><th>state</th><th>stands on</th><th>scale</th></tr>"
    return f'<table style="width:100%;padding:0 1em;font-size:0.8em;text-align:left">{head}{"".join(rows)}</table>'


def _standing(human: Human) -> str:
    """Which feet stand; a dash where nobody knows."""
    if human.world is None:
        return "&ndash;"
    left, right = (bool(foot.any()) for foot in human.world.contacts.reshape(2, 2) > STANDS)
    return "both feet" if left and right else "left" if left else "right" if right else "nothing"


def _rgb(jpeg: bytes) -> Image:
    bgr: Image = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(bgr[..., ::-1])


def _viser() -> Any:
    try:
        import viser
    except ImportError as error:
        raise AssetError(
            "hmr view needs viser; install it: pip install 'hmr_ros[view]' or pip install viser"
        ) from error
    return viser


def _check_port(host: str, port: int) -> None:
    """InputError where nobody can listen there; viser would silently take another port."""
    try:
        with socket.create_server((host, port)):
            pass
    except (OSError, OverflowError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"cannot serve the page at {host}:{port}: {said}; give another --port or --host") from error
