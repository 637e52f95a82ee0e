"""python tests/oracles/rectools_values.py > tests/oracles/rectools.json, where rectools==0.19.0 is installed."""

import json

import numpy as np
import pandas as pd
import rectools
from inputs import ITEMS, LENGTH, matrix, rankings
from rectools import Columns
from rectools.dataset import Dataset
from rectools.metrics import MAP, MRR, NDCG, F1Beta, HitRate, Precision, Recall, calc_metrics
from rectools.models import EASEModel

lists, relevant = rankings()
shown = pd.DataFrame(
    {
        Columns.User: np.repeat(np.arange(len(lists)), LENGTH),
        Columns.Item: lists.ravel(),
        Columns.Rank: np.tile(np.arange(1, LENGTH + 1), len(lists)),
    }
)
liked = pd.DataFrame([(user, item) for user, items in enumerate(relevant) for item in items], columns=[Columns.User, Columns.Item])
metrics = {}
for k in (1, 5, 10, 20):
    metrics.update(
        {
            f"hr@{k}": HitRate(k),
            f"precision@{k}": Precision(k),
            f"recall@{k}": Recall(k),
            f"f1@{k}": F1Beta(k),
            f"mrr@{k}": MRR(k),
            f"map@{k}": MAP(k),
            f"ndcg@{k}": NDCG(k, divide_by_achievable=True),
        }
    )
found = calc_metrics(metrics, shown, interactions=liked)
user, item = matrix().nonzero()
rows = pd.DataFrame({Columns.User: user, Columns.Item: item, Columns.Weight: 1.0, Columns.Datetime: "2020-01-01"})
dataset = Dataset.construct(rows)
ease = EASEModel(regularization=20.0).fit(dataset)
order = dataset.item_id_map.convert_to_internal(np.arange(ITEMS))
print(
    json.dumps(
        {
            "version": rectools.__version__,
            "metrics": {name: float(value) for name, value in found.items()},
            "ease": (matrix() @ np.asarray(ease.weight)[np.ix_(order, order)]).round(8).tolist(),
        }
    )
)
