"""RecBole's side of the bridge: a script for another process, in whose Python RecBole is installed. Never imported.

``recbole_child.py models`` prints which models there are, ``recbole_child.py options MODEL`` which options one has;
``recbole_child.py train FOLDER`` reads ``request.json`` and ``asked.npz`` there, trains, and writes ``answers.npz`` and
``report.json``. It ends when its standard input does. Progress goes to stderr.

It needs nothing of recpref and runs on Python 3.8 and later, whichever numpy, pandas, SciPy and torch stand beside RecBole 1.2.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import logging
import os
import re
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FAMILIES = {"general": "recbole.model.general_recommender", "sequential": "recbole.model.sequential_recommender"}
USERS, ITEMS, LISTS, LENGTHS = "user_id", "item_id", "item_id_list", "item_length"
BATCH = 256  # users scored at a time


def main() -> None:
    """Dispatches on the first argument. RecBole reads sys.argv too, so that nothing is left in it."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != here]  # our recbole.py is not RecBole
    verb, what = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "."
    folder = Path(what).resolve()
    sys.argv[1:] = []
    mend_numpy()
    if verb == "models":
        print(json.dumps(models()))
    elif verb == "options":
        print(json.dumps(options(what)))
    else:
        threading.Thread(target=end_with_input, daemon=True).start()
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
        os.chdir(folder)  # RecBole writes logs and checkpoints where it stands
        train(folder)


def end_with_input() -> None:
    """Who asked holds our standard input open: where that ends, be it killed, nobody waits for the answers."""
    while os.read(0, 1024):
        pass
    os._exit(1)


def mend_numpy() -> None:
    """Names that numpy has dropped since RecBole was written. Before RecBole is imported."""
    import numpy as np

    gone = {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_, "bool8": np.bool_}
    gone.update({"float": float, "int": int, "object": object, "str": str})
    for name, value in gone.items():
        if name not in vars(np):
            setattr(np, name, value)


def mend_the_rest() -> None:
    """What torch, pandas and SciPy do otherwise by now. Other values come of none of it: only errors, or silence."""
    import pandas as pd
    import scipy.sparse
    import torch
    from recbole.config import Config
    from recbole.data.dataset import Dataset

    Config._convert_config_dict = lambda config, given: given  # which evaluates texts; ours are values already
    # checkpoints hold RecBole's configuration, which torch no longer unpickles by default; this process has written them itself
    torch.load = functools.partial(torch.load, weights_only=False)
    # agg(len) of a column of lists was the length of each; pandas 3 gives the length of the column
    series: Any = pd.Series
    whole = series.agg
    series.agg = lambda column, how=None, *rest, **more: column.map(len) if how is len else whole(column, how, *rest, **more)
    # filling in place does nothing to a column of pandas 3; the bridge writes no missing values, so there is nothing to fill
    Dataset._fill_nan = refuse_missing
    if not hasattr(scipy.sparse.dok_matrix, "_update"):  # graph models build their adjacency by it
        scipy.sparse.dok_matrix._update = lambda matrix, entries: matrix._dict.update(entries)


def refuse_missing(dataset: Any) -> None:
    """In place of RecBole's ``_fill_nan``."""
    for name in dataset.feat_name_list:
        for field, column in getattr(dataset, name).items():
            if column.isna().any():
                raise ValueError(f"column {field} of {name} has missing values, which the bridge does not write")


def models() -> dict[str, str]:
    """``{"SASRec": "sequential", ...}``."""
    from recbole.model.abstract_recommender import AbstractRecommender

    found = {}
    for family, package in FAMILIES.items():
        module = importlib.import_module(package)
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, AbstractRecommender) and value.__module__ == package + "." + name.lower():
                found[name] = family
    return found


def options(model: str) -> list[str]:
    """What a configuration may say of a model: options with a default, those of training and evaluation, and what its source reads.

    What the bridge says is left out.
    """
    from recbole.config import Config
    from recbole.utils import dataset_arguments, evaluation_arguments, general_arguments, get_model, training_arguments

    read = re.findall(r"""config\[["'](\w+)["']\]""", inspect.getsource(sys.modules[get_model(model).__module__]))
    config = Config(model=model, dataset="data", config_dict={"train_neg_sample_args": None})
    ours = {"MODEL_TYPE", "device", "epochs", "eval_args", "metrics", "topk", "valid_metric", "valid_metric_bigger", "eval_step"}
    said = {*general_arguments, *dataset_arguments, *ours} - {"gpu_id", "use_gpu", "reproducibility"}
    return sorted({*config.internal_config_dict, *training_arguments, *evaluation_arguments, *read} - said)


def configured(request: SimpleNamespace, folder: Path) -> Any:
    """RecBole's configuration: ours, then the user's."""
    from recbole.config import Config

    given = {
        "data_path": str(folder),
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {"inter": [USERS, ITEMS] + ([LISTS] if request.family == "sequential" else [])},
        "USER_ID_FIELD": USERS,
        "ITEM_ID_FIELD": ITEMS,
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "metrics": ["NDCG", "Hit"],
        "topk": [10],
        "valid_metric": "NDCG@10",
        "epochs": request.epochs,
        "seed": request.seed,
        "checkpoint_dir": str(folder / "saved"),
        "show_progress": False,
    }
    if request.family == "sequential":
        given.update(alias_of_item_id=[LISTS], ITEM_LIST_LENGTH_FIELD=LENGTHS, MAX_ITEM_LIST_LENGTH=request.max_len)
    given.update(request.config)
    if default_loss(request) == "CE" and "train_neg_sample_args" not in given:
        given["train_neg_sample_args"] = None  # RecBole refuses its own default here
    return Config(model=request.model, dataset="data", config_dict=given)


def default_loss(request: SimpleNamespace) -> str | None:
    """The loss of a sequential model, by the user's configuration or RecBole's own."""
    import recbole
    import yaml

    path = Path(recbole.__file__).parent / "properties" / "model" / (request.model + ".yaml")
    own = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}
    return request.config.get("loss_type", own.get("loss_type"))


def train(folder: Path) -> None:
    """Trains, loads the epoch of the best validation, and answers for everybody that is asked for."""
    import numpy as np
    import recbole
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    mend_the_rest()
    request = SimpleNamespace(**json.loads((folder / "request.json").read_text()))
    config = configured(request, folder)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train_data, valid_data, test_data = data_preparation(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(request.model)(config, train_data._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], request.model)(config, model)
    start = time.perf_counter()
    best_epochs: list[int] = []

    def validated(epoch: int, score: float) -> None:
        if trainer.cur_step == 0:  # validations since the best one
            best_epochs.append(epoch + 1)

    trainer.fit(train_data, valid_data, saved=True, show_progress=False, callback_fn=validated)
    seconds = time.perf_counter() - start
    own = trainer.evaluate(test_data, load_best_model=True, show_progress=False)
    answers = {}
    with np.load(folder / "asked.npz", allow_pickle=False) as asked:
        for part in ("valid", "test"):
            rows = SimpleNamespace(**{name: asked[part + "_" + name] for name in ("user", "item", "offset")})
            answers.update({part + "_" + name: value for name, value in best(model, dataset, rows, request).items()})
    np.savez(folder / "answers.npz", **answers)
    report = {
        "seconds": seconds,
        "epochs": len(trainer.train_loss_dict),
        "best_epoch": (best_epochs or [len(trainer.train_loss_dict)])[-1],
        "parameters": sum(part.numel() for part in model.parameters()),
        "valid": numbers(trainer.best_valid_result or {}),
        "test": numbers(own),
        "version": recbole.__version__,
        "device": str(config["device"]),
    }
    (folder / "report.json").write_text(json.dumps(report))


def numbers(result: Any) -> dict[str, float]:
    """RecBole's metrics as plain numbers; RaCT's first stage has none on validation."""
    return {name: float(value) for name, value in result.items()}


def best(model: Any, dataset: Any, rows: SimpleNamespace, request: SimpleNamespace) -> dict[str, Any]:
    """The best ``n_best`` items of every user, as our numbers, with their scores. Shapes: [U, n_best]."""
    import numpy as np
    import torch

    numbers = np.array([0] + [int(token) for token in dataset.field2id_token[ITEMS][1:]])
    n_best = min(request.n_best, len(numbers) - 1)
    items, scores = np.zeros((len(rows.user), n_best), np.int32), np.zeros((len(rows.user), n_best), np.float32)
    model.eval()
    for first in range(0, len(items), BATCH):
        part = slice(first, first + BATCH)
        with torch.no_grad():
            every = scored(model, interaction_of(dataset, rows, part, request), dataset.item_num)
        if bool(torch.isnan(every).any()):
            raise FloatingPointError("the model returned NaN scores")
        every[:, 0] = -float("inf")
        top = every.topk(n_best, dim=1)
        items[part], scores[part] = numbers[top.indices.numpy()], top.values.numpy()
    return {"item": items, "score": scores}


def interaction_of(dataset: Any, rows: SimpleNamespace, part: slice, request: SimpleNamespace) -> Any:
    """RecBole's question about some users; lists begin at the left. GRU4RecCPR and SASRecCPR take a loss of the target, too, which nobody
    needs: the target is padding."""
    import numpy as np
    import torch
    from recbole.data.interaction import Interaction

    user = [dataset.field2token_id[USERS][str(number)] for number in rows.user[part]]
    asked = {USERS: torch.tensor(user), ITEMS: torch.zeros(len(user), dtype=torch.long)}
    if request.family == "sequential":
        known = dataset.field2token_id[ITEMS]
        lists = np.zeros((len(user), request.max_len), np.int64)
        for row, place in enumerate(range(part.start, part.start + len(user))):
            newest = rows.item[rows.offset[place] : rows.offset[place + 1]][-request.max_len :]
            lists[row, : len(newest)] = [known[str(number)] for number in newest]
        asked.update({LISTS: torch.from_numpy(lists), LENGTHS: torch.from_numpy((lists > 0).sum(1))})
    return Interaction(asked)


def scored(model: Any, asked: Any, n_items: int) -> Any:
    """Every item's score, on the CPU. Models that score pairs only are asked for all pairs. Shapes: [B, n_items]."""
    import torch

    device = next(iter(model.parameters()), torch.zeros(0)).device
    try:
        return model.full_sort_predict(asked.to(device)).view(len(asked), n_items).float().cpu()
    except NotImplementedError:
        pass
    rows = []
    for row in range(len(asked)):
        pairs = asked[row : row + 1].repeat(n_items)
        pairs.update(type(asked)({ITEMS: torch.arange(n_items)}))
        rows.append(model.predict(pairs.to(device)).view(1, n_items).float().cpu())
    return torch.cat(rows)


if __name__ == "__main__":
    main()
