"""The table of `methods/scorehmr/doubt.py`: what tells large errors of refined joints from small ones.

`python benchmarks/doubt.py PAIRS`; PAIRS as for benchmarks/uncertainty.py, of people that no network was trained on and
nothing is reported on. The factor of sigma is log-linear in the features. Errors over sigma are taken to be of
Student's distribution (four degrees of freedom), so that the tails that are left do not decide; then each joint group
is scaled so that the 95 % ellipsoids hold 91 %: with more, the 68 % ones hold more than 73 %. Few people tell little,
so the coefficients are held to the table as it is.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.stats import chi2
from torch import Tensor
from uncertainty import Refined, refined_people

from hmr_ros.body.joints import JOINT_GROUPS
from hmr_ros.geometry.covariance import mahalanobis_squared
from hmr_ros.methods.scorehmr.doubt import FEATURES, doubt_features
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.types import Floats

_FREEDOM, _HOLD, _RIDGE = 4.0, 0.91, 0.02


def main() -> None:
    """Print the coefficients and what the ellipsoids hold with them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    args = parser.parse_args()
    people = list(refined_people(load_pairs(args.pairs), "posture", in_doubt=False))
    features, squared = tables(people)
    weights = fitted(features, squared)
    scaled = squared * np.exp(-2 * features @ weights)
    print(f"{len(people)} people\n" + "\n".join(f'"{n}": {w:.4f},' for n, w in zip(FEATURES, weights, strict=True)))
    for group, joints in JOINT_GROUPS.items():
        rows = scaled[:, joints[joints > 0]]
        scale = np.quantile(rows, _HOLD) / chi2.ppf(0.95, 3)
        print(f'"{group}": {np.sqrt(scale):.3f},  # 68 % hold {np.mean(rows < scale * chi2.ppf(0.68, 3)):.1%}')


def tables(people: list[Refined]) -> tuple[Floats, Floats]:
    """Features [N,24,F], and e^T C^-1 e [N,24] of the errors by the covariance without doubt; 0 of the pelvis."""
    features = np.array([doubt_features(p.person.evidence, p.person.estimate, p.answer) for p in people])
    errors = np.array([p.answer.joints - p.answer.joints[0] - p.true + p.true[0] for p in people])
    squared = np.zeros(errors.shape[:2])
    squared[:, 1:] = mahalanobis_squared(errors[:, 1:], np.array([p.answer.joint_covariance[1:] for p in people]))
    return features, squared


def fitted(features: Floats, squared: Floats) -> Floats:
    """Weights [F] of least negative log likelihood; an offset a joint group is free."""
    flat = features.reshape(-1, features.shape[-1])
    mean, spread = flat.mean(0), flat.std(0) + 1e-6
    F, m = (torch.as_tensor(a[:, 1:]) for a in ((features - mean) / spread, squared))
    group = np.zeros(features.shape[1], int)
    for k, joints in enumerate(JOINT_GROUPS.values()):
        group[joints] = k
    before = torch.as_tensor(np.array(list(FEATURES.values())) * spread)
    w = before.clone().requires_grad_(True)
    offset = torch.zeros(len(JOINT_GROUPS), dtype=F.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([w, offset], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        log = F @ w + offset[group[1:]]
        tail = torch.log1p(m * torch.exp(-2 * log) / _FREEDOM)
        value = (3 * log + (_FREEDOM + 3) / 2 * tail).mean() + _RIDGE * (w - before).square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return np.asarray(w.detach().numpy() / spread)


if __name__ == "__main__":
    main()
