"""python -m recpref.train model=bert4rec data=ml_100k [key=value ...]: train, evaluate, save, and print the row.

resume=runs/... continues an interrupted training. --help lists models, losses, data sets and every option with its
default; --cfg prints the composed experiment.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recpref import console

if TYPE_CHECKING:
    from recpref.run import Run


def train(arguments: list[str]) -> None:
    """The verb. Raises: ValueError for anything wrong with the overrides."""
    given, overrides = console.switches(arguments, {"--cfg"})
    if given & {"--help", "-h"}:
        from recpref.help import overview

        overview(overrides)
    elif "--cfg" in given:
        import yaml

        from recpref.composition import compose

        print(yaml.safe_dump(compose(overrides), sort_keys=False), end="")
    else:
        _fit_and_print(overrides)


def _fit_and_print(overrides: list[str]) -> None:
    from recpref.composition import chosen, compose
    from recpref.continuation import experiment_to_continue
    from recpref.experiment import opened, run_of

    pairs = chosen(overrides)
    resume = pairs.pop("resume", None)
    overrides = [f"{key}={value}" for key, value in pairs.items()]
    content = compose(overrides) if resume is None else experiment_to_continue(Path(resume), pairs)
    data = opened(content["data"])
    print(*data.report, data, sep="\n")
    run = run_of(content, data, resume=resume)
    runs = [run]
    if content["model"]["name"] != "popular":
        baseline = compose(["model=popular", *_protocol(content)])
        runs.append(run_of({**baseline, "data": content["data"]}, data))
    _print_rows(runs)
    _print_course(run)


def _protocol(content: dict[str, Any]) -> list[str]:
    """What makes another model's row comparable."""
    named = [f"split={content['split']['name']}", f"seed={content['seed']}", f"out={content['out']}"]
    values = {f"{section}.{key}": value for section in ("split", "evaluation") for key, value in content[section].items() if key != "name"}
    return named + [f"{key}={'null' if value is None else value}" for key, value in values.items()]


def _print_rows(runs: list[Run]) -> None:
    evaluation = runs[0].experiment["evaluation"]
    columns = [f"{metric}@{k}" for metric in ("hr", "ndcg") for k in evaluation["ks"]]
    rows = []
    for run in runs:
        name = run.experiment["model"]["name"]
        for label, prefix in ((name, "test"), (f"{name}, before the refit", "chosen/test")):
            if f"{prefix}/{columns[0]}" in run.metrics:
                rows.append([label, *(f"{run.metrics[f'{prefix}/{column}']:.4f}" for column in columns)])
    seen = "seen items filtered" if evaluation["filter_seen"] else "seen items not filtered"
    users = len(runs[0].per_user)
    title = f"test: {runs[0].experiment['data']['name']}, {runs[0].experiment['split']['name']}, full ranking, {seen}, {users:,} users"
    console.table(title, ["model", *(column.upper() for column in columns)], rows)


def _print_course(run: Run) -> None:
    metrics = run.metrics
    if "train/epochs" in metrics:
        print(
            f"{metrics['train/parameters']:,} parameters, {metrics['train/seconds']:.0f} s of training, {metrics['train/epochs']} epochs; "
            f"kept epoch {metrics['train/best_epoch']}"
            + (f" by validation NDCG@10 = {metrics['valid/ndcg@10']:.4f}" if "valid/ndcg@10" in metrics else "")
        )
        if metrics["train/underfit"]:
            print("underfit: validation was still rising when trainer.max_epochs was reached; raise it")
        if metrics["train/interrupted"]:
            print("interrupted: this is the best model until then, not a finished run")
    for note in run.audit["notes"]:
        print(f"split: {note}")
    print(f"saved in {run.path}")


if __name__ == "__main__":
    console.main(train)
