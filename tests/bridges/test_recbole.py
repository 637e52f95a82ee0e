"""The bridge to RecBole: what is written and read, by hand, errors of a process that plays RecBole, and RecBole where there is one.

``RECPREF_RECBOLE_PYTHON=path/to/python`` names a Python that has RecBole for the last tests.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from plays_recbole import cyclic, player, real_python, small

import recpref
from recpref import components
from recpref.bridges import recbole
from recpref.bridges.recbole import fit, models, write_split
from recpref.data.heldout import Split
from recpref.data.interactions import Interactions
from recpref.data.splits.leave_one_out import LeaveOneOut
from recpref.data.splits.none import Nothing
from recpref.evaluation.protocol import Evaluation
from recpref.models.popular import Popular
from recpref.retrieval.topk import TopK


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
    lists = {} if model == "Pop" else {"MAX_ITEM_LIST_LENGTH": 4}
    trained = fit(model, data, split=split, epochs=3, k=12, python=player(tmp_path), config={"x": 1, **lists})
    sent = trained.report["asked"]
    longest = int(np.diff(split.test.history.offsets).max())
    assert sent == {
        "model": model, "family": "general" if model == "Pop" else "sequential", "epochs": 3, "seed": 1, "config": {"x": 1},
        "n_best": 12 + longest, "max_len": 4 if lists else min(50, longest),
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


@pytest.mark.parametrize("model", sorted(recbole.LACKING))
def test_a_model_that_lacks_something_is_refused_before_anything_is_started(model) -> None:
    with pytest.raises(ValueError, match=f"RecBole's {model} cannot be run: it reads .*\\b(features|graph|lists)"):
        fit(model, cyclic(), python="/nowhere/python")


def test_an_option_that_recbole_would_ignore_is_refused(tmp_path) -> None:
    said = r"unknown option of RecBole's SASRec 'hiden_size'; did you mean 'hidden_size'\? known: MAX_ITEM_LIST_LENGTH, hidden_size, x, "
    with pytest.raises(ValueError, match=said):
        fit("SASRec", cyclic(), python=player(tmp_path), config={"x": 1, "hiden_size": 64})


def test_a_package_that_a_model_imports_is_named(tmp_path) -> None:
    python = player(tmp_path, broken="train")
    python.write_text(python.read_text().replace("Traceback: the loss is a cow", "ModuleNotFoundError: No module named 'faiss'"))
    with pytest.raises(
        ValueError, match=r"needs a package that .*python does not have: ModuleNotFoundError: No module named 'faiss'; install it"
    ):
        fit("Pop", cyclic(), python=python)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_recbole_cannot_take(seed) -> None:
    with pytest.raises(ValueError, match=f"seed={seed} must be at least 0 and below 2"):
        fit("Pop", cyclic(), seed=seed)


def test_the_environment_names_the_python(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(recbole.PYTHON, str(player(tmp_path)))
    assert models() == {"Pop": "general", "SASRec": "sequential"}


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
    with pytest.raises(ValueError, match=f"{option}={value} must be a whole number of at least 1"):
        fit("Pop", cyclic(), **{option: value})
    with pytest.raises(ValueError, match="MAX_ITEM_LIST_LENGTH=0 must be a whole number of at least 1"):
        fit("Pop", cyclic(), config={"MAX_ITEM_LIST_LENGTH": 0})
    with pytest.raises(ValueError, match="MAX_ITEM_LIST_LENGTH=abc must be a whole number of at least 1"):
        fit("SASRec", cyclic(), config={"MAX_ITEM_LIST_LENGTH": "abc"})


def test_a_model_without_lists_has_no_length_of_them(tmp_path) -> None:
    """RecBole would ignore it, and the run have another digest."""
    with pytest.raises(ValueError, match="MAX_ITEM_LIST_LENGTH=7: RecBole's Pop reads no lists of items; leave it out"):
        fit("Pop", cyclic(), python=player(tmp_path), config={"MAX_ITEM_LIST_LENGTH": 7})


def test_a_split_without_validation_is_refused() -> None:
    with pytest.raises(ValueError, match="this split has none"):
        fit("Pop", cyclic(), split=Nothing()(cyclic()))


@pytest.fixture(scope="module")
def real() -> str:
    """A Python with RecBole."""
    return real_python()


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


def shuffled_targets(split: Split) -> Split:
    """Each user is to find what another one is to find."""
    targets = split.test.targets
    return split._replace(test=split.test._replace(targets=replace(targets, item=np.roll(targets.item, 7))))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["BPR", "SASRec", "EASE"])
def test_what_is_to_be_found_at_test_changes_no_answer(real, model) -> None:
    """RecBole is told the test targets for its own report. Every item is a training target, too, so that their numbers stay."""
    rng = np.random.default_rng(0)
    rows = [(u, i, n) for u in range(150) for n, i in enumerate(rng.permutation(20)[: rng.integers(8, 15)])]
    data = Interactions.from_dataframe(pd.DataFrame(rows, columns=["u", "i", "t"]), user="u", item="i", time="t")
    split = LeaveOneOut()(data)
    assert (split.test.targets.item != shuffled_targets(split).test.targets.item).mean() > 0.9
    one, other = (fit(model, data, split=part, epochs=2, python=real) for part in (split, shuffled_targets(split)))
    for mine, theirs in ((one.valid, other.valid), (one.test, other.test)):
        assert torch.equal(mine.items, theirs.items)
        assert torch.equal(mine.scores, theirs.scores)
    assert one.report["valid"] == other.report["valid"]
    assert one.report["test"] != other.report["test"]


@pytest.mark.slow
def test_a_text_among_the_options_is_not_evaluated(real, tmp_path) -> None:
    """RecBole's own Config would."""
    with pytest.raises(RuntimeError):
        fit("SASRec", cyclic(), epochs=1, python=real, config={"hidden_act": f"open({str(tmp_path / 'made')!r}, 'w')"})
    assert not (tmp_path / "made").exists()


@pytest.mark.slow
def test_a_real_option_is_known_and_a_wrong_one_is_not(real) -> None:
    with pytest.raises(ValueError, match="unknown option of RecBole's EASE 'reg_wait'; did you mean 'reg_weight'"):
        fit("EASE", cyclic(), python=real, config={"reg_wait": 1.0})
    for said_elsewhere in ("epochs", "seed", "data_path", "benchmark_filename", "load_col"):
        with pytest.raises(ValueError, match=f"unknown option of RecBole's EASE '{said_elsewhere}'"):
            fit("EASE", cyclic(), python=real, config={said_elsewhere: 1})


SMALLER = {  # what models ask of data that are larger than these
    "DGCF": {"train_batch_size": 64},
    "NCL": {"num_clusters": 5},
    "GRU4RecCPR": {"reranker_CAN_NUM": 10},
    "SASRecCPR": {"reranker_CAN_NUM": 10},
}
PAGE = Path(__file__).parents[2] / "docs" / "recbole.md"
RUN = re.findall(r"```text\n(.*?)```", PAGE.read_text(), re.DOTALL)[0].split()


@pytest.mark.slow
def test_every_model_runs_or_is_refused(real) -> None:
    assert sorted(models(real)) == sorted(RUN)
    assert not {*RUN} & {*recbole.LACKING}


def test_the_page_names_what_is_refused() -> None:
    table = PAGE.read_text().partition("These are refused:")[2]
    rows = [row for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) if row not in ("model", "---")]
    assert sorted(", ".join(rows).split(", ")) == sorted(recbole.LACKING)


@pytest.mark.slow
@pytest.mark.parametrize("model", RUN)
def test_a_model_that_runs(real, model) -> None:
    data = cyclic(200, 120)
    split = LeaveOneOut()(data)
    try:
        trained = fit(model, data, split=split, epochs=1, k=10, python=real, config=SMALLER.get(model))
    except ValueError as error:
        if model != "NCL" or "No module named 'faiss'" not in str(error):
            raise
        pytest.skip("NCL needs faiss beside RecBole")
    evaluation = Evaluation({"hr": components.find("metric", "hr")}, ks=(10,))
    assert len(evaluation(trained.test, split.test).per_user) == 200


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(recbole.LACKING))
def test_a_model_that_does_not_run(real, model, monkeypatch) -> None:
    """Where one begins to, it should be taken off the list."""
    monkeypatch.setattr(recbole, "LACKING", {})
    with pytest.raises(RuntimeError):
        fit(model, cyclic(200, 120), epochs=1, python=real)


def test_the_module_names_its_own_script() -> None:
    assert recbole.CHILD.is_file()
