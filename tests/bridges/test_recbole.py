"""The bridge to RecBole: what is written and read, by hand, errors of a process that plays RecBole, and RecBole where there is one.

``RECPREF_RECBOLE_PYTHON=path/to/python`` names a Python that has RecBole for the last tests.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recpref
from recpref import components
from recpref.bridges import recbole
from recpref.bridges.recbole import fit, models, write_split
from recpref.data.interactions import Interactions
from recpref.data.splits.leave_one_out import LeaveOneOut
from recpref.data.splits.none import Nothing
from recpref.evaluation import Evaluation
from recpref.models.popular import Popular
from recpref.topk import TopK

PLAYS_RECBOLE = """#!{python}
import json, sys
from collections import Counter
from pathlib import Path
import numpy as np
verb = sys.argv[2]
print("Epoch 1 of 1", file=sys.stderr)
if {broken!r} == verb:
    print("Traceback: the loss is a cow", file=sys.stderr)
    sys.exit(3)
if verb == "models":
    print(json.dumps({{"Pop": "general", "SASRec": "sequential"}}))
elif verb == "options":
    print(json.dumps(["x", "hidden_size"]))
else:
    folder = Path(sys.argv[3])
    request = json.loads((folder / "request.json").read_text())
    counts = Counter()
    for part in ("train", "valid", "test"):
        for line in (folder / "data" / f"data.{{part}}.inter").read_text().splitlines()[1:]:
            counts[int(line.split("\\t")[1])] += part == "train"
    best = np.array([item for item, _ in counts.most_common(request["n_best"])], dtype=np.int32)
    asked, answers = np.load(folder / "asked.npz"), {{}}
    for part in ("valid", "test"):
        n = len(asked[part + "_user"])
        answers[part + "_item"] = np.tile(best, (n, 1))
        answers[part + "_score"] = np.tile(np.array([counts[item] for item in best.tolist()], dtype=np.float32), (n, 1))
    np.savez(folder / "answers.npz", **answers)
    own = {{"best_epoch": 1, "parameters": 7, "valid": {{"ndcg@10": 0.25}}, "test": {{"ndcg@10": 0.5}}}}
    own |= {{"version": "1.2.1", "device": "cpu"}}
    (folder / "report.json").write_text(json.dumps({{"seconds": 0.0, "epochs": request["epochs"], "asked": request, **own}}))
"""


def small() -> Interactions:
    """u1 has a b c d, u2 has b a c; numbers 1 to 4 stand for a to d."""
    rows = [("u1", "a", 1), ("u1", "b", 2), ("u1", "c", 3), ("u1", "d", 4), ("u2", "b", 1), ("u2", "a", 2), ("u2", "c", 3)]
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")


def cyclic(n_users: int = 60, n_items: int = 12) -> Interactions:
    """Item i is followed by item i + 1; the first items are more popular than the last."""
    rng = np.random.default_rng(0)
    starts, lengths = rng.integers(0, n_items // 2, n_users), rng.integers(4, 8, n_users)
    rows = [(u, 1 + (starts[u] + n) % n_items, n) for u in range(n_users) for n in range(lengths[u])]
    return Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")


def player(tmp_path: Path, broken: str = "") -> Path:
    """A Python that plays RecBole, whatever script it is given: it recommends what is popular."""
    path = tmp_path / "python"
    path.write_text(PLAYS_RECBOLE.format(python=sys.executable, broken=broken))
    path.chmod(0o755)
    return path


def text(folder: Path, name: str) -> list[str]:
    return (folder / f"data.{name}.inter").read_text().splitlines()


def test_a_general_model_gets_a_row_an_interaction(tmp_path) -> None:
    """u1 trains on a b, validates on c and is tested on d; u2 trains on b, validates on a and is tested on c."""
    write_split(LeaveOneOut()(small()), tmp_path)
    assert text(tmp_path, "train") == ["user_id:token\titem_id:token", "1\t1", "1\t2", "2\t2"]
    assert text(tmp_path, "valid")[1:] == ["1\t3", "2\t1"]
    assert text(tmp_path, "test")[1:] == ["1\t4", "2\t3"]


def test_a_sequential_model_gets_a_row_a_target_with_what_came_before(tmp_path) -> None:
    """At most two items before; the first item of a user has nothing before it and is no target."""
    write_split(LeaveOneOut()(small()), tmp_path, max_len=2)
    assert text(tmp_path, "train") == ["user_id:token\titem_id:token\titem_id_list:token_seq", "1\t2\t1"]
    assert text(tmp_path, "valid")[1:] == ["1\t3\t1 2", "2\t1\t2"]
    assert text(tmp_path, "test")[1:] == ["1\t4\t2 3", "2\t3\t2 1"]


@pytest.mark.parametrize("model", ["Pop", "SASRec"])
def test_through_a_process_that_recommends_what_is_popular(tmp_path, model) -> None:
    """Both ways to our metrics agree with one another, and with our own Popular up to ties; nothing is left of the files."""
    data = cyclic()
    split = LeaveOneOut()(data)
    trained = fit(model, data, split=split, epochs=3, k=12, python=player(tmp_path), config={"x": 1, "MAX_ITEM_LIST_LENGTH": 4})
    sent = trained.report["asked"]
    longest = int(np.diff(split.test.history.offsets).max())
    assert sent == {
        "model": model, "family": "general" if model == "Pop" else "sequential", "epochs": 3, "seed": 1, "config": {"x": 1},
        "n_best": 12 + longest, "max_len": 4,
    }  # fmt: skip
    evaluation = Evaluation({name: components.find("metric", name) for name in ("hr", "ndcg")}, ks=(1, 5))
    means = evaluation(trained.test, split.test).means
    with pytest.warns(UserWarning, match="already seen"):
        by_frame = recpref.evaluate(trained.test.frame, data, split=split, ks=(1, 5)).means
    assert {name: by_frame[name] for name in means} == pytest.approx(means)
    evaluation(trained.valid, split.valid)
    if model == "Pop":
        own = Popular(data.n_items)
        own.fit(split.train)
        assert means == pytest.approx(evaluation(TopK(own), split.test).means)


def test_an_unknown_model_has_a_nearest_one(tmp_path) -> None:
    with pytest.raises(ValueError, match="unknown RecBole model 'SASrec'; did you mean 'SASRec'\\? known: Pop, SASRec"):
        fit("SASrec", cyclic(), python=player(tmp_path))


def test_recboles_last_words_are_in_the_error(tmp_path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)ended with 3:\nEpoch 1 of 1\nTraceback: the loss is a cow"):
        fit("Pop", cyclic(), python=player(tmp_path, broken="train"))


def test_a_python_without_recbole_or_none_at_all(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"(?s)cannot run RecBole; install it there .* or say python=.*the loss is a cow"):
        models(player(tmp_path, broken="models"))
    with pytest.raises(ValueError, match=r"python=/nowhere/python cannot be started: No such file"):
        models("/nowhere/python")


@pytest.mark.parametrize(("option", "value"), [("epochs", 0), ("k", -1)])
def test_numbers_that_are_none(option, value) -> None:
    with pytest.raises(ValueError, match=f"{option}={value} must be at least 1"):
        fit("Pop", cyclic(), **{option: value})
    with pytest.raises(ValueError, match="MAX_ITEM_LIST_LENGTH=0 must be at least 1"):
        fit("Pop", cyclic(), config={"MAX_ITEM_LIST_LENGTH": 0})


def test_a_split_without_validation_is_refused() -> None:
    with pytest.raises(ValueError, match="this split has none"):
        fit("Pop", cyclic(), split=Nothing()(cyclic()))


@pytest.fixture(scope="module")
def real() -> str:
    """A Python with RecBole."""
    python = os.environ.get("RECPREF_RECBOLE_PYTHON", sys.executable)
    try:
        models(python)
    except ValueError as error:
        pytest.skip(f"RecBole cannot be imported by {python} (RECPREF_RECBOLE_PYTHON names another): {str(error).splitlines()[-1]}")
    return python


@pytest.mark.slow
def test_a_real_general_model_has_the_same_hit_rate_there_and_here(real) -> None:
    """RecBole filters training and validation items for these models, as we do, and similarities hardly tie."""
    rng = np.random.default_rng(0)
    rows = [(u, i, n) for u in range(150) for n, i in enumerate(rng.permutation(60)[: rng.integers(8, 20)])]
    data = Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")
    trained = fit("EASE", data, epochs=1, python=real)
    means = Evaluation({name: components.find("metric", name) for name in ("hr", "ndcg")})(trained.test, LeaveOneOut()(data).test).means
    assert means["hr@10"] == pytest.approx(trained.report["test"]["hit@10"], abs=1e-3)
    assert means["ndcg@10"] == pytest.approx(trained.report["test"]["ndcg@10"], abs=1e-3)


@pytest.mark.slow
def test_a_real_sequential_model_learns_the_cycle(real) -> None:
    """The next item, first, wherever training has it: histories, their order and the numbers of items survive both ways."""
    data = cyclic(300)
    config = {"embedding_size": 16, "hidden_size": 16, "num_layers": 1, "train_batch_size": 64, "learning_rate": 0.01}
    trained = fit("GRU4Rec", data, epochs=15, python=real, config=config)
    evaluation = Evaluation({"hr": components.find("metric", "hr")}, ks=(1,), filter_seen=False)
    split = LeaveOneOut()(data)
    known = split.train.item_counts[split.test.targets.item] > 0
    assert 0.5 < known.mean() < 1  # items 11 and 12 only ever come last
    assert evaluation(trained.test, split.test).means["hr@1"] > known.mean() - 0.05


def test_the_module_names_its_own_script() -> None:
    assert recbole.CHILD.is_file()
