"""python -m recpref.train model=bert4rec data=ml_100k [key=value ...]: train, evaluate, save, and print the row.

--help lists models, losses, data sets and every option with its default; --cfg prints the composed experiment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from recpref.experiment import fit, opened

    content = compose(overrides)
    data = opened(content["data"])
    print(data)
    run = fit(*overrides, data=data)
    runs = [run]
    if run.experiment["model"]["name"] != "popular":
        kept = {key: value for key, value in chosen(overrides).items() if key.partition(".")[0] in ("split", "evaluation", "seed", "out")}
        runs.append(fit("model=popular", *(f"{key}={value}" for key, value in kept.items()), data=data))
    _print_rows(runs)
    _print_course(run)


def _print_rows(runs: list[Run]) -> None:
    evaluation = runs[0].experiment["evaluation"]
    columns = [f"{metric}@{k}" for metric in ("hr", "ndcg") for k in evaluation["ks"]]
    rows = [[run.experiment["model"]["name"], *(f"{run.metrics[f'test/{column}']:.4f}" for column in columns)] for run in runs]
    seen = "seen items filtered" if evaluation["filter_seen"] else "seen items not filtered"
    users = len(runs[0].per_user)
    title = f"test: {runs[0].experiment['data']['name']}, {runs[0].experiment['split']['name']}, full ranking, {seen}, {users:,} users"
    console.table(title, ["model", *(column.upper() for column in columns)], rows)


def _print_course(run: Run) -> None:
    metrics = run.metrics
    if "train/epochs" in metrics:
        print(
            f"{metrics['train/parameters']:,} parameters, {metrics['train/seconds']:.0f} s of training, {metrics['train/epochs']} epochs; "
            f"kept epoch {metrics['train/best_epoch']} by validation NDCG@10 = {metrics['valid/ndcg@10']:.4f}"
        )
        if metrics["train/underfit"]:
            print("underfit: validation was still rising when trainer.max_epochs was reached; raise it")
        if metrics["train/interrupted"]:
            print("interrupted: this is the best model until then, not a finished run")
    print(f"saved in {run.path}")


if __name__ == "__main__":
    console.main(train)
