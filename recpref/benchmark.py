"""python -m recpref.benchmark suite=NAME [workers=N] [out=runs] [seeds=[1,2,3]] [key=value ...]: models x data x seeds.

  python -m recpref.benchmark suite=quick                      a suite that ships, or suite=path/to/suite.toml
  python -m recpref.benchmark suite=quick trainer.max_epochs=1 seeds=[1]     key=value holds for every experiment
  python -m recpref.benchmark report runs/ml_100k [out=report]               the page of any set of runs
  python -m recpref.benchmark compare RUN RUN [metric=ndcg@10]               two runs, or their seeds together, user by user

What is there already is not run again; what crashed, or was killed, or was stopped by Ctrl-C, goes on with the same command. After
every run leaderboard.csv, .parquet, .md and .html are written to OUT/suite-NAME.
"""

from __future__ import annotations

import gc
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from recpref import console
from recpref.suggest import unknown

if TYPE_CHECKING:
    from recpref.leaderboard.board import Board
    from recpref.leaderboard.jobs import Job
    from recpref.leaderboard.rows import Row
    from recpref.leaderboard.suite import Suite
    from recpref.significance import Comparison

OWN = ("suite", "workers", "out", "seeds")


def benchmark(arguments: list[str]) -> None:
    """The verb. Raises: ValueError for anything wrong with the arguments."""
    given, words = console.switches(arguments, set())
    if given or not words:
        from recpref.leaderboard import suite_files

        print(__doc__)
        print(f"suites: {', '.join(suite_files.names())}\n\na suite of your own, suite=FILE.toml: {suite_files.__doc__}", end="")
        return
    verbs = {"report": report, "compare": compare}
    if words[0] in verbs:
        verbs[words[0]](words[1:])
    elif "=" not in words[0]:
        raise ValueError(unknown("command", words[0], verbs, hint="or suite=NAME"))
    else:
        run_suite(words)


def run_suite(words: list[str]) -> None:
    """Runs what a suite lacks, and writes its leaderboard. Raises: ValueError for a suite or options that are none."""
    from dataclasses import replace

    from recpref.leaderboard.jobs import jobs
    from recpref.leaderboard.pool import asked, warm
    from recpref.leaderboard.suite_files import read
    from recpref.overrides import chosen

    pairs = chosen(words)
    if "suite" not in pairs:
        raise ValueError("no suite was named; say suite=NAME or suite=path/to/suite.toml")
    suite = read(pairs["suite"])
    if "seeds" in pairs:
        suite = replace(suite, seeds=_seeds(pairs["seeds"]))
    workers = console.whole_number("workers", pairs.get("workers", "1"))
    out = pairs.get("out", "runs")
    users = [f"{key}={value}" for key, value in pairs.items() if key not in OWN]
    warm()
    found = asked(jobs, suite, users, out)
    said = [word for word in words if not word.startswith("workers=")]
    try:
        done, board = _run(suite, found, shlex.join(["python", "-m", "recpref.benchmark", *said]), out, workers)
    except KeyboardInterrupt:
        print("\ninterrupted; what was finished is in the tables, and the same command goes on from there")
        raise SystemExit(130) from None
    _conclude(suite, done, board)


def _run(suite: Suite, found: list[Job], command: str, out: str, workers: int) -> tuple[list[Job], Board]:
    """Every job as it ended, and the board, which is written when the first run has begun and after each. This process imports what it
    needs for that while the first run is at work."""
    from recpref.leaderboard.pool import Pool
    from recpref.leaderboard.progress import teller
    from recpref.workplace import refuse_unwritable

    by_experiment = {job.experiment: job for job in found}
    waiting = [job for job in found if job.state in ("new", "interrupted")]
    there = sum(job.state == "finished" for job in found)
    print(f"{len(found)} experiments: {there} are there already, {len(waiting)} to run, {len(found) - there - len(waiting)} cannot be run")
    for job in found:
        if job.error:
            print(f"  {job.name}: {job.error}")
    place = Path(out).expanduser() / f"suite-{suite.name}"
    refuse_unwritable(place / "leaderboard.csv")
    with Pool(waiting, place / "logs", workers=workers) as pool, teller(waiting, workers) as tell:
        from recpref.leaderboard.board import Board

        board = Board.of_suite(suite, command, place)
        board.write_jobs(found)
        for job, seconds in pool:
            by_experiment[job.experiment] = job
            rows = board.write_jobs(by_experiment.values())
            tell.tell(job, seconds, _result(job, rows))
    return list(by_experiment.values()), board


def _result(job: Job, rows: list[Row]) -> str:
    row = next((row for row in rows if job.path in row.paths), None)
    if row is None or row.headline not in row.means:
        return job.state
    return f"{row.headline} {row.by_seed[row.headline][row.paths.index(job.path)]:.4f}"


def _conclude(suite: Suite, done: list[Job], board: Board) -> None:
    """Prints the table, and leaves with code 1 where an experiment failed."""
    rows = board.write_jobs(done)
    _print_rows(suite.title, rows)
    for line in board.wrong:
        print(line)
    _say_where(board)
    failed = [job for job in done if job.state == "failed"]
    for job in failed:
        print(f"failed: {job.name}: {job.error}")
    if failed:
        print(f"{len(failed)} of {len(done)} experiments failed; what they printed is in {board.place / 'logs'}")
        raise SystemExit(1)


def _print_rows(title: str, rows: list[Row]) -> None:
    from recpref.leaderboard.standing import strangers, together
    from recpref.leaderboard.tables import shown_of, with_interval

    for data, group in together(rows):
        metrics = shown_of(group)
        lines = [
            [
                row.label,
                *(with_interval(row, metric) for metric in metrics),
                row.standing.place if row.standing else "",
                row.budget,
                f"{row.cost.train_seconds:.1f} s",
            ]
            for row in group
        ]
        heads = ["model", *(metric.upper() for metric in metrics), "standing", "budget", "training"]
        console.table(f"{title}: {data}, {group[0].protocol}, {group[0].n_users:,} users", heads, lines)
    for line in strangers(rows):
        print(line)


def _say_where(board: Board) -> None:
    from recpref.leaderboard.page import lacking

    print(f"written: {board.place}/leaderboard.csv, .parquet, .md" + ("" if lacking() else ", .html"))
    if lacking():
        print(f"the HTML report needs {', '.join(lacking())}: pip install 'recpref[report]'")


def report(words: list[str]) -> None:
    """The leaderboard of any runs. Raises: ValueError for unknown options; FileNotFoundError where there is no run; PermissionError where
    it cannot be written."""
    from recpref.leaderboard.board import Board
    from recpref.leaderboard.record import found, recorded
    from recpref.leaderboard.rows import whole_rows
    from recpref.workplace import refuse_unwritable

    places, options = _split(words, ("out",), "report runs/... [out=report]")
    if not places:
        raise ValueError("no run was named; say python -m recpref.benchmark report runs/...")
    board = Board.of_runs(shlex.join(["python", "-m", "recpref.benchmark", "report", *words]), options.get("out", "report"))
    refuse_unwritable(board.place / "leaderboard.csv")
    whole, notes = [], []
    for path in sorted({path for place in places for path in found(Path(place))}):
        try:
            interrupted = recorded(path).interrupted
        except (ValueError, OSError) as error:
            notes.append(str(error))
            continue
        whole += [] if interrupted else [path]
        notes += [f"{path} was interrupted before its end, which is no result"] if interrupted else []
    found_rows, wrong = whole_rows(whole)
    notes += wrong
    if not found_rows:
        raise ValueError(f"nothing to report: {'; '.join(notes)}")
    rows = board.finished(found_rows)
    board.write(rows, notes)
    _print_rows("Runs", rows)
    for note in notes:
        print(f"left out: {note}")
    _say_where(board)


def compare(words: list[str]) -> None:
    """Two runs over the same users. Raises: ValueError where they do not compare; FileNotFoundError where there is no run."""
    from recpref.leaderboard.record import found
    from recpref.leaderboard.rows import headline_of, rows_of
    from recpref.leaderboard.standing import between
    from recpref.significance import winner

    places, options = _split(words, ("metric",), "compare RUN RUN [metric=ndcg@10]")
    if len(places) != 2:
        raise ValueError(f"compare takes two runs, and got {len(places)}; say python -m recpref.benchmark compare RUN RUN")
    pair = []
    for place in places:
        rows = rows_of(found(Path(place)))
        if len(rows) > 1:
            raise ValueError(f"{place} holds {len(rows)} different experiments; name one, such as {rows[0].paths[0]}")
        pair += rows
    first, second = pair
    if (first.data_digest, first.measured) != (second.data_digest, second.measured):
        told = " and ".join(f"{row.data} ({row.data_digest[:8]}), {row.measured}" for row in pair)
        raise ValueError(f"the runs do not compare: they were measured on {told}")
    metric = options.get("metric", headline_of(pair))
    for row in pair:
        if metric not in row.means:
            raise ValueError(unknown("metric", metric, row.means))
    comparison = between(first.paths, second.paths, metric)
    who, why = winner(comparison, seeds=(first.by_seed[metric], second.by_seed[metric]))
    _print_comparison(first, second, metric, comparison)
    for place, row in (("first", first), ("second", second)):
        print(f"{place}: {' '.join([row.label, *row.options])} in {', '.join(map(str, row.paths))}")
    names = ("the first", "the second") if first.label == second.label else (first.label, second.label)
    verdict = {"first": f"{names[0]} is better", "second": f"{names[1]} is better", "neither": "no winner"}
    print(f"{verdict[who]}: {why}")


def _print_comparison(first: Row, second: Row, metric: str, c: Comparison) -> None:
    from recpref.leaderboard.tables import with_interval

    rows = [
        *(
            [f"{place}: {row.label}, seeds {' '.join(map(str, row.seeds))}", with_interval(row, metric)]
            for place, row in (("first", first), ("second", second))
        ),
        ["difference, first minus second", f"{c.difference:+.4f} [{c.low:+.4f}, {c.high:+.4f}]"],
        ["p: randomisation, bootstrap, t, Wilcoxon", f"{c.p_randomisation:.4f}, {c.p_bootstrap:.4f}, {c.p_t:.4f}, {c.p_wilcoxon:.4f}"],
        ["wins, ties, losses of the first", f"{c.wins}, {c.ties}, {c.losses}"],
        ["effect (Cohen's d of pairs)", f"{c.effect:+.3f}"],
        ["smallest detectable difference", f"{c.detectable:.4f}"],
    ]
    console.table(f"{metric.upper()} on {first.data}, {first.measured}, {c.n_users:,} users", ["what", "value"], rows)


def _split(words: list[str], known: tuple[str, ...], usage: str) -> tuple[list[str], dict[str, str]]:
    """The paths, and the options that stand among them."""
    options = dict(word.split("=", 1) for word in words if re.match(r"[a-z]+=", word))
    for key in options:
        if key not in known:
            raise ValueError(unknown("option", key, known, hint=usage))
    return [word for word in words if not re.match(r"[a-z]+=", word)], options


def _seeds(text: str) -> list[int]:
    words = [word.strip() for word in text.strip("[]").split(",")]
    if not all(re.fullmatch(r"-?\d{1,18}", word) for word in words) or len({*words}) < len(words):
        raise ValueError(f"seeds={text} must be different whole numbers, such as seeds=[1,2,3]")
    return [int(word) for word in words]


if __name__ == "__main__":
    try:
        console.main(benchmark)
    finally:
        gc.freeze()  # what ends with its process need not be collected first, which would take seconds
