"""RecBole's models on our split, under our metrics: ``fit("SASRec", "ml_100k", epochs=50)``.

RecBole runs in a process of its own (``recbole_child.py``), with the Python that ``python`` names. The split goes there as
atomic files of its ``benchmark_filename`` mechanism, so that RecBole splits nothing; users and items go by their numbers.
The best items of every validation and test user come back, before anything that was seen is filtered: that is ours.

Source of the format: https://recbole.io/docs/user_guide/config/data_settings.html, "Benchmark file".
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recpref import components
from recpref.bridges.answers import Answers
from recpref.data.cards import open_data
from recpref.data.heldout import Heldout, Split
from recpref.data.interactions import Interactions
from recpref.suggest import unknown

CHILD = Path(__file__).with_name("recbole_child.py")
LINES = 15  # of RecBole's last words in an error
INSTALL = "install it there (pip install 'recpref[recbole]' on Python 3.11), or say python=path/to/one/that/has/it"


class Trained(NamedTuple):
    """Answers for validation and for test users; ``report`` has RecBole's own test metrics, its seconds and epochs."""

    valid: Answers
    test: Answers
    report: dict[str, Any]


def models(python: str | Path = sys.executable) -> dict[str, str]:
    """RecBole's models and their family, ``general`` or ``sequential``. Raises: ValueError where that Python has no RecBole."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = json.loads(_child(python, Path(folder), "models"))
        except RuntimeError as error:
            raise ValueError(f"{python} cannot run RecBole; {INSTALL}\n{error}") from error
    return dict(found)


def fit(
    model: str,
    data: Interactions | str,
    *,
    split: str | Split = "leave_one_out",
    epochs: int = 100,
    k: int = 100,
    seed: int = 1,
    config: dict[str, Any] | None = None,
    python: str | Path = sys.executable,
) -> Trained:
    """Trains a RecBole model by its name, with early stopping by its NDCG@10 on our validation targets.

    ``config`` are RecBole's own options, such as ``{"hidden_size": 128, "MAX_ITEM_LIST_LENGTH": 200}``, and override the
    bridge's; the latter, 50 by default, says how much of a history sequential models see. The answers hold enough items for
    lists of ``k`` after everything seen is filtered.

    Raises: ValueError for an unknown model or wrong number, a Python without RecBole, or a split without validation;
    RuntimeError with RecBole's last words where it fails.
    """
    options = {"MAX_ITEM_LIST_LENGTH": 50, **(config or {})}
    max_len = options.pop("MAX_ITEM_LIST_LENGTH")
    for name, value in {"epochs": epochs, "k": k, "MAX_ITEM_LIST_LENGTH": max_len}.items():
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1")
    data = data if isinstance(data, Interactions) else open_data(data)
    parts = components.find("split", split)()(data) if isinstance(split, str) else split
    if not len(parts.valid.targets):
        raise ValueError("RecBole chooses its best epoch on validation targets, and this split has none")
    known = models(python)
    if model not in known:
        raise ValueError(unknown("RecBole model", model, known))
    longest = max(int(np.diff(part.history.offsets)[part.users - 1].max()) for part in (parts.valid, parts.test))
    request = {"model": model, "family": known[model], "epochs": epochs, "seed": seed, "config": options}
    return _exchanged({**request, "n_best": k + longest, "max_len": min(max_len, longest)}, parts, data, python)


def _exchanged(request: dict[str, Any], split: Split, data: Interactions, python: str | Path) -> Trained:
    """Files there and back, in a folder that does not stay."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_split(split, folder / "data", max_len=request["max_len"] if request["family"] == "sequential" else None)
        (folder / "request.json").write_text(json.dumps(request))
        _write_asked(split, folder / "asked.npz")
        _child(python, folder, "train", str(folder))
        return _read_answers(folder, split, data)


def write_split(split: Split, folder: Path, *, max_len: int | None = None) -> None:
    """``data.train.inter``, ``data.valid.inter`` and ``data.test.inter``: a row an interaction.

    With ``max_len``, as sequential models need it: a row a target, with up to ``max_len`` items before it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = {"valid": split.valid, "test": split.test}
    rows = {"train": _pairs(split.train), **{name: _pairs(part.targets) for name, part in held.items()}}
    if max_len is not None:
        rows = {"train": _prefixes(split.train, max_len), **{name: _questions(part, max_len) for name, part in held.items()}}
    header = "user_id:token\titem_id:token" + ("" if max_len is None else "\titem_id_list:token_seq")
    for name, lines in rows.items():
        with (folder / f"data.{name}.inter").open("w") as file:
            file.write(header + "\n")
            file.writelines(line + "\n" for line in lines)


def _pairs(data: Interactions) -> Iterator[str]:
    return (f"{user}\t{item}" for user, item in zip(data.user.tolist(), data.item.tolist(), strict=True))


def _prefixes(train: Interactions, max_len: int) -> Iterator[str]:
    items, starts = list(map(str, train.item.tolist())), train.offsets[train.user - 1].tolist()
    for row, (user, start) in enumerate(zip(train.user.tolist(), starts, strict=True)):
        if row > start:
            yield f"{user}\t{items[row]}\t{' '.join(items[max(start, row - max_len) : row])}"


def _questions(part: Heldout, max_len: int) -> Iterator[str]:
    for user, target in zip(part.targets.user.tolist(), part.targets.item.tolist(), strict=True):
        stop = part.history.offsets[user]
        newest = part.history.item[max(part.history.offsets[user - 1], stop - max_len) : stop]
        yield f"{user}\t{target}\t{' '.join(map(str, newest.tolist()))}"


def _write_asked(split: Split, path: Path) -> None:
    """Users and their histories: those of user n are ``item[offset[n]:offset[n + 1]]``."""
    arrays: dict[str, Any] = {}
    for name, part in (("valid", split.valid), ("test", split.test)):
        asked = part.history.where(np.isin(part.history.user, part.users))
        offset = np.append(np.searchsorted(asked.user, part.users), len(asked))
        arrays |= {f"{name}_user": part.users, f"{name}_item": asked.item, f"{name}_offset": offset}
    np.savez(path, **arrays)


def _read_answers(folder: Path, split: Split, data: Interactions) -> Trained:
    found = []
    report = json.loads((folder / "report.json").read_text())
    with np.load(folder / "answers.npz", allow_pickle=False) as answers:
        for name, part in (("valid", split.valid), ("test", split.test)):
            width = answers[f"{name}_item"].shape[1]
            items, scores = np.zeros((data.n_users + 1, width), np.int32), np.full((data.n_users + 1, width), -np.inf, np.float32)
            items[part.users], scores[part.users] = answers[f"{name}_item"], answers[f"{name}_score"]
            found.append(Answers(items, scores, data))
    return Trained(found[0], found[1], report)


def _child(python: str | Path, folder: Path, *arguments: str) -> str:
    """What the other process prints. Raises: RuntimeError with its last words where it fails, ValueError where it cannot start."""
    with (folder / "log").open("w+", errors="replace") as log:
        try:
            done = subprocess.run([str(python), str(CHILD), *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
        except OSError as error:
            raise ValueError(f"python={python} cannot be started: {error.strerror}") from error
        log.seek(0)
        lines = log.read().splitlines()
    if done.returncode:
        last = "\n".join(lines[-LINES:])
        raise RuntimeError(f"RecBole's process ended with {done.returncode}:\n{last}")
    return done.stdout
