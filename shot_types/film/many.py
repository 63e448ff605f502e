"""Many films at once: `film.analyze` in worker processes on this machine, or on a Ray cluster."""

import contextlib
import functools
import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ..classifier import choose_framework, load_classifier
from ..cores import cores
from ..files import VIDEO_SUFFIXES, list_files
from ..pictures import FrameError
from .analysis import analyze
from .work import identity, own_name

_classifier = functools.cache(load_classifier)  # once a process


def analyze_many(
    paths: str | Path | Iterable[str | Path],
    out: str | Path = "analysis",
    *,
    framework: str | None = None,
    weights: str | Path | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    **settings,
) -> pd.DataFrame:
    """The table of `film.analyze` for each of `paths`, in their order, as one, with the column `film` in front.

    `paths` are files, or one folder with films below it. They run in `workers` processes (None: one a core), or on
    the Ray cluster at the address `cluster`; where that is None, the environment variable RAY_ADDRESS may name it.
    Every machine of a cluster needs this package, and the same paths to films and to `out`. What was finished before
    is not done again. `attrs["films"]` holds the `attrs` of each film, `attrs["failed"]` {path: why} of the others.
    Films of one name in different folders have a number in the names of their results, and in the column `film`; a
    column of that name which a person added is `film (added)`.

    Raises FrameError if there are no films, ValueError if Ray is asked for and missing.
    """
    films = [*dict.fromkeys(_listed(paths))]
    names = _own_names(films, Path(out))
    framework = framework or choose_framework(weights)  # here, so that a warning of it comes once
    call = (Path(out).resolve(), framework, weights and Path(weights).resolve(), settings, names)
    cluster = cluster or os.environ.get("RAY_ADDRESS")
    answers = _on_ray(films, call, cluster) if cluster else _here(films, call, min(workers or cores(), len(films)))
    tables, failed = {}, {}
    for path, answer in tqdm(answers, total=len(films), unit="film", disable=None, leave=False):
        if isinstance(answer, str):
            failed[str(path)] = answer
            tqdm.write(f"error: {answer}", file=sys.stderr)
        else:
            tables[path] = answer
    attrs = {"films": {tables[path].attrs["name"]: tables[path].attrs for path in films if path in tables}}
    attrs["failed"] = failed
    for path, table in tables.items():
        name, table.attrs = table.attrs["name"], {}  # else pandas compares them
        tables[path] = table.rename(columns={"film": "film (added)"})
        tables[path].insert(0, "film", name)
    table = pd.concat([tables.get(path) for path in films], ignore_index=True) if tables else pd.DataFrame()
    table.attrs = attrs
    return table


def _listed(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """The films of `paths`, or those below it where it is a folder; FrameError if there are none."""
    if paths == "":
        raise FrameError("an empty path; name films, or a folder of them")
    if isinstance(paths, str | Path):
        paths = list_films(paths) if Path(paths).is_dir() else [paths]
    films = [Path(path).absolute() for path in paths]
    if not films:
        raise FrameError("no films are given; name some, or a folder of them")
    return films


def _own_names(films: list[Path], out: Path) -> dict[Path, str]:
    """The names of the results of those films that share theirs with others among `films`, or may come to."""
    count, names = Counter(path.stem.casefold() for path in films), {}
    for path in films:
        with contextlib.suppress(OSError):  # `analyze` says so
            if count[path.stem.casefold()] > 1 or re.search(r" \(\d+\)$", path.stem):
                names[path] = own_name(out, path, identity(path), names.values())
    return names


def list_films(folder: str | Path) -> list[Path]:
    """Films below `folder`, sorted, hidden ones left out; FrameError where are none.

    Warns of other files, counted by their endings.
    """
    found, others = list_files(folder, VIDEO_SUFFIXES)
    if not found:
        raise FrameError(f"{folder}: no films in this folder; expected files such as a.mp4, a.mkv or a.mov")
    if others:
        warnings.warn(f"{folder}: files left out, as no films have such endings: {others}", stacklevel=4)
    return found


def _one(
    path: Path, out: Path, framework: str | None, weights: Path | None, settings: dict, names: dict[Path, str]
) -> pd.DataFrame | str:
    """The table of one film, or why there is none."""
    try:
        return analyze(path, _classifier(framework, weights), out, name=names.get(path), progress=False, **settings)
    except (ValueError, OSError) as error:
        return str(error)
    except Exception as error:
        return f"{path}: {type(error).__name__}: {error}"


def _here(films: list[Path], call: tuple, workers: int) -> Iterator[tuple[Path, pd.DataFrame | str]]:
    """What `_one` says of each film, as they are done; `call`: its other arguments.

    A process that dies takes its pool along; what was lost with it runs again, each film in a pool of its own.
    """
    lost = []
    pool = _pool(workers)
    try:
        jobs = {pool.submit(_one, path, *call): path for path in films}
        for job in as_completed(jobs):
            if job.exception():
                lost.append(jobs[job])
            else:
                yield jobs[job], job.result()
    finally:
        pool.shutdown(cancel_futures=True)  # who interrupts does not want the films that wait
    for path in lost:
        with _pool(1) as pool:
            job = pool.submit(_one, path, *call)
            error = job.exception()
        yield path, f"{path}: its process died ({error}); is there memory enough?" if error else job.result()


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not forked: a copy of a process that runs threads can hang.
    return ProcessPoolExecutor(workers, get_context("spawn"), _share_cores, (workers,))


def _share_cores(workers: int) -> None:
    """As many threads as leave each worker its share, for `cores` and for PyTorch, which reads it at its start."""
    os.environ["OMP_NUM_THREADS"] = str(max(1, cores() // workers))


def _on_ray(films: list[Path], call: tuple, address: str) -> Iterator[tuple[Path, pd.DataFrame | str]]:
    """The same on a Ray cluster; joins that at `address`, or takes the one that this process has joined already."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ValueError("a cluster needs the package ray, which is not installed; pip install ray") from error
    mine = not ray.is_initialized()
    if mine:
        ray.init(address, log_to_driver=False)
    try:
        one = ray.remote(_one)
        jobs = {one.remote(path, *call): path for path in films}
        while jobs:
            (job,), _ = ray.wait(list(jobs))
            path = jobs.pop(job)
            try:
                yield path, ray.get(job)
            except ray.exceptions.RayError as error:
                yield path, f"{path}: its worker failed ({type(error).__name__})"
    finally:
        if mine:
            ray.shutdown()
