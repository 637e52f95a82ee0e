"""BPR-MF: matrix factorisation that ranks what a user consumed above what the user did not.

Source: Rendle, Freudenthaler, Gantner and Schmidt-Thieme, "BPR: Bayesian personalized ranking from implicit feedback" (UAI
2009): the mean over triples (u, i, j) of ``-ln sigmoid(x_ui - x_uj)`` plus ``l2`` times the squared vectors of the triple,
with ``x_ui = p_u . q_i + b_i``; i is consumed, j drawn uniformly from what is not.

Divergences: Adam on mini-batches in place of single steps of SGD; an item bias without penalty; and the users. Learned
vectors exist for training users only, so everybody is folded in: least squares fits ``p_u`` to ``[1, sum of q_i / sqrt(n)]``
over the n items of u, on all training users, and a history's state is that fit. On validation items of ML-100K this ranks
better than the learned vectors themselves.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from recpref.consumed import consumed, distinct
from recpref.data.interactions import Interactions
from recpref.types import PAD, History

__all__ = ["BPRMF"]
RIDGE = 1.0  # of the fit of users' vectors
ROUNDS = 10  # of draws for negatives; who has consumed nearly everything goes without


class BPRMF(nn.Module):
    """A history's items count once each; with no history a user is the average one.

    Raises: ValueError for sizes below 1, or weights and rates that are not above 0 (``l2``: below 0).
    """

    items: Tensor
    biases: Tensor
    fold: Tensor

    def __init__(
        self,
        n_items: int,
        *,
        d_model: int = 64,
        n_epochs: int = 20,
        batch_size: int = 1024,
        lr: float = 5e-3,
        l2: float = 3e-3,
        init_std: float = 0.1,
    ):
        super().__init__()
        for name, size in {"d_model": d_model, "n_epochs": n_epochs, "batch_size": batch_size}.items():
            if size < 1:
                raise ValueError(f"{name}={size} must be at least 1")
        if not (lr > 0 and init_std > 0 and l2 >= 0):
            raise ValueError(f"lr={lr} and init_std={init_std} must be above 0, and l2={l2} at least 0")
        self.n_epochs, self.batch_size, self.lr, self.l2, self.init_std = n_epochs, batch_size, lr, l2, init_std
        self.register_buffer("items", torch.zeros(n_items + 1, d_model))
        self.register_buffer("biases", torch.zeros(n_items + 1).index_fill(0, torch.tensor(PAD), -torch.inf))
        self.register_buffer("fold", torch.zeros(1 + d_model, d_model))

    def fit(self, train: Interactions) -> None:
        """Trains users, items and biases, then fits the users to their histories. Randomness is torch's global one."""
        matrix = consumed(train).tocoo()
        user, item = (torch.from_numpy(part).long() for part in matrix.coords)
        users = nn.Parameter(torch.randn(train.n_users + 1, self.fold.shape[1]) * self.init_std)
        items = nn.Parameter(torch.randn(self.items.shape) * self.init_std)
        biases = nn.Parameter(torch.zeros(len(items)))
        optimizer = torch.optim.Adam([users, items, biases], lr=self.lr)
        taken = (user * len(items) + item).sort().values
        for _ in range(self.n_epochs):
            for batch in torch.randperm(len(user)).split(self.batch_size):
                u, i = user[batch], item[batch]
                j, free = _negatives(u, taken, len(items))
                optimizer.zero_grad()
                self._loss(users[u], items[torch.stack([i, j])], biases[torch.stack([i, j])])[free].mean().backward()
                optimizer.step()
        self.items.copy_(items.detach().index_fill(0, torch.tensor(PAD), 0))
        self.biases[1:] = biases.detach()[1:]
        self._fit_users(train, users.detach())

    def _loss(self, p: Float[Tensor, "B D"], q: Float[Tensor, "2 B D"], b: Float[Tensor, "2 B"]) -> Float[Tensor, " B"]:
        margin = (p * (q[0] - q[1])).sum(1) + b[0] - b[1]
        return -F.logsigmoid(margin) + self.l2 * (p.square().sum(1) + q.square().sum((0, 2)))

    def _fit_users(self, train: Interactions, users: Float[Tensor, "U1 D"]) -> None:
        numbers = torch.from_numpy(train.user).unique()
        parts = [self._summary(torch.from_numpy(train.padded(some.numpy()))) for some in numbers.split(256)]
        summary = torch.cat(parts).double()
        system = summary.T @ summary + RIDGE * torch.eye(summary.shape[1], dtype=torch.double)
        self.fold.copy_(torch.linalg.solve(system, summary.T @ users[numbers].double()))

    def _summary(self, items: Int[Tensor, "B L"]) -> Float[Tensor, "B E"]:
        """One, and what the items of the history sum up to. Shapes: [B, 1 + D]."""
        items = distinct(items)
        n = (items != PAD).sum(1, keepdim=True).clamp(min=1)
        return torch.cat([self.items.new_ones(len(items), 1), self.items[items].sum(1) / n.sqrt()], 1)

    def state(self, history: History) -> Float[Tensor, "B D"]:
        """The fitted vectors of these histories."""
        return self._summary(history.items) @ self.fold

    def table(self) -> tuple[Float[Tensor, "V1 D"], Float[Tensor, " V1"]]:
        return self.items, self.biases

    @staticmethod
    def space() -> list[str]:
        """What a search may vary."""
        return ["model.d_model=[32,64,128]", "model.lr=1e-3..2e-2 log", "model.l2=1e-4..1e-2 log", "model.n_epochs=10..80 log"]


def _negatives(user: Int[Tensor, " B"], taken: Int[Tensor, " n"], n_columns: int) -> tuple[Int[Tensor, " B"], Int[Tensor, " M"]]:
    """Items drawn uniformly from what each user has not consumed, and the rows for which one was found."""
    drawn = torch.zeros_like(user)
    waiting = torch.arange(len(user))
    for _ in range(ROUNDS):
        drawn[waiting] = torch.randint(1, n_columns, waiting.shape)
        key = user[waiting] * n_columns + drawn[waiting]
        waiting = waiting[taken[torch.searchsorted(taken, key).clamp(max=len(taken) - 1)] == key]
        if not len(waiting):
            break
    free = torch.ones(len(user), dtype=torch.bool).index_fill(0, waiting, False)
    return drawn, free.nonzero()[:, 0]
