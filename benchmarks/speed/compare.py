"""recpref beside RecTools, RePlay and RecBole, in one run.

    python benchmarks/speed/compare.py out=FOLDER [data=ml_100k] [models=bert4rec,sasrec] [widths=64] [rounds=5]
                                       [peers=rectools,replay,recbole] [batches=32,64,128] [venvs=build/peers]
    python benchmarks/speed/compare.py out=FOLDER data=ml_1m models=sasrec target=0.12 [epochs=40] [batches=128]

Each toolkit runs in a virtual environment of its own, which is made at the first call (`venvs=` holds them, NAME/bin/python). All get
the same file: the last 200 training items of each user under leave-one-out; the same shape (2 layers, 2 heads, length 200, feed-forward
4 x width in BERT4Rec and 1 x in SASRec), cross-entropy over the catalogue, dropout 0.2, one mask in five, two threads; each at the
fastest of its batch sizes, found in the first round. Rounds alternate between toolkits, so that a busy moment meets all; every process
trains an epoch to warm up and one that counts. Positions read and targets learned are counted. RecBole makes a row of every prefix and is
timed by a few of its batches.
The limit is what the epoch's products of matrices take at the machine's measured best rate (`limit.py`).

With `target` each trains once, on the file of all rows, until validation NDCG@10 is there, our model by its own recipe (32 rows a batch)
and RecTools', the only peer that does, with its defaults and `batches` rows; the seconds are those of training, without validation.

Writes speed.csv, speed.md and speed.png into `out`, after every round, and every answer into answers.json: the same command takes an
interrupted run up where it was, with the same code on the same machine.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kept_answers import Answers

import recpref

HERE = Path(__file__).parent
MACHINE = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
DEFAULTS = {
    "out": "",
    "data": "ml_100k",
    "models": "bert4rec,sasrec",
    "widths": "64",
    "rounds": "5",
    "peers": "rectools,replay,recbole",
    "batches": "32,64,128",
    "venvs": "build/peers",
    "target": "",
    "epochs": "2",
}
BARE = {"recbole": "recbole==1.2.1"}  # installed without what it asks for, which does not install


def interpreter(peer: str, venvs: Path) -> str:
    """The peer's Python, made if it is not there."""
    if peer == "recpref":
        return sys.executable
    python = venvs / peer / "bin" / "python"
    if not python.is_file():
        print(f"installing {peer} into {venvs / peer}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(venvs / peer)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(HERE / "peers" / f"{peer}.txt")], check=True)
        if peer in BARE:
            subprocess.run([str(python), "-m", "pip", "install", "-q", "--no-deps", BARE[peer]], check=True)
    return str(python)


def write(path: Path, name: str, *, whole: bool) -> int:
    """The rows as CSV: all of the data, or the last 200 training rows of each user. Returns how many."""
    import numpy as np
    import pandas as pd

    from recpref.data.cards import load
    from recpref.data.splits.leave_one_out import LeaveOneOut

    data = load(name)
    if not whole:
        train = LeaveOneOut()(data).train
        data = train.where(train.offsets[train.user] - 1 - np.arange(len(train)) < 200)
    pd.DataFrame({"user_id": data.user, "item_id": data.item, "timestamp": data.time}).to_csv(path, index=False)
    return len(data)


def summary(peer: str, found: list[dict[str, Any]], batch: int, rows: int) -> dict[str, Any]:
    """One row of the table out of all rounds of one toolkit."""
    last = found[-1]
    seconds = [second for answer in found for second in answer["seconds"][1:]]
    middle = statistics.median(seconds)
    asked = [answer["recommended"] / 10 / answer["recommend"] for answer in found if answer["recommended"]]
    return {
        "toolkit": peer,
        "batch": batch,
        "rounds": len(found),
        "seconds": middle,
        "from": min(seconds),
        "to": max(seconds),
        "tokens": last["tokens"],
        "targets": last["targets"],
        "tokens/s": last["tokens"] / middle,
        "users/s": statistics.median(asked) if asked else None,
        "rows/s": rows / statistics.median(answer["prepare"] for answer in found),
        "GB": max(answer["memory"] for answer in found) / 2**30,
    }


def compare(model: str, width: int, data: Path, rows: int, given: dict[str, str], answers: Answers) -> Iterator[list[dict[str, Any]]]:
    """All toolkits on one shape: a table after every round, of the rounds so far."""
    peers = ["recpref", *filter(None, given["peers"].split(","))]
    pythons = {peer: interpreter(peer, Path(given["venvs"])) for peer in peers}
    asked = {"name": given["data"], "model": model, "width": width, "epochs": 2, "target": None}
    found: dict[str, list[dict[str, Any]]] = {}
    best: dict[str, int] = {}
    limit: dict[str, Any] = {}
    for turn in range(int(given["rounds"])):
        for peer in peers:
            script = HERE / "peers" / f"{peer}_peer.py"
            if turn == 0:
                sizes = [2048] if peer == "recbole" else [int(size) for size in given["batches"].split(",")]
                tried = {size: answers.ask(pythons[peer], script, {**asked, "batch": size}, data=data) for size in sizes}
                best[peer] = min(tried, key=lambda size: min(tried[size]["seconds"][1:]))
                found[peer] = [tried[best[peer]]]
                print(f"{model} d {width} {peer}: batch {best[peer]}, {found[peer][0]['seconds'][-1]:.2f} s an epoch", flush=True)
            elif peer != "recbole" or turn == 1:  # minutes an answer of RecBole's: twice is enough to see that it is no slip
                found[peer].append(answers.ask(pythons[peer], script, {**asked, "batch": best[peer]}, data=data, turn=turn))
        limit = limit or answers.ask(sys.executable, HERE / "limit.py", {**asked, "batch": best["recpref"]}, data=data)
        table = [summary(peer, found[peer], best[peer], rows) for peer in peers]
        for row in table:
            row.update(model=model, width=width, times=row["seconds"] / table[0]["seconds"], limit=limit["operations"] / limit["rate"])
        yield table


def refuse_idle(given: dict[str, str], said: dict[str, str]) -> None:
    """Exits where options were said that a training to a target does not heed."""
    if not given["target"]:
        return
    idle = [key for key in ("rounds",) if key in said] + [key for key in ("batches",) if "," in said.get(key, "")]
    idle += ["peers"] if set(said.get("peers", "rectools").split(",")) - {"rectools", ""} else []
    if idle:
        sys.exit(
            f"target={given['target']} trains each once, RecTools alone beside ours, at one size of batches; leave out {', '.join(idle)}"
        )
    given.update(peers=said.get("peers", "rectools"), batches=said.get("batches", "128"), rounds="")


def quality(model: str, width: int, data: Path, given: dict[str, str], answers: Answers) -> list[dict[str, Any]]:
    """Seconds of training until validation NDCG@10 reaches the target."""
    table = []
    for peer in ("recpref", *filter(None, given["peers"].split(","))):
        batch = int(given["batches"]) if peer != "recpref" else 32
        asked = {"name": given["data"], "model": model, "width": width, "epochs": int(given["epochs"]), "target": float(given["target"])}
        script = HERE / "peers" / f"{peer}_peer.py"
        found = answers.ask(interpreter(peer, Path(given["venvs"])), script, {**asked, "batch": batch}, data=data)
        row = {"toolkit": peer, "model": model, "width": width, "batch": batch, "epochs": len(found["seconds"])}
        table.append({**row, "seconds": sum(found["seconds"]), "ndcg@10": found["reached"][-1], "GB": found["memory"] / 2**30})
        table[-1]["times"] = table[-1]["seconds"] / table[0]["seconds"]
        print(table[-1], [round(value, 4) for value in found["reached"]], flush=True)
    return table


def report(table: list[dict[str, Any]], given: dict[str, str], out: Path) -> None:
    """The three files."""
    import pandas as pd

    frame = pd.DataFrame(table)
    out.mkdir(parents=True, exist_ok=True)
    frame.to_csv(out / "speed.csv", index=False)
    command = "python benchmarks/speed/compare.py out=FOLDER " + " ".join(
        f"{key}={value}" for key, value in given.items() if value and key not in ("venvs", "out")
    )
    about = f"{given['data']}, two threads, {MACHINE}, load {os.getloadavg()[0]:.1f} at the end"
    (out / "speed.md").write_text(f"# Speed beside peers\n\n{about}\n\n`{command}`\n\n{frame.to_markdown(index=False, floatfmt=',.2f')}\n")
    if not given["target"]:
        draw(frame, out / "speed.png")


def draw(frame: Any, path: Path) -> None:
    """Seconds of an epoch, a group a model and width, on a logarithmic axis, with the limit."""
    import matplotlib.pyplot as plt

    groups = list(dict.fromkeys(zip(frame.model, frame.width, strict=True)))
    figure, axes = plt.subplots(1, len(groups), figsize=(4 * len(groups), 3.2), squeeze=False)
    for axis, (model, width) in zip(axes[0], groups, strict=True):
        part = frame[(frame.model == model) & (frame.width == width)]
        bars = axis.barh(part.toolkit, part.seconds)
        axis.bar_label(bars, [f"{row.seconds:.1f} s ({row.times:.1f} x)" for row in part.itertuples()], padding=2, fontsize=8)
        axis.axvline(part.limit.iloc[0], color="black", linestyle=":", label="limit of the arithmetic")
        axis.set(
            title=f"{model}, d {width}", xlabel="seconds an epoch", xscale="log", xlim=(part.limit.iloc[0] / 2, part.seconds.max() * 30)
        )
        axis.invert_yaxis()
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main() -> None:
    said = dict(text.split("=", 1) for text in sys.argv[1:])
    given = DEFAULTS | said
    if not given["out"] or set(given) - set(DEFAULTS):
        sys.exit(__doc__)
    refuse_idle(given, said)
    out = Path(given["out"])
    answers = Answers(out / "answers.json", machine=MACHINE, sources=(Path(recpref.__file__).parent, HERE / "peers"))
    table: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.csv"
        rows = write(data, given["data"], whole=bool(given["target"]))
        for model in given["models"].split(","):
            for width in map(int, given["widths"].split(",")):
                if given["target"]:
                    tables = iter([quality(model, width, data, given, answers)])
                else:
                    tables = compare(model, width, data, rows, given, answers)
                part: list[dict[str, Any]] = []
                for part in tables:
                    report(table + part, given, out)
                table += part
    if answers.said:
        print(f"{answers.said} answers were in {answers.file} already")
    print((out / "speed.md").read_text())


if __name__ == "__main__":
    main()
