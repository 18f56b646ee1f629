"""Shards of training problems on disk: one safetensors file per range of seeds, written atomically."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from ..paths import replacing
from ..solvers.threads import one_torch_thread
from .problems import LOAD_CELLS, Problems, Recipe, in_single, joined, make_problems

log = logging.getLogger(__name__)


def fingerprint(recipe: Recipe) -> str:
    """Compute eight hex digits that change whenever the recipe does."""
    return sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()[:8]


def shard_path(folder: Path, recipe: Recipe, seeds: range) -> Path:
    """Name the file of one range of seeds."""
    return folder / f"{fingerprint(recipe)}-{seeds.start:08d}-{len(seeds):03d}.safetensors"


def write_shard(folder: Path, recipe: Recipe, seeds: range) -> Path:
    """Make and save problems, unless their file is there; atomic, safe against other writers.

    Parameters
    ----------
    folder : of the shards.
    recipe : distribution of the problems.
    seeds : one for each.

    Returns
    -------
    Path of the file.
    """
    path = shard_path(folder, recipe, seeds)
    if path.exists():
        return path
    # One at a time: on a CPU a batch would only make easy problems wait for the hardest.
    with one_torch_thread():
        parts = [make_problems(recipe, range(s, s + 1)) for s in seeds]
    whole = joined([in_single(p) for p in parts])
    tensors = {"A": whole.A, "U": whole.U, "F": whole.F}
    for scale in recipe.scales:
        tensors[f"u{scale}"] = whole.targets[scale]
    meta = {"recipe": json.dumps(asdict(recipe)), "first_seed": str(seeds.start)}
    with replacing(path) as temporary:
        save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata=meta)
    return path


def read_shard(path: Path, recipe: Recipe) -> Problems:
    """Read one shard.

    Parameters
    ----------
    path : of the file.
    recipe : with which it must have been made.

    Returns
    -------
    Problems, A and targets in float32.

    Raises
    ------
    ValueError
        If the file is damaged or was made with another recipe.
    """
    try:
        with safe_open(path, "pt") as f:
            stored = (f.metadata() or {}).get("recipe", "")
        tensors = load_file(path)
    except Exception as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and generate it again") from error
    nodes = min(LOAD_CELLS, recipe.scales[-1]) * recipe.coarse + 1
    if json.loads(stored or "null") != json.loads(json.dumps(asdict(recipe))) or tensors["F"].shape[-1] != nodes:
        raise ValueError(f"{path} was made with another recipe; use another folder or delete it")
    return Problems(tensors["A"], tensors["U"], tensors["F"], {s: tensors[f"u{s}"] for s in recipe.scales})


def generate(
    folder: Path,
    recipe: Recipe,
    count: int,
    *,
    first_seed: int = 0,
    per_shard: int = 32,
    workers: int = 1,
    executor: Executor | None = None,
    progress: bool = False,
) -> list[Path]:
    """Write shards of problems, skipping those already there; may be stopped at any moment.

    Parameters
    ----------
    folder : receives the shards.
    recipe : distribution of the problems.
    count : number of problems.
    first_seed : seed of the first problem; the others follow.
    per_shard : problems per file.
    workers : processes that make them.
    executor : makes them instead: with ``Client("…").get_executor()`` of dask.distributed, the machines of a cluster,
        in a folder that all of them see.
    progress : show a bar.

    Returns
    -------
    Paths of all shards, also of those that were there.
    """
    ranges = [
        range(s, min(s + per_shard, first_seed + count)) for s in range(first_seed, first_seed + count, per_shard)
    ]
    todo = [r for r in ranges if not shard_path(folder, recipe, r).exists()]

    def show(results: Iterable[Path]) -> None:
        for path in tqdm(results, total=len(todo), desc="shards", disable=None if progress else True):
            log.info("wrote %s", path.name)

    if executor is not None:
        show(executor.map(write_shard, [folder] * len(todo), [recipe] * len(todo), todo))
    elif workers <= 1:
        show(write_shard(folder, recipe, r) for r in todo)
    else:
        with ProcessPoolExecutor(workers) as pool:
            show(pool.map(write_shard, [folder] * len(todo), [recipe] * len(todo), todo))
    return [shard_path(folder, recipe, r) for r in ranges]
