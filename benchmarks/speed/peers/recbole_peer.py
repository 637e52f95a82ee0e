"""RecBole's part of `benchmarks/speed/compare.py`. Needs `recbole==1.2.1`, torch, pandas and SciPy, and nothing of ours installed.

The same mending of names that numpy, torch and pandas have dropped as in `recpref/bridges/recbole_child.py`, which is a script of its
own. RecBole makes a row of every prefix, cut at the last 50 items (its default; 200 would take four times as long), so that an epoch is
timed by its first `steps` batches and multiplied up. `tokens` are those of the original rows, as everywhere here.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from pathlib import Path

from answer import answered

CHILD = Path(__file__).parents[3] / "recpref" / "bridges" / "recbole_child.py"
STEPS = 3
MODELS = {"sasrec": "SASRec", "bert4rec": "BERT4Rec"}


def child():
    """The bridge's script as a module."""
    spec = importlib.util.spec_from_file_location("recbole_child", CHILD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(asked):
    sys.argv[1:] = []  # RecBole reads it, too
    mending = child()
    mending.mend_numpy()
    mending.mend_the_rest()
    import pandas as pd
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, init_seed

    frame = pd.read_csv(asked["data"])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "speed"
        place.mkdir()
        names = {"user_id": "user_id:token", "item_id": "item_id:token", "timestamp": "timestamp:float"}
        frame.rename(columns=names).to_csv(place / "speed.inter", sep="\t", index=False)
        options = {
            "data_path": folder,
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
            "train_neg_sample_args": None,
            "loss_type": "CE",
            "hidden_size": asked["width"],
            "inner_size": {"bert4rec": 4, "sasrec": 1}[asked["model"]] * asked["width"],
            "train_batch_size": 2048,
            "use_gpu": False,
            "show_progress": False,
        }
        config = Config(model=MODELS[asked["model"]], dataset="speed", config_dict=options)
        init_seed(1, True)
        start = time.perf_counter()
        dataset = create_dataset(config)
        train, _, _ = data_preparation(config, dataset)
        prepare = time.perf_counter() - start
        model = get_model(config["model"])(config, train._dataset)
        seconds = timed(model, train, torch)
    rows = len(train._dataset)
    return {"seconds": seconds, "tokens": len(frame), "targets": rows, "prepare": prepare, "recommend": None, "recommended": 0}


def timed(model, train, torch):
    """Seconds an epoch would take by its first batches, the very first of which is not counted."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    taken = []
    start = time.perf_counter()
    for number, batch in enumerate(train):
        optimizer.zero_grad()
        model.calculate_loss(batch).backward()
        optimizer.step()
        taken.append(time.perf_counter() - start)
        start = time.perf_counter()
        if number == STEPS:
            break
    return [0.0, *(second * len(train) for second in taken[1:])]


if __name__ == "__main__":
    answered(main)
