"""python benchmarks/noise/study.py [seeds=5] [out=build/noise]: do learned flips earn their keep where the truth is known?

Planted likes (``planted.py``), of which a known share is hidden at random, by popularity or by user (``split=hidden``). One SASRec, the
same four negatives for everybody, and as objectives: BCE, gBCE, BPO (no flips), constant flips, learned ones, and flips that are told
by a user's activity or an item's popularity and not learned: in training, or only as what was trained is ranked. Every row is written
when it is done and skipped when it is there; interrupt and call again at will.
Writes ``rows.csv``, ``table.md``, ``noise.png``.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import pandas as pd
import torch
from measure import Found, measured, world
from planted import planted
from rich.progress import track
from summary import picture, table

import recpref
from recpref.composition.compose import chosen
from recpref.data.cards import open_data
from recpref.data.splits.hidden import Hidden

WORLDS = [("popularity", 0.4), ("user", 0.4), ("random", 0.4), ("random", 0.0), ("popularity", 0.2), ("user", 0.2), ("random", 0.2)]
BASE = (
    "model=sasrec", "model.d_model=32", "model.n_layers=1", "model.n_heads=1", "model.d_ff=32", "model.max_len=80", "model.dropout=0.2",
    "sampler=uniform", "sampler.n_negatives=4", "sampler.exclude_history=true", "loader.batch_size=64", "optimizer.lr=1e-3",
    "optimizer.average=0", "examples.crop=0", "trainer.max_epochs=300", "stopping.every=3", "stopping.patience=8", "logger=csv",
)  # fmt: skip
SLOW = ("stopping.patience=24",)  # BCE's and gBCE's positives weigh a fifth and less: they stay where they begin for long
NBPO = ("objective=nbpo",)
EXPOSURE = (*NBPO, "objective.likelihood=nbpo_w", "objective.prior=0.5")
VARIANTS = {
    "BCE": ("loss=bce", *SLOW),
    "gBCE": ("loss=gbce", "loss.t=0.75", "optimizer.lr=3e-3", *SLOW),
    "BPO": ("loss=bpo",),
    **{f"constant {c}": (*NBPO, "objective.by=[]", f"objective.prior={c}") for c in (0.1, 0.25, 0.5)},
    "learned": (*NBPO, "objective.likelihood=nbpo_e", "objective.by=[level,item,user]", "objective.prior=0.1"),
    "learned, true odds": (*NBPO, "objective.likelihood=nbpo_e", "objective.by=[level,item,user,sampling]", "objective.prior=0.3"),
    "learned, features": (
        *NBPO,
        "objective.likelihood=nbpo_o",
        "objective.by=[level,popularity,activity,item,user]",
        "objective.prior=0.1",
    ),
    "learned, exposure": (*EXPOSURE, "objective.by=[level,exposure,activity,user]"),
    "learned, all": (*EXPOSURE, "objective.by=[level,popularity,exposure,activity,item,user]"),
    "exposure, not learned": (*EXPOSURE, "objective.by=[exposure]"),
    "propensity, not learned": (*NBPO, "objective.likelihood=nbpo_o", "objective.by=[propensity]", "objective.prior=0.1"),
    "ranked by propensity 0.5": ("loss=bpo",),
    "ranked by propensity 1": ("loss=bpo",),
}
SLOPES = {"ranked by propensity 0.5": 0.5, "ranked by propensity 1": 1.0}  # BPO, asked otherwise


def one(seed: int, by: str, share: float, variant: str, out: Path) -> Found:
    """Trains and measures. Exits where the training is interrupted: half of one is no row."""
    path = out / f"planted-{seed}.csv"
    data = open_data(str(path if path.is_file() else planted(seed, path)), user="user_id", item="item_id")
    split = Hidden(by=by, share=share, seed=seed)
    hiding = ("split=hidden", f"split.by={by}", f"split.share={share}", f"split.seed={seed}")
    with tempfile.TemporaryDirectory() as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = recpref.fit(*BASE, *VARIANTS[variant], *hiding, f"seed={seed}", f"out={folder}", data=data)
        if run.trained.interrupted:
            sys.exit("interrupted; what was finished is in rows.csv, and the same command goes on from there")
        parts = split(data)
        return measured(run, parts, world(split, parts, data), SLOPES.get(variant))


def main() -> None:
    asked = {"seeds": "5", "out": "build/noise", **chosen(sys.argv[1:])}
    out, file = Path(asked["out"]), Path(asked["out"]) / "rows.csv"
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    keys = ["seed", "by", "share", "variant"]
    done = set(pd.read_csv(file)[keys].itertuples(index=False, name=None)) if file.is_file() else set()
    todo = [(seed, *place, name) for place in WORLDS for seed in range(1, int(asked["seeds"]) + 1) for name in VARIANTS]
    for key in track([key for key in todo if key not in done], "noise", disable=not sys.stderr.isatty()):
        row = pd.DataFrame([{**dict(zip(keys, key, strict=True)), **one(*key, out)._asdict()}])
        row.to_csv(file, mode="a", header=not file.is_file(), index=False)
    rows = pd.read_csv(file)
    (out / "table.md").write_text(table(rows))
    picture(rows, out / "noise.png")
    print(table(rows))


if __name__ == "__main__":
    main()
