"""What rendered people wear and stand before, what is in the way, and what the camera does to the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from hmr_ros.body.model import BodyModel
from hmr_ros.synth import LOOKS
from hmr_ros.synth.fabric import Fabric, random_fabric
from hmr_ros.synth.light import Lamps, random_lamps
from hmr_ros.synth.outfit import Outfit, random_outfit
from hmr_ros.synth.people import Person
from hmr_ros.synth.places import place
from hmr_ros.synth.scene import background, clothes
from hmr_ros.synth.shading import draw_dressed, dressed
from hmr_ros.synth.wardrobe import wardrobe_of
from hmr_ros.types import Floats, Image
from hmr_ros.view.raster import draw_mesh

_AS_RENDERED = 0.75  # share of plain images without camera faults


@dataclass(frozen=True)
class Occluder:
    """A patch before the person, in pixels."""

    center: Floats  # [2]
    half: Floats  # [2]
    angle_deg: float
    round: bool
    color: tuple[float, float, float]
    fabric: Fabric | None = None  # in place of the one colour


@dataclass(frozen=True)
class Painted:
    """The body's own surface in colours, one a face, under one lamp."""

    colors: Floats  # [F,3] BGR
    light: Floats | None  # [3]
    thickness_m: float  # of the clothes
    folds: Floats  # [V] about 1


@dataclass(frozen=True)
class Worn:
    """Clothes, hair and face, and the light of the place."""

    outfit: Outfit
    lamps: Lamps
    floor_shadow: float  # 0..1


@dataclass(frozen=True)
class Appearance:
    """Everything about an image that does not move with the person."""

    backdrop: Image  # [h,w,3]
    figure: Painted | Worn
    occluders: list[Occluder]
    blur_px: float
    smear_px: Floats  # [2] how far the camera or the person moved while the shutter was open
    contrast: float
    brightness: float
    noise: float
    jpeg_quality: int | None


def random_appearance(
    body: BodyModel, person: Person, rng: np.random.Generator, plain: bool, look: str = LOOKS[0]
) -> Appearance:
    """Clothes, light, background, occluders and camera faults for the window of `person`; `plain` = a room, a decent
    camera and nothing in the way, as `hmr render` draws it. `look` is one of `LOOKS`."""
    if look == "painted":
        return _painted(body, person, rng, plain)
    outfit = random_outfit(wardrobe_of(body), rng)
    lamps = random_lamps(person.up, rng)
    floor = float((person.vertices @ person.up).min())
    appearance = Appearance(
        backdrop=place(*person.size, person.K, person.up, floor, float(person.vertices[:, 2].max()), rng),
        figure=Worn(outfit, lamps, rng.uniform(0.3, 0.9)),
        occluders=[], blur_px=0.0, smear_px=np.zeros(2), contrast=rng.uniform(0.9, 1.05),
        brightness=rng.uniform(-10, 10),
        noise=rng.uniform(0, 4), jpeg_quality=90,
    )  # fmt: skip
    if plain and rng.random() < _AS_RENDERED:
        return appearance
    appearance = replace(appearance, **_faults(person, rng))
    smear = rng.normal(0, 2.0, 2) if rng.random() < 0.2 else np.zeros(2)
    woven = [replace(o, fabric=random_fabric(np.array(o.color), rng, 0.4)) for o in appearance.occluders]
    return replace(appearance, smear_px=smear, occluders=woven)


def _painted(body: BodyModel, person: Person, rng: np.random.Generator, plain: bool) -> Appearance:
    width, height = person.size
    if plain and rng.random() < _AS_RENDERED:
        return Appearance(
            backdrop=background(width, height, int(rng.integers(1 << 31))),
            figure=Painted(
                clothes(body, int(rng.integers(1 << 31))),
                np.array([rng.normal(0, 0.5), -1.0, -1.0]) if rng.random() < 0.7 else None,
                0.0, np.ones(len(body.v_template)),
            ),
            occluders=[], blur_px=0.0, smear_px=np.zeros(2), contrast=rng.uniform(0.9, 1.05),
        brightness=rng.uniform(-10, 10),
            noise=rng.uniform(0, 4), jpeg_quality=90,
        )  # fmt: skip
    lamp = np.array([rng.normal(), rng.normal() - 0.7, -abs(rng.normal()) - 0.2])
    return Appearance(
        backdrop=_backdrop(width, height, rng),
        figure=Painted(
            _costume(body, rng), None if rng.random() < 0.2 else lamp,
            rng.uniform(0.0, 0.03) if rng.random() < 0.6 else 0.0,
            1 + 0.5 * np.sin(body.v_template @ rng.normal(0, 20, 3) + rng.uniform(0, 6)),
        ),
        **_faults(person, rng),
    )  # fmt: skip


def _faults(person: Person, rng: np.random.Generator) -> dict[str, Any]:
    """What is in the way, and what a poor camera does."""
    return {
        "occluders": [_occluder(person, rng) for _ in range(int(rng.integers(1, 3)))] if rng.random() < 0.3 else [],
        "blur_px": rng.uniform(0.4, 1.8) if rng.random() < 0.4 else 0.0,
        "smear_px": np.zeros(2),
        "contrast": rng.uniform(0.6, 1.2),
        "brightness": rng.uniform(-40, 40),
        "noise": rng.uniform(0, 10),
        "jpeg_quality": int(rng.integers(20, 80)) if rng.random() < 0.3 else None,
    }


def rendered_image(body: BodyModel, person: Person, appearance: Appearance, rng: np.random.Generator) -> Image:
    """The window [h,w,3] BGR; `rng` is the sensor's noise."""
    image = appearance.backdrop.copy()
    figure = appearance.figure
    if isinstance(figure, Painted):
        vertices = _clothed(body, person.vertices, figure)
        draw_mesh(image, vertices, body.faces, person.K, figure.colors, light=figure.light)
    else:
        worn = dressed(figure.outfit, person.vertices, person.pose, person.betas, person.transl)
        draw_dressed(image, [worn], person.K, figure.lamps, figure.floor_shadow)
    for occluder in appearance.occluders:
        _occlude(image, occluder)
    return _degrade(image, appearance, rng)


def _backdrop(width: int, height: int, rng: np.random.Generator) -> Image:
    if rng.random() < 0.5:
        return background(width, height, int(rng.integers(1 << 31)))
    cells = int(rng.integers(2, 24))
    coarse = rng.uniform(0, 255, (cells, cells, 3)).astype(np.uint8)
    mode = cv2.INTER_CUBIC if rng.random() < 0.6 else cv2.INTER_NEAREST
    image = np.asarray(cv2.resize(coarse, (width, height), interpolation=mode), np.float64)
    return np.clip(rng.uniform(0, 180, 3) * 0.5 + image * rng.uniform(0.2, 0.8), 0, 255).astype(np.uint8)


def _costume(body: BodyModel, rng: np.random.Generator) -> Floats:
    """Colours [F,3]: clothes by bone, with stripes, checks or blotches woven in."""
    colors = clothes(body, int(rng.integers(1 << 31)))
    centre = body.v_template[body.faces].mean(1)
    kind = rng.random()
    if kind < 0.35:
        waves = rng.normal(0, 25, (3, 2))
        weave = np.sign(np.sin(centre @ waves[:, 0])) * (np.sin(centre @ waves[:, 1]) if kind < 0.15 else 1.0)
        colors = colors * (1 + rng.uniform(0.1, 0.5) * weave[:, None])
    elif kind < 0.7:
        waves = rng.normal(0, 8, (3, 3))
        colors = colors * (1 + 0.35 * np.sin(centre @ waves + rng.uniform(0, 6, 3)))
    return np.clip(colors * rng.uniform(0.5, 1.3), 0, 255)


def _clothed(body: BodyModel, vertices: Floats, appearance: Painted) -> Floats:
    """Vertices pushed outwards on trunk, thighs and upper arms, as loose clothes do."""
    if appearance.thickness_m == 0.0:
        return vertices
    corners = vertices[body.faces]
    normals = np.zeros_like(vertices)
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for corner in body.faces.T:
        for axis in range(3):
            normals[:, axis] += np.bincount(corner, face_normals[:, axis], len(vertices))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    cloth = body.weights[:, [0, 1, 2, 3, 4, 5, 6, 9, 13, 14, 16, 17]].sum(1)
    return np.asarray(vertices + (appearance.thickness_m * cloth * appearance.folds)[:, None] * normals)


def _occluder(person: Person, rng: np.random.Generator) -> Occluder:
    return Occluder(
        center=person.roi.center_px + rng.uniform(-0.4, 0.4, 2) * person.roi.size_px,
        half=rng.uniform(0.04, 0.22, 2) * person.roi.size_px,
        angle_deg=rng.uniform(0, 180),
        round=bool(rng.random() < 0.5),
        color=tuple(rng.uniform(0, 255, 3).tolist()),
    )


def _occlude(image: Image, occluder: Occluder) -> None:
    center, half = occluder.center, occluder.half
    mask = np.zeros(image.shape[:2], np.uint8)
    if occluder.round:
        axes = (int(half[0]) + 1, int(half[1]) + 1)
        at = (int(center[0]), int(center[1]))
        cv2.ellipse(mask, at, axes, occluder.angle_deg, 0, 360, (255.0,), -1)
    else:
        low, high = center - half, center + half
        cv2.rectangle(mask, (int(low[0]), int(low[1])), (int(high[0]), int(high[1])), (255.0,), -1)
    if occluder.fabric is None:
        image[mask > 0] = np.asarray(occluder.color, np.uint8)
        return
    rows, columns = np.nonzero(mask)
    px_per_m = 2 * float(half.max())  # it is about a metre large
    colors = occluder.fabric.at((np.stack([columns, rows], 1) / px_per_m).astype(np.float32), px_per_m)
    light = 1.1 - 0.4 * (columns - columns.min()) / max(np.ptp(columns), 1) if len(columns) else np.ones(0)
    image[rows, columns] = np.clip(colors * light[:, None], 0, 255).astype(np.uint8)


def _degrade(image: Image, appearance: Appearance, rng: np.random.Generator) -> Image:
    """Blur, noise, exposure and compression of a real camera."""
    if appearance.blur_px:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), appearance.blur_px))
    if np.linalg.norm(appearance.smear_px) > 0.5:
        image = _smeared(image, appearance.smear_px)
    out = image.astype(np.float32) * np.float32(appearance.contrast)
    out += np.float32(appearance.brightness + 128 * (1 - appearance.contrast))
    out += np.float32(appearance.noise) * rng.standard_normal(image.shape, np.float32)
    image = np.clip(out, 0, 255).astype(np.uint8)
    if appearance.jpeg_quality is not None:
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, appearance.jpeg_quality])[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return image


def _smeared(image: Image, way: Floats) -> Image:
    """The image moved by up to `way` [2] px, half of it to either side, while it was taken."""
    half = int(np.ceil(np.abs(way).max() / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    ends = [(round(16 * (half + s * way[0] / 2)), round(16 * (half + s * way[1] / 2))) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], (1.0,), 1, cv2.LINE_AA, 4)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE))
