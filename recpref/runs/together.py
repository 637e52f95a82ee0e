"""Which plans several processes may train, what is done by one of them for all, and what a restart goes on from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recpref import components, processes
from recpref.data.batches import Loader
from recpref.plan import FILE, Plan
from recpref.runs.start import finished
from recpref.training.trainers import processes_of
from recpref.workplace import place_of, state_of

SCALED = ("16-mixed", "16")  # precisions under which a step whose gradients overflow is left out


def refuse_processes(plan: Plan) -> bool:
    """Whether a plan trains in several processes. Raises: ValueError where they would have nothing to do, or cannot share what it asks."""
    count, loader = processes_of(plan.trainer), Loader(**plan.loader)
    if count > loader.batch_size:
        raise ValueError(f"loader.batch_size={loader.batch_size} is shared by {count} processes, and each needs a row; raise it")
    limit = plan.trainer.get("limit_val_batches")
    if count > 1 and limit is not None and not (limit == 0 or (isinstance(limit, float) and limit == 1)):
        raise ValueError(
            f"trainer.limit_val_batches={limit} means other users for each number of processes; leave it out, or validate on some users, "
            "who are the same ones everywhere: split.valid_users=2048"
        )
    if plan.table is not None and plan.table.name == "sharded":
        _refuse_shards(plan, count)
    return count > 1


def _refuse_shards(plan: Plan, count: int) -> None:
    """Raises: ValueError for what cannot be with a table whose rows ``count`` processes divide."""
    loss, scaled = plan.loss.name, plan.trainer.get("precision")
    scores_all = plan.objective.name == "score" and plan.sampler.name == "catalogue"
    why = f"table=sharded divides the rows over {count} processes, and"
    if plan.value("optimizer.sparse"):
        raise ValueError("optimizer.sparse=true updates rows of a whole table, which table=sharded is not; say optimizer.sparse=false")
    if count > 1 and plan.base is not None:
        raise ValueError(f"{why} model={plan.model.name} reads all of them around base={plan.base.name}; leave table=sharded out")
    if count > 1 and str(scaled) in SCALED:
        raise ValueError(f"{why} with trainer.precision={scaled} each process would skip other steps; say bf16-mixed or 32-true")
    if count > 1 and scores_all and not hasattr(components.find("loss", loss), "over_shards"):
        raise ValueError(f"{why} loss={loss} over the catalogue needs all; say loss=cross_entropy, or a sampler such as sampler=uniform")


def by_all_or_one(work: Callable[[], None], path: Path, *, several: bool) -> None:
    """``several`` processes make the run ``path`` together; else the first one does, as if alone, and the others wait until it has."""
    if several or (processes.first() and not processes.connected()):
        work()
    elif processes.first():
        with processes.alone():
            work()
        processes.wait()
    else:
        processes.wait()
        processes.wait_for(path / FILE)


def made_before(path: Path) -> bool:
    """Whether this was started anew, and the run had been finished by then. Where processes can ask each other, the first one knows: it
    may finish the run before another one looks."""
    made = processes.restarted() and finished(path) and not place_of(path).exists()
    return processes.agreed(processes.first() and made) if processes.connected() else made


def to_continue(path: Path) -> Path | None:
    """The run, where this was started anew and a state of its training has been saved."""
    return path if processes.restarted() and state_of(path) is not None else None
