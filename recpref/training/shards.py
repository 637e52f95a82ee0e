"""Training with a table of items whose rows are divided over the processes (``table=sharded``).

DDP leaves the rows alone: each process has their whole gradient by itself. What is saved of training is that of a whole table, in one file
as ever: the first process gathers it in the memory of its processor, and whoever reads it cuts out its own rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from recpref.item_shards import ItemShards
from recpref.processes import at_first
from recpref.tables.sharded import Sharded
from recpref.types import MultiRound

Shards = dict[str, ItemShards]  # by the names of their tables in the module
Change = Callable[[Tensor, ItemShards], Tensor]
PARTS = ("weight", "bias")
PARAMETERS, STATE = "params", "state"  # torch's names


def divided(module: nn.Module, model: Any) -> Shards:
    """The tables of a training, of averages, too, which are divided from now on; DDP, which will wrap it, is told to leave them alone.

    Raises: ValueError for a model that does not read the table itself, or has too few items.
    """
    tables = {name: part for name, part in module.named_modules() if isinstance(part, Sharded)}
    if tables and (isinstance(model, MultiRound) or not isinstance(getattr(model, "items", None), Sharded)):
        raise ValueError(
            f"table=sharded: {type(model).__name__} reads the whole table, and in several processes none has it; train in one process, "
            "or leave table out"
        )
    if not tables:
        return {}
    found = {name: table.divide() for name, table in tables.items()}
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(
        module,
        [f"{name}.shards.{part}" for name, shards in found.items() for part, _ in (*shards.named_parameters(), *shards.named_buffers())],
    )
    return found


def parameters(shards: Shards) -> list[nn.Parameter]:
    """The rows of this process."""
    return [parameter for part in shards.values() for parameter in part.parameters()]


def unite(model: nn.Module) -> None:
    """Gives the first process the whole table of a model again."""
    for part in [part for part in model.modules() if isinstance(part, Sharded) and part.shards is not None]:
        part.unite()


def whole(checkpoint: dict[str, Any], shards: Shards) -> None:
    """Makes the weights in a checkpoint those of whole tables, in the first process."""
    names = {f"{name}.shards.{part}": f"{name}.{part}" for name in shards for part in PARTS}
    _changed(
        checkpoint, lambda weights: {names.get(key, key): at_first(value) if key in names else value for key, value in weights.items()}
    )


def own(checkpoint: dict[str, Any], shards: Shards) -> None:
    """Takes this process's rows out of the weights in a checkpoint."""
    places = {f"{name}.{part}": (f"{name}.shards.{part}", rows) for name, rows in shards.items() for part in PARTS}

    def cut(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for key, value in weights.items():
            name, rows = places.get(key, (key, None))
            found[name] = value if rows is None else _cut(value, rows)
        return found

    _changed(checkpoint, cut)


def _changed(checkpoint: dict[str, Any], change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    """Changes the weights of now, and the best ones that a callback keeps."""
    now, kept = (checkpoint[name] for name in ("state_dict", "callbacks"))
    best = {name: {key: change(value) if key == "weights" else value for key, value in state.items()} for name, state in kept.items()}
    checkpoint.update(state_dict=change(now), callbacks=best)


def _cut(value: Tensor, rows: ItemShards) -> Tensor:
    return value[rows.first : rows.last].clone()


def saved_whole(optimizer: torch.optim.Optimizer, shards: Shards) -> None:
    """From now on the state of the optimiser is saved and read as that of whole tables. All processes have to ask for it."""
    owners = {id(parameter): rows for rows in shards.values() for parameter in rows.parameters()}
    listed = [parameter for group in optimizer.param_groups for parameter in group[PARAMETERS]]
    found = {number: owners[id(parameter)] for number, parameter in enumerate(listed) if id(parameter) in owners}

    def changed(state: dict[str, Any], change: Change) -> dict[str, Any]:
        def of_one(number: int, moments: dict[str, Tensor]) -> dict[str, Tensor]:
            rows = found.get(number)
            return moments if rows is None else {key: change(value, rows) if value.ndim else value for key, value in moments.items()}

        return {**state, STATE: {number: of_one(number, moments) for number, moments in state[STATE].items()}}

    optimizer.register_state_dict_post_hook(lambda _, state: changed(state, lambda value, _: at_first(value)))
    optimizer.register_load_state_dict_pre_hook(lambda _, state: changed(state, _cut))
