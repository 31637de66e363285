"""`hmr train`: from a motion file to the shipped weights, one command a stage."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hmr_ros.body.coarse import coarse_of, sparse_points
from hmr_ros.body.fitting import PointFitter
from hmr_ros.body.loading import load_body
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.io.model_store import FULL, asset, model_file
from hmr_ros.io.results import made_folder
from hmr_ros.methods.diffhmr.network import DiffHmrSize
from hmr_ros.methods.diffhmr.network import load_network as load_diffhmr
from hmr_ros.methods.hmdiff.network import HmdiffSize, load_hmdiff
from hmr_ros.methods.pchmr.blend import WEIGHTS, Blend, blend_of, save_blend
from hmr_ros.methods.posturehmr.graphs import torch_posture
from hmr_ros.methods.posturehmr.heatmaps import image_size, load_image
from hmr_ros.methods.posturehmr.m2p import M2PSize, load_m2p
from hmr_ros.methods.posturehmr.mesh2d import CHANNELS, NUM_LANDMARKS, Mesh2D, Mesh2DSize, load_mesh2d
from hmr_ros.methods.scorehmr.prior import PriorSize, load_network
from hmr_ros.networks.limbs import load_limbs
from hmr_ros.networks.weights import save_weights
from hmr_ros.synth.poses import Recorded, load_recorded
from hmr_ros.train.calibrate import examples, fit_blend, mesh_error
from hmr_ros.train.data.batches import Mix, PairBank
from hmr_ros.train.data.crops import CropBank, load_crops
from hmr_ros.train.data.features import load_features
from hmr_ros.train.data.landmark_errors import load_errors
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.train.data.stills import still_bank
from hmr_ros.train.data.windows import DECODER_STEPS, window_bank
from hmr_ros.train.diffhmr import calibrate as calibrate_diffhmr
from hmr_ros.train.diffhmr import train_diffhmr
from hmr_ros.train.hmdiff import train_hmdiff
from hmr_ros.train.image import train_image
from hmr_ros.train.limbs import train_limbs
from hmr_ros.train.loop import CHECKPOINT, Schedule
from hmr_ros.train.m2p import Variant, train_m2p
from hmr_ros.train.mesh2d import train_mesh2d
from hmr_ros.train.prior import train_prior
from hmr_ros.types import Floats

_SCHEDULE = "schedule.json"


def mesh2d(
    pairs: list[Path], held_back: Path, schedule: Schedule, *, init: Path | None, motion: list[Path] | None,
    residual: bool, mix: Mix, errors: Path | None, threads: int,
) -> int:  # fmt: skip
    """`hmr train mesh2d`: writes mesh2d.safetensors into the schedule's folder; `init` = weights to go on from."""
    start = None if init is None else load_mesh2d(init)
    _checked(mix)
    _prepare(schedule, threads)
    bank, val = _banks(pairs, held_back, None if start is None else _landmarks(start), motion, errors)
    size = Mesh2DSize(residual=residual) if start is None else start.size
    network = train_mesh2d(bank, val, size, schedule, mix, start)
    return _saved("mesh2d", network, size, schedule, {"pairs": len(bank)})


def m2p(
    pairs: list[Path], held_back: Path, mesh2d_path: Path | None, schedule: Schedule, *, motion: list[Path] | None,
    init: Path | None, mix: Mix, errors: Path | None, size: str, path: str, bare: bool, threads: int,
) -> int:  # fmt: skip
    """`hmr train m2p`: writes m2p.safetensors into the schedule's folder; `init` = weights to go on from."""
    _checked(mix)
    _prepare(schedule, threads)
    front = load_mesh2d(mesh2d_path or asset("mesh2d.safetensors"))
    bank, val = _banks(pairs, held_back, _landmarks(front), motion, errors)
    chosen = m2p_size(size, bare)
    body = load_body(None)
    coarse = coarse_of(body)
    start = None if init is None else load_m2p(init, body, coarse)
    if start is not None and start.size != chosen:
        raise ConfigError(f"{init} has another size than --size {size}; leave one of them out")
    network = train_m2p(bank, val, front, body, coarse, chosen, schedule, mix, Variant(path, bare), start)
    return _saved("m2p", network, chosen, schedule, {"pairs": len(bank), "path": path, "bare_keypoints": bare})


def hmdiff(
    pairs: list[Path], held_back: Path, mesh2d_path: Path | None, schedule: Schedule, *, motion: list[Path] | None,
    init: Path | None, mix: Mix, errors: Path | None, size: str, one_step: bool, threads: int,
) -> int:  # fmt: skip
    """`hmr train hmdiff`: writes hmdiff.safetensors into the schedule's folder; `init` = weights to go on from."""
    _checked(mix)
    chosen = hmdiff_size(size)
    start = None if init is None else load_hmdiff(init)
    if start is not None and start.size != chosen:
        raise ConfigError(f"{init} has another size than --size {size}; leave one of them out")
    _prepare(schedule, threads)
    front = load_mesh2d(mesh2d_path or asset("mesh2d.safetensors"))
    bank, val = _banks(pairs, held_back, _landmarks(front), motion, errors)
    body = load_body(None)
    network = train_hmdiff(
        bank, val, front, body, coarse_of(body), chosen, schedule, mix, one_step=one_step, start=start
    )
    return _saved("hmdiff", network, chosen, schedule, {"pairs": len(bank), "one_step": one_step})


def prior(
    pairs: list[Path], held_back: Path, schedule: Schedule, *, mesh2d_path: Path | None, m2p_path: Path | None,
    init: Path | None, motion: list[Path] | None, synthetic: int, real_share: float, errors: Path | None, threads: int,
) -> int:  # fmt: skip
    """`hmr train prior`: writes prior.safetensors into the schedule's folder; pairs must be pieces of motion, `init` =
    weights to go on from, `mesh2d_path` and `m2p_path` = weights of the networks that it refines (None: the shipped
    ones), `synthetic` = recorded motions with others' landmark errors, for `real_share` of them those of `errors`."""
    if synthetic < 0:
        raise ConfigError(f"--synthetic-motions {synthetic} is negative; give 0 or more")
    _checked(Mix(real_share=real_share))
    start = None if init is None else load_network(init)
    _prepare(schedule, threads)
    size = PriorSize() if start is None else start.size
    rng = np.random.default_rng(schedule.seed)
    recorded = _recorded(motion)
    bank = window_bank(
        load_pairs(*pairs), size, recorded, synthetic, rng, mesh2d=mesh2d_path, m2p=m2p_path,
        errors=load_errors(errors), real_share=real_share,
    )  # fmt: skip
    val = window_bank(load_pairs(held_back), size, None, 0, rng, mesh2d=mesh2d_path, m2p=m2p_path)
    network = train_prior(bank, val, size, schedule, start)
    return _saved("prior", network, size, schedule, {"sequences": len(bank)})


def diffhmr(
    pairs: list[Path], held_back: Path, calibration: Path, schedule: Schedule, *, mesh2d_path: Path | None,
    m2p_path: Path | None, motion: list[Path] | None, init: Path | None, size: DiffHmrSize, rounds: int,
    real_share: float, errors: Path | None, threads: int,
) -> int:  # fmt: skip
    """`hmr train diffhmr`: writes diffhmr.safetensors into the schedule's folder; `calibration` = pairs of other people
    than the posture networks were trained on, for the scales of what is sampled; `rounds` = how often each pair is
    drawn; the other paths as in `prior`."""
    _checked(Mix(real_share=real_share))
    if size.axis_angle and size.whiten:
        raise ConfigError("--axis-angle needs --no-whitening: there is no mean of rotation vectors; give both")
    start = None if init is None else load_diffhmr(init)
    _prepare(schedule, threads)
    body = load_body(None)
    mesh = coarse_of(body)
    files = {k: v for k, v in {"mesh2d": mesh2d_path, "m2p": m2p_path}.items() if v is not None}
    network, fitter = torch_posture(DECODER_STEPS, files), PointFitter(sparse_points(body, mesh))
    landmarks = load_mesh2d(mesh2d_path or asset("mesh2d.safetensors")).landmarks.double().numpy()
    rng = np.random.default_rng(schedule.seed)
    recorded = _recorded(motion)
    drawn = PairBank(load_pairs(*pairs), body, mesh, landmarks, recorded, load_errors(errors))
    bank = still_bank(drawn, body, network, fitter, rng, Mix(without_depth=0.0, real_share=real_share), rounds)
    seen_alone = Mix(augment=False)
    val, other = (
        still_bank(PairBank(load_pairs(folder), body, mesh, landmarks), body, network, fitter, rng, seen_alone)
        for folder in (held_back, calibration)
    )
    trained = train_diffhmr(bank, val, size if start is None else start.size, schedule, start)
    calibrate_diffhmr(trained, other)
    return _saved("diffhmr", trained, trained.size, schedule, {"pairs": len(drawn), "rounds": rounds})


def calibrate(
    pairs: list[Path], held_back: Path, out: Path, *, mesh2d_path: Path | None, m2p_path: Path | None,
    motion: list[Path] | None, rounds: int, seed: int, threads: int,
) -> int:  # fmt: skip
    """`hmr train calibrate`: writes calibrate.safetensors (PC-HMR's A and W) and curve.csv, the error by how firmly the
    closed form is held to, into `out`; other arguments as in `diffhmr`."""
    if rounds < 1:
        raise ConfigError(f"--rounds {rounds} draws nobody; give 1 or more")
    torch.set_num_threads(threads)
    made_folder(out)
    body = load_body(None)
    mesh = coarse_of(body)
    files = {k: v for k, v in {"mesh2d": mesh2d_path, "m2p": m2p_path}.items() if v is not None}
    network = torch_posture(DECODER_STEPS, files)
    landmarks = load_mesh2d(mesh2d_path or asset("mesh2d.safetensors")).landmarks.double().numpy()
    bank, val = _banks(pairs, held_back, landmarks, motion)
    start, rng = blend_of(mesh.points(body)), np.random.default_rng(seed)
    blends = fit_blend(examples(bank, body, mesh, network, rng, Mix(without_depth=0.0), rounds), start)
    named = {f"ridge {ridge:g} m": blend for ridge, blend in blends.items()}
    unchanged = examples(val, body, mesh, network, np.random.default_rng(seed), Mix(augment=False))
    errors = mesh_error(unchanged, {"rigid": Blend(start.A, 0 * start.W), "closed form": start} | named)
    rows = "".join(f"{name},{error:.2f}\n" for name, error in errors.items())
    (out / "curve.csv").write_text(f"blend,held-back vertices mm\n{rows}", encoding="utf-8")
    best = min(named, key=lambda name: errors[name])
    notes = {"pairs": len(bank), "rounds": rounds, "seed": seed, "best": best, "held_back_mm": errors}
    path = out / WEIGHTS
    save_blend(path, named[best], notes)
    print(", ".join(f"{name} {error:.1f}" for name, error in errors.items()), "mm")
    print(f"weights of {best} in {path}, errors in {out / 'curve.csv'}")
    return 0


def image(
    crops: list[Path], held_back: Path, schedule: Schedule, *, init: Path | None, size: str, with_render: bool,
    threads: int,
) -> int:  # fmt: skip
    """`hmr train image`: writes image.safetensors into the schedule's folder; `init` = weights to go on from."""
    chosen = image_size(size)
    start = None if init is None else load_image(init)
    if start is not None and start.size != chosen:
        raise ConfigError(f"{init} has another size than --size {size}; leave one of them out")
    _prepare(schedule, threads)
    body = load_body(None)
    mesh = coarse_of(body)
    bank, val = (CropBank(load_crops(*folders), mesh, chosen.crop_px) for folders in (crops, [held_back]))
    network = train_image(bank, val, body, mesh, chosen, schedule, with_render=with_render, start=start)
    return _saved("image", network, chosen, schedule, {"crops": len(bank)})


def limbs(
    features: list[Path], held_back: Path, schedule: Schedule, *, init: Path | None, threads: int
) -> int:  # fmt: skip
    """`hmr train limbs`: writes limbs.safetensors into the schedule's folder; `init` = weights to go on from."""
    start = None if init is None else load_limbs(init)
    _prepare(schedule, threads)
    people, val = load_features(*features), load_features(held_back)
    network = train_limbs(people, val, model_file(FULL), schedule, start)
    return _saved("limbs", network, network.size, schedule, {"crops": len(people)})


def m2p_size(name: str, bare: bool = False) -> M2PSize:
    """`small` runs in real time on two CPU cores; `paper` has all 431 vertices and the paper's widths.

    Ablations: `wide` has those widths on 81 points, `blockless` neither attention nor graph nor feed-forward layers.
    """
    wide = M2PSize(dim=128, layers=4, heads=4, head_tokens=16, head_dim=512)
    sizes = {"small": M2PSize(), "paper": replace(wide, points=448), "wide": wide, "blockless": M2PSize(layers=0)}
    if name not in sizes:
        raise ConfigError(f"--size '{name}' is unknown; choose from {', '.join(sizes)}")
    return replace(sizes[name], bare_landmarks=NUM_LANDMARKS * CHANNELS if bare else 0)


def hmdiff_size(name: str) -> HmdiffSize:
    """`small` runs in real time on two CPU cores; `paper` has the paper's widths."""
    sizes = {"small": HmdiffSize(), "paper": HmdiffSize(step=61, identity=64, heads=4, head_tokens=0)}
    if name not in sizes:
        raise ConfigError(f"--size '{name}' is unknown; choose from {', '.join(sizes)}")
    return sizes[name]


def _saved(name: str, network: nn.Module, size: Any, schedule: Schedule, notes: dict[str, Any]) -> int:
    """Write the weights beside the curve; every stage ends so."""
    path = schedule.out / f"{name}.safetensors"
    save_weights(path, name, network, size, notes | {"schedule": asdict(schedule)})
    print(f"weights in {path}, curves in {schedule.out / 'curve.csv'}")
    return 0


def _banks(
    pairs: list[Path],
    held_back: Path,
    landmarks: Floats | None,
    motion: list[Path] | None,
    errors: Path | None = None,
) -> tuple[PairBank, PairBank]:
    body = load_body(None)
    mesh = coarse_of(body)
    bank = PairBank(load_pairs(*pairs), body, mesh, landmarks, _recorded(motion), load_errors(errors))
    return bank, PairBank(load_pairs(held_back), body, mesh, bank.landmarks)


def _recorded(motion: list[Path] | None) -> Recorded | None:
    return load_recorded(*motion) if motion else None


def _landmarks(mesh2d: Mesh2D) -> Floats:
    """Which mixture of body points each landmark is."""
    return np.asarray(mesh2d.landmarks.double().numpy())


def _checked(mix: Mix) -> None:
    for name in ("synthetic_share", "real_share"):
        if not 0 <= getattr(mix, name) <= 1:
            raise ConfigError(f"--{name.replace('_', '-')} {getattr(mix, name)} is no share; give 0 to 1")


def _prepare(schedule: Schedule, threads: int) -> None:
    torch.set_num_threads(threads)
    if schedule.device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"--device {schedule.device}: no CUDA device here; use --device cpu")
    made_folder(schedule.out)
    _check_same(schedule)
    note = json.dumps(asdict(schedule), default=str, indent=1)
    (schedule.out / _SCHEDULE).write_text(note, encoding="utf-8")


def _check_same(schedule: Schedule) -> None:
    """InputError where the checkpoint in the folder is of a training with other options."""
    note = schedule.out / _SCHEDULE
    if not (schedule.out / CHECKPOINT).exists() or not note.exists():
        return
    try:
        before = dict(json.loads(note.read_text(encoding="utf-8"))["options"])
    except (OSError, ValueError, KeyError, TypeError):
        return  # of an earlier version
    now = json.loads(json.dumps(schedule.options, default=str))
    changed = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
    if changed:
        said = ", ".join(f"--{k.replace('_', '-')} {before.get(k)}" for k in changed)
        raise InputError(
            f"{schedule.out} holds a training with {said}; give the same to go on, or another --out (--init"
            " starts from its weights)"
        )
