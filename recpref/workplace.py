"""Where a run is made: a hidden folder beside its place, which it takes in one step once everything is written.

Of several processes the first one writes; the others know the place, and go on when the run is where it belongs.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recpref.plan import FILE
from recpref.processes import first, restarted, wait, wait_for

OWNER = "process"
LEAST = 64 * 2**20  # bytes that the smallest run, its logs and its saved state may need
STATE = "training.ckpt"
UNWRITABLE = (  # not ours, read-only, a file where a folder belongs, or a place that holds no files, such as /proc
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EEXIST, errno.ENOENT),
)


def place_of(path: Path) -> Path:
    """The hidden folder in which the run ``path`` is made."""
    return path.with_name(f".{path.name}.partial")


def run_at(path: Path) -> Path:
    """The run whose folder that is, or the hidden folder in which it is being made."""
    hidden = path.name.startswith(".") and path.name.endswith(".partial")
    return path.with_name(path.name.removeprefix(".").removesuffix(".partial")) if hidden else path


def state_of(path: Path) -> Path | None:
    """The saved training state from which the run ``path`` can be continued, if there is one."""
    return _found(path, STATE)


def plan_of(path: Path) -> Path:
    """The file that says what the run ``path`` is, finished or cut short. Raises: FileNotFoundError where there is none."""
    file = _found(path, FILE)
    if file is None:
        raise FileNotFoundError(f"{path} is not a run, nor an interrupted one")
    return file


def _found(path: Path, name: str) -> Path | None:
    return next((file for file in (place_of(path) / name, path / name) if file.is_file()), None)


@contextmanager
def workplace(path: Path, *, resume: bool = False) -> Iterator[Path]:
    """The folder to write into. When all went well it replaces ``path``. After an error it is removed, unless it holds a
    training state: that is hours of work, and ``resume=`` continues it. So it is after a training that was interrupted, where the run
    at ``path`` is finished: that one stays, which a warning says.

    Raises: ValueError where another process is at work there, where an interrupted training would be lost, or where the disk
    is full; PermissionError where the folder cannot be written to.
    """
    place = place_of(path)
    if not first():
        if resume:
            wait_for(place / STATE)
        yield place
        wait()
        return
    _claim(place, path, resume)
    try:
        yield place
    except BaseException:
        if not (place / STATE).is_file():
            shutil.rmtree(place, ignore_errors=True)
        else:
            (place / OWNER).unlink(missing_ok=True)
        raise
    (place / OWNER).unlink()
    if ends(place) is False and ends(path):
        _keep(path, place)
    else:
        _replace(path, place)
    wait()


def ends(folder: Path) -> bool | None:
    """Whether the training of the run in a folder was not interrupted; None where there is no run."""
    try:
        return not interrupted(folder)
    except (OSError, ValueError):
        return None


def interrupted(folder: Path) -> bool:
    """Whether the training of the run in a folder was cut short. Raises: OSError or ValueError where its metrics cannot be read."""
    return bool(json.loads((folder / "metrics.json").read_text()).get("train/interrupted", False))


def _keep(path: Path, place: Path) -> None:
    """The finished run ``path`` stays; of the interrupted training, what can be continued."""
    said = f"the finished run {path} is kept, and this training of it was interrupted: "
    if (place / STATE).is_file():
        said += f"{shlex.quote(f'resume={path}')} goes on with it, or remove {place}"
    else:
        said += "no state of it had been saved (see stopping.save_seconds), so nothing is left of it"
        shutil.rmtree(place)
    warnings.warn(said, stacklevel=2)


@contextmanager
def _writes(folder: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise PermissionError(f"{folder} cannot be written to; say out={what} for another place") from error


def refuse_unwritable(out: Path, what: str = "FOLDER") -> None:
    """What ``workplace`` would refuse later, before there is any work to lose. Nothing is left there, no folder either.

    Raises: PermissionError where ``out``, the ``what`` that is to be made, could not be.
    """
    there = next(folder for folder in out.absolute().parents if os.path.lexists(folder))
    with _writes(out.parent, what):
        tempfile.TemporaryFile(dir=there).close()


def _claim(place: Path, path: Path, resume: bool) -> None:
    with _writes(path.parent, "FOLDER"):
        owner = owner_of(place)
        if owner is not None and not restarted():  # who restarts us has ended all that was there before
            raise ValueError(f"{path} is being made by process {owner}; wait for it or stop it")
        if (place / STATE).is_file() and not resume:
            said = shlex.quote(f"resume={path}")
            raise ValueError(f"an interrupted training of {path} was found; continue it with {said}, or remove {place}")
        if not resume:
            shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        (place / OWNER).write_text(str(os.getpid()))
        _refuse_full_disk(place, path)
    if resume and not (place / STATE).is_file():
        _take_up(path, place)


def _take_up(path: Path, place: Path) -> None:
    """What an interrupted run has of its training, logs and the state of a refit among it. The state that says so comes last."""
    for folder in (part for part in path.iterdir() if part.is_dir()):
        shutil.copytree(folder, place / folder.name, dirs_exist_ok=True)
    shutil.copy(path / STATE, place / f"{STATE}.partial")
    (place / f"{STATE}.partial").replace(place / STATE)


def _refuse_full_disk(place: Path, path: Path) -> None:
    free = shutil.disk_usage(place).free
    if free < LEAST:
        if not (place / STATE).is_file():
            shutil.rmtree(place)
        raise ValueError(f"{path.parent} has {free // 2**20} MiB left, and a run needs at least {LEAST // 2**20}; say out=FOLDER elsewhere")


def owner_of(place: Path) -> int | None:
    """The living process that works here, if any (this one does not count)."""
    try:
        number = int((place / OWNER).read_text())
        os.kill(number, 0)
    except (OSError, ValueError):
        return None
    return number if number != os.getpid() else None


def _replace(path: Path, place: Path) -> None:
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    place.rename(path)
    shutil.rmtree(old, ignore_errors=True)
