"""RecBole's models on our split, under our metrics: ``fit("SASRec", "ml_100k", epochs=50)``; ``model=recbole`` is made of it.

RecBole runs in a process of its own (``recbole_child.py``), with the Python that ``python`` or RECPREF_RECBOLE_PYTHON names. The
split goes there as atomic files of its ``benchmark_filename`` mechanism, so that RecBole splits nothing; users and items go by
their numbers. Its training reads the training file, its stopping the validation file; the test file is opened for its own report.
The best items of every validation and test user come back, before anything that was seen is filtered: that is ours.

Which of RecBole's models run, and which do not: ``LACKING`` and docs/recbole.md.

Source of the format: https://recbole.io/docs/user_guide/config/data_settings.html, "Benchmark file".
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from recpref.bridges.answers import Answers
from recpref.data.cards import open_data
from recpref.data.heldout import Heldout, Split
from recpref.data.interactions import Interactions
from recpref.data.splits.leave_one_out import LeaveOneOut
from recpref.suggest import unknown

CHILD = Path(__file__).with_name("recbole_child.py")
LINES = 15  # of RecBole's last words in an error
PYTHON = "RECPREF_RECBOLE_PYTHON"  # where a machine's RecBole is, which is no part of an experiment
INSTALL = f"install it there (see docs/recbole.md), or say python=path/to/one/that/has/it or {PYTHON}=path/to/it"
LACKING: dict[str, str] = {  # models that the bridge cannot run, and what each lacks
    **dict.fromkeys(("FDSA", "GRU4RecF", "SASRecF"), "it reads features of items, which the bridge does not send"),
    "S3Rec": "it reads features of items, which the bridge does not send, and is trained in two stages",
    **dict.fromkeys(("GRU4RecKG", "KSR"), "it reads a knowledge graph and vectors of its entities, which the bridge does not send"),
    "DIEN": "it reads lists of negative items, which RecBole makes only where it divides the data itself",
}


class Trained(NamedTuple):
    """Answers for validation and for test users; ``report`` is RecBole's own: metrics of both, seconds, epochs, the epoch it kept, ..."""

    valid: Answers
    test: Answers
    report: dict[str, Any]


def models(python: str | Path | None = None) -> dict[str, str]:
    """The models that run here and their family, ``general`` or ``sequential``. Raises: ValueError where that Python has no RecBole."""
    python = python or os.environ.get(PYTHON, sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = json.loads(_child(python, Path(folder), "models"))
        except RuntimeError as error:
            raise ValueError(f"{python} cannot run RecBole; {INSTALL}: {str(error).splitlines()[-1]}") from error
    return {name: family for name, family in found.items() if name not in LACKING}


def fit(
    model: str,
    data: Interactions | str,
    *,
    split: Split | None = None,
    epochs: int = 100,
    k: int = 100,
    seed: int = 1,
    config: dict[str, Any] | None = None,
    python: str | Path | None = None,
) -> Trained:
    """Trains a RecBole model by its name, with early stopping by its NDCG@10 on our validation targets. No split: leave-one-out.

    ``config`` are RecBole's own options, such as ``{"hidden_size": 128, "MAX_ITEM_LIST_LENGTH": 200}``; the latter, 50 by default,
    says how much of a history sequential models see. What the bridge says itself (data, epochs, seed) is none of them. The answers
    hold enough items for lists of ``k`` after everything seen is filtered.

    Raises: ValueError for an unknown model or option, one that lacks something, a wrong number, a Python without RecBole or
    without what the model imports, or a split without validation; RuntimeError with RecBole's last words where it fails.
    """
    python = python or os.environ.get(PYTHON, sys.executable)
    options = {"MAX_ITEM_LIST_LENGTH": 50, **(config or {})}
    max_len = options.pop("MAX_ITEM_LIST_LENGTH")
    refuse(model, epochs=epochs, k=k, MAX_ITEM_LIST_LENGTH=max_len)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed} must be at least 0 and below 2**32 for RecBole")
    data = data if isinstance(data, Interactions) else open_data(data)
    split = split or LeaveOneOut()(data)
    if not len(split.valid.targets):
        raise ValueError("RecBole chooses its best epoch on validation targets, and this split has none")
    known = models(python)
    if model not in known:
        raise ValueError(unknown("RecBole model", model, known))
    if known[model] == "general" and "MAX_ITEM_LIST_LENGTH" in (config or {}):
        raise ValueError(f"MAX_ITEM_LIST_LENGTH={max_len}: RecBole's {model} reads no lists of items; leave it out")
    _refuse_options(model, options, python)
    longest = max(int(np.diff(part.history.offsets)[part.users - 1].max()) for part in (split.valid, split.test))
    request = {"model": model, "family": known[model], "epochs": epochs, "seed": seed, "config": options}
    return _exchanged({**request, "n_best": k + longest, "max_len": min(max_len, longest)}, split, data, python)


def refuse(model: str, **numbers: Any) -> None:
    """What can be refused without RecBole. Raises: ValueError for a model that cannot run and for numbers below 1."""
    if model in LACKING:
        raise ValueError(f"RecBole's {model} cannot be run: {LACKING[model]}")
    for name, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}={value} must be a whole number of at least 1")


def _refuse_options(model: str, options: dict[str, Any], python: str | Path) -> None:
    """RecBole ignores what it does not know. Raises: ValueError for options that are none of the model's."""
    if not options:
        return
    with tempfile.TemporaryDirectory() as folder:
        known = json.loads(_child(python, Path(folder), "options", model))
    if strange := [name for name in options if name not in known]:
        known = [*known, "MAX_ITEM_LIST_LENGTH"]
        raise ValueError(unknown(f"option of RecBole's {model}", strange[0], known, hint="epochs, seed and data are said elsewhere"))


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
    """What the other process prints. It ends with this one, which holds its standard input open.

    Raises: RuntimeError with its last words where it fails, ValueError where it cannot start or lacks a package.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [str(python), str(CHILD), *arguments]
    with (folder / "log").open("w+", errors="replace") as log, (folder / "said").open("w+") as said:
        try:
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=said, stderr=log, env=environment)
        except OSError as error:
            raise ValueError(f"python={python} cannot be started: {error.strerror}") from error
        with process:
            process.wait()
        log.seek(0), said.seek(0)
        lines, answer = log.read().splitlines(), said.read()
    if process.returncode:
        _complain(python, process.returncode, lines, arguments)
    return answer


def _complain(python: str | Path, code: int, lines: list[str], arguments: tuple[str, ...]) -> None:
    """Raises: ValueError for a package that a model imports and that is not there; RuntimeError otherwise."""
    last = lines[-1] if lines else "no word"
    if arguments[0] == "train" and last.startswith("ModuleNotFoundError"):
        raise ValueError(f"this model needs a package that {python} does not have: {last}; install it there")
    raise RuntimeError(f"RecBole failed with {last!r}, and its process ended with {code}:\n" + "\n".join(lines[-LINES:]))
