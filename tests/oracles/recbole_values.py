"""python tests/oracles/recbole_values.py > tests/oracles/recbole.json, where recbole==1.2.1 is installed."""

import importlib.util
import json
from pathlib import Path

CHILD = Path(__file__).parents[2] / "recpref" / "bridges" / "recbole_child.py"
spec = importlib.util.spec_from_file_location("recbole_child", CHILD)
mending = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mending)
mending.mend_numpy()

import numpy as np  # noqa: E402
import recbole  # noqa: E402
import scipy.sparse as sp  # noqa: E402
import torch  # noqa: E402
from inputs import matrix, rankings  # noqa: E402
from recbole.evaluator.collector import DataStruct  # noqa: E402
from recbole.evaluator.metrics import MAP, MRR, NDCG, Hit, Precision, Recall  # noqa: E402
from recbole.model.general_recommender.itemknn import ComputeSimilarity  # noqa: E402

lists, relevant = rankings()
hits = np.array([[int(item in items) for item in row] for row, items in zip(lists, relevant, strict=True)])
struct = DataStruct()
struct.set("rec.topk", torch.tensor(np.column_stack([hits, [len(items) for items in relevant]])))
config = {"topk": [1, 5, 10, 20], "metric_decimal_place": 12}
values = {}
for name, metric in {"hr": Hit, "mrr": MRR, "ndcg": NDCG, "recall": Recall, "precision": Precision, "map": MAP}.items():
    values.update({f"{name}@{key.split('@')[1]}": float(value) for key, value in metric(config).calculate_metric(struct).items()})
similar = ComputeSimilarity(sp.csr_matrix(matrix()), topk=60, shrink=3.0).compute_similarity()
similar = similar[1] if isinstance(similar, tuple) else similar
print(json.dumps({"version": recbole.__version__, "metrics": values, "itemknn": (matrix() @ similar.toarray()).round(8).tolist()}))
