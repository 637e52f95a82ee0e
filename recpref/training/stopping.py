"""When training stops: the patience rule, and the judgement whether it stopped too early."""

from __future__ import annotations

from collections.abc import Sequence

METRIC = "valid/ndcg@10"  # what chooses, where ``stopping.k`` is its default


class Stopping:
    """Validate every ``every`` epochs; stop after ``patience`` validations without a better NDCG@``k``.

    Every ``save_seconds`` the state of training is saved, so that ``resume=`` can continue it after a crash.

    Raises: ValueError for numbers below 1, or a negative time.
    """

    def __init__(self, *, every: int = 5, patience: int = 8, k: int = 10, save_seconds: float = 60.0):
        if every < 1 or patience < 1:
            raise ValueError(f"stopping.every={every} and stopping.patience={patience} must be at least 1")
        if k < 1:
            raise ValueError(f"stopping.k={k} must be at least 1")
        if save_seconds < 0:
            raise ValueError(f"stopping.save_seconds={save_seconds} must not be negative")
        self.every, self.patience, self.k, self.save_seconds = every, patience, k, save_seconds

    @property
    def metric(self) -> str:
        """What chooses the epoch, by the name it is logged under."""
        return f"valid/ndcg@{self.k}"


def still_rising(validations: Sequence[float]) -> bool:
    """Whether the last fifth of the validations beat all before them by more than 1 %: training was cut short.

    Example: .05 .08 .09 .10 .12 rises; .05 .10 .10 .10 .10 does not.
    """
    tail = max(1, len(validations) // 5)
    head = validations[:-tail]
    return len(head) == 0 or max(validations[-tail:]) > 1.01 * max(head)
