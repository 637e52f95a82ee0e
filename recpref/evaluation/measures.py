"""What is measured of a trained model under the protocol that its plan describes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from recpref import components
from recpref.data.heldout import Heldout, Split
from recpref.evaluation.aspects import aspects
from recpref.evaluation.protocol import Evaluation, Report
from recpref.evaluation.sampled import drawing_weights, sampled_report
from recpref.plan import Plan
from recpref.retrieval.topk import TopK


def evaluation_of(plan: Plan, *, metrics: tuple[str, ...] | None = None, **changes: Any) -> Evaluation:
    """The protocol that a plan describes, with every metric there is or those named."""
    found = {name: components.find("metric", name) for name in metrics or components.names("metric")}
    options = {**plan.evaluation, **changes}
    return Evaluation(found, **options | {key: tuple(value) for key, value in options.items() if isinstance(value, list)})


def of_test(plan: Plan, model: Any, report: Report, split: Split) -> dict[str, Any]:
    """All metrics of the test: accuracy, what else the lists are like, and sampled candidates where they were asked for."""
    return named("test", report) | _aspects(plan, report, split) | _sampled(plan, model, split)


def report_of(plan: Plan, model: Any, heldout: Heldout) -> Report:
    """The full ranking of held-out users; without any, an empty one."""
    if not len(heldout.targets):
        return Report(pd.DataFrame({"user": []}))
    return evaluation_of(plan)(TopK(model, seed=plan.seed, still=True), heldout)


def _aspects(plan: Plan, report: Report, split: Split) -> dict[str, Any]:
    """What else the test lists are like, and for whom and for what they are good."""
    found = {} if report.lists is None else aspects(report, split.test, split.train, evaluation_of(plan))
    return {f"test/{key}": value for key, value in found.items()}


def _sampled(plan: Plan, model: Any, split: Split) -> dict[str, Any]:
    """Metrics on sampled candidates, where they were asked for: under keys that say so."""
    evaluation = evaluation_of(plan)
    if evaluation.sampled == "none" or not len(split.test.targets):
        return {}
    topk, counts = TopK(model, seed=plan.seed, still=True), split.train.item_counts
    by, n_negatives = evaluation.sampled, evaluation.n_negatives
    return named("test", sampled_report(topk, split.test, evaluation, item_counts=counts, by=by, n_negatives=n_negatives, seed=plan.seed))


def refuse_sampled(plan: Plan, split: Split) -> None:
    """Raises: ValueError where sampled candidates were asked for and cannot be drawn: nobody trains for hours to learn that."""
    evaluation = evaluation_of(plan)
    if evaluation.sampled == "none":
        return
    if not len(split.test.targets):
        raise ValueError(
            f"evaluation.sampled={evaluation.sampled} ranks held-out items, and split={plan.split.name} holds none out; leave it out"
        )
    counts = split.train.item_counts
    drawing_weights(split.test, item_counts=counts, n_negatives=evaluation.n_negatives, by=evaluation.sampled)


def refuse_refit(plan: Plan, split: Split) -> None:
    """Raises: ValueError where a second training would see the rows of the first, or validation rows that are not known at test."""
    if not plan.refit or len(split.test.history) != len(split.train):
        return
    if not len(split.valid.targets):
        raise ValueError(
            f"refit=true adds the validation rows, and split={plan.split.name} has none here, so that the same model would be trained "
            "twice; leave refit out, or say refit=false"
        )
    raise ValueError(
        f"refit=true trains on the validation rows, and split={plan.split.name} keeps them out of the histories at test, where they "
        "would be recommended and count as wrong; leave refit out"
    )


def refuse_unasked(plan: Plan) -> None:
    """Raises: ValueError where a model that keeps answers to the questions of its split (``asked_only``) would be asked others."""
    name, evaluation = plan.model.name, evaluation_of(plan)
    if not hasattr(components.find("model", name), "asked_only"):
        return
    if plan.refit:
        raise ValueError(f"refit=true trains on the validation rows, and model={name} stops by them; leave refit out")
    if evaluation.sampled != "none":
        raise ValueError(f"evaluation.sampled={evaluation.sampled} needs scores of any item, and model={name} keeps the best; leave it out")
    if max(evaluation.ks) > (k := plan.model.options.get("k", 0)):
        raise ValueError(
            f"evaluation.ks={list(evaluation.ks)} asks for longer lists than model.k={k}, which is what is kept; raise model.k"
        )


def named(name: str, report: Report) -> dict[str, Any]:
    """A report's means under the keys of a run, such as ``test/ndcg@10``."""
    return {f"{name}/{key}": value for key, value in report.means.items()}
