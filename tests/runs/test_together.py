"""Which plans several processes may train, and what a restart goes on from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recpref import processes
from recpref.composition.compose import compose
from recpref.plan import FILE
from recpref.runs import together
from recpref.runs.together import by_all_or_one, made_before, refuse_processes, to_continue
from recpref.types import Candidates
from recpref.workplace import STATE, place_of

TWO = ("trainer.devices=2", "trainer.accelerator=cpu")


def test_plans_of_one_and_of_two_processes() -> None:
    """And those that cannot be divided, with what to change."""
    assert not refuse_processes(compose(["model=sasrec"]))
    assert refuse_processes(compose(["model=sasrec", *TWO]))
    with pytest.raises(ValueError, match=r"trainer\.devices=2 would change nothing: model=ease is not trained step by step"):
        refuse_processes(compose(["model=ease", *TWO]))
    with pytest.raises(ValueError, match=r"loader\.batch_size=1 is shared by 2 processes, and each needs a row; raise it"):
        refuse_processes(compose(["model=sasrec", "loader.batch_size=1", *TWO]))
    for limit in ("1", "0.5"):
        with pytest.raises(ValueError, match=rf"trainer\.limit_val_batches={limit} means other users for each number of processes; leave"):
            refuse_processes(compose(["model=sasrec", f"trainer.limit_val_batches={limit}", *TWO]))
        assert not refuse_processes(compose(["model=sasrec", f"trainer.limit_val_batches={limit}"]))
    for every in ("1.0", "0", "null"):
        assert refuse_processes(compose(["model=sasrec", f"trainer.limit_val_batches={every}", *TWO]))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            ["optimizer.sparse=true", "optimizer.average=0", "loss=sampled_softmax", "sampler=uniform"],
            "optimizer.sparse=true updates rows of a whole table, which table=sharded is not",
        ),
        (["model=ada_retrieval"], "model=ada_retrieval reads all of them around base=sasrec; leave table=sharded out"),
        (["trainer.precision=16-mixed"], "with trainer.precision=16-mixed each process would skip other steps; say bf16-mixed or 32-true"),
        (["loss=test_together:Even"], "loss=test_together:Even over the catalogue needs all; say loss=cross_entropy, or a sampler"),
    ],
)
def test_what_a_table_in_shards_cannot_do(said: list[str], why: str) -> None:
    """Before anything is trained; in one process it is a whole table."""
    plan = ["model=sasrec", "table=sharded", *said]
    with pytest.raises(ValueError, match=why):
        refuse_processes(compose([*plan, *TWO]))
    if "optimizer" not in said[0]:
        assert not refuse_processes(compose(plan))
    sampled = [*plan, "sampler=uniform", *TWO]
    if "loss" in said[0]:
        assert refuse_processes(compose(sampled))


class Even:
    """A loss that scores the catalogue, and knows nothing of shards."""

    def __call__(self, logits: torch.Tensor, candidates: Candidates) -> torch.Tensor:
        return logits.logsumexp(1)


@pytest.mark.parametrize(
    ("first", "connected", "several", "worked"),
    [
        (True, False, False, True),
        (True, True, False, True),
        (False, True, False, False),
        (False, False, False, False),
        (False, True, True, True),
    ],
)
def test_who_works(first: bool, connected: bool, several: bool, worked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody at what is made together, and else the first process; it works as if it were the only one."""
    (tmp_path / FILE).write_text("")
    done: list[bool] = []
    monkeypatch.setattr(processes, "first", lambda: first)
    monkeypatch.setattr(processes, "connected", lambda: connected and not processes._alone.get())
    monkeypatch.setattr(processes, "wait", lambda: None)
    by_all_or_one(lambda: done.append(processes._alone.get()), tmp_path, several=several)
    assert done == ([connected and not several] if worked else [])


@pytest.mark.parametrize("restarted", [True, False])
def test_only_who_was_started_anew_goes_on_unasked(restarted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a saved state, or with a run that was finished by then; whoever starts a command again is asked what is meant."""
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1" if restarted else "0")
    monkeypatch.setattr(together, "finished", Path.exists)
    path = tmp_path / "run"
    assert to_continue(path) is None
    place_of(path).mkdir()
    (place_of(path) / STATE).write_text("")
    assert to_continue(path) == (path if restarted else None)
    path.mkdir()
    assert not made_before(path)
    (place_of(path) / STATE).unlink()
    place_of(path).rmdir()
    assert made_before(path) is restarted
