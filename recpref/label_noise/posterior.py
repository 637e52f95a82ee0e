"""A model trained with flips, ranking by how likely an item that was not observed is liked all the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.label_noise.flips import Flips
from recpref.types import History, MultiRound, Retriever

PREFIX = "flips."  # of the head's weights among those of an objective


class Posterior(nn.Module):
    """Scores are ``score + log(flip probability)``, the logit of the posterior (``recpref.label_noise.likelihood.liked``).

    A user of training has his own flips (``needs_numbers``: by his number), everybody else those of nobody in particular. A model of
    constant flips is ranked as by its scores.
    """

    needs_numbers = True

    def __init__(self, model: Retriever, flips: Flips):
        super().__init__()
        self.model, self.flips = model, flips
        self.n_items, self.needs_time = len(flips.popularity) - 1, bool(getattr(model, "needs_time", False))

    @classmethod
    def of(cls, model: Any, options: dict[str, Any], state: dict[str, Tensor]) -> Posterior:
        """From the options of ``objective=nbpo`` and what it learned.

        Raises: ValueError where nothing was learned of flips or the model learned them itself (``nbpo_mf``, which knows none of a user
        without training rows), or for a model that answers in rounds.
        """
        learned = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
        if not learned and getattr(model, "learns_flips", False):
            raise ValueError(
                f"the flips of {type(model).__name__} itself are not offered as a posterior: train with objective=nbpo for one"
            )
        if not learned:
            raise ValueError("a posterior needs flip probabilities: train with objective=nbpo")
        if isinstance(model, MultiRound) or not isinstance(model, Retriever):
            raise ValueError(f"{type(model).__name__} has not one score an item, to which a flip probability could be added")
        by: Sequence[str] = options["by"]
        sizes = (len(learned["popularity"]) - 1, len(learned["activity"]) - 1, model.table()[0].shape[1])
        flips = Flips(*sizes, by=tuple(by), prior=options["prior"], d_flip=options["d_flip"])
        flips.load_state_dict(learned)
        return cls(model, flips.eval())

    def catalogue(self, history: History) -> Float[Tensor, "B V1"]:
        """The posterior's logit of every item; column 0 is ``-inf``."""
        vectors, bias = self.model.table()
        state = self.model.state(history)
        every = torch.arange(self.n_items + 1, device=state.device)[None]
        return torch.addmm(bias, state, vectors.T) + F.logsigmoid(self.flips(state, history.user, every))
