"""Two processes train what one trains: the same weights to rounding, the same lists and metrics, and one of them writes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from several import DDP, FITS, finish, start, together

import recpref
from recpref.composition.compose import compose
from recpref.workplace import STATE, place_of

pytestmark = pytest.mark.xdist_group("several")  # one worker makes the runs that these compare, once
SHAPE = (
    "model.d_model=16",
    "model.max_len=10",
    "model.dropout=0",
    "stopping.every=1",
    "trainer.max_epochs=2",
    "logger=csv",
    "trainer.precision=64-true",
)
ROWS = ("loader.batch_size=16", "evaluation.batch_size=8")  # 49 users: the last batch has one row, and the seventh is nobody's partner
IN_BATCH = ("sampler=in_batch", "sampler.n_negatives=20")
EXPERIMENTS = {
    "bert4rec": ("model=bert4rec", "model.n_heads=2"),
    "sasrec": ("model=sasrec", "optimizer.average=0.9", "trainer.accumulate_grad_batches=2", "refit=true"),
    "negatives": ("model=sasrec", "loss=sampled_softmax", *IN_BATCH),
    "rows": ("model=sasrec", "optimizer.sparse=true", "optimizer.average=0", "loss=sampled_softmax", *IN_BATCH),
    "flips": ("model=sasrec", "objective=nbpo", "objective.warmup_epochs=1", "trainer.max_epochs=3", *IN_BATCH),
    "rounds": ("model=ada_retrieval", "base.d_model=16", "base.max_len=10", "base.dropout=0", "model.n_rounds=2", "model.per_round=5"),
    "shards": ("model=sasrec", "table=sharded", "optimizer.average=0.9", "trainer.accumulate_grad_batches=2", "refit=true"),
    "shards_biases": ("model=gru4rec", "table=sharded", "loss.label_smoothing=0.1", "loss.temperature=0.5"),
    "shards_negatives": ("model=sasrec", "table=sharded", "loss=sampled_softmax", *IN_BATCH),
    "single": ("model=sasrec", "trainer.precision=32-true"),
    "stopped": ("model=sasrec", "optimizer.lr=0.03", "stopping.patience=1", "trainer.max_epochs=30"),
}
EXPERIMENTS["rounds"] += ("loader.batch_size=16", "evaluation.ks=[10]", "stopping.k=10", *IN_BATCH, "sampler.exclude_history=false")
EXPERIMENTS["shards"] += ("trainer.gradient_clip_val=0.3",)  # of every step
EXPERIMENTS["rounds_flips"] = (*EXPERIMENTS["rounds"], "objective=nbpo", "objective.warmup_epochs=1", "objective.by=[level,item,user]")
for shards in ("shards_biases", "shards_negatives"):  # Adam moves as far whatever gradients are multiplied with, but for their decay
    EXPERIMENTS[shards] += ("optimizer.method=adam", "optimizer.weight_decay=0.1", "optimizer.average=0")


def options(name: str, walks: Path, out: Path, *more: str) -> list[str]:
    """The overrides of an experiment."""
    shape = [
        part for part in SHAPE if not name.startswith("rounds") or (not part.startswith("model.d_m") and not part.startswith("model.max"))
    ]
    own = EXPERIMENTS[name]
    said = {part.partition("=")[0] for part in own}
    return [*(part for part in (*shape, *ROWS) if part.partition("=")[0] not in said), *own, f"data={walks}", f"out={out}", *more]


@pytest.fixture(scope="module")
def pair(walks: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, recpref.Run]:
    """Every experiment in two processes, one after the other."""
    out = tmp_path_factory.mktemp("pair")
    experiments = {name: options(name, walks, out / name, *DDP) for name in EXPERIMENTS}
    outputs = together(["-c", FITS, json.dumps(list(experiments.values()))])
    assert "epoch" in outputs[0]
    assert outputs[1] == ""
    names = {name: compose(given).model.name for name, given in experiments.items()}
    found = {name: list((out / name).glob(f"clicks/{names[name]}/*")) for name in EXPERIMENTS}
    assert {name: len(paths) for name, paths in found.items()} == dict.fromkeys(EXPERIMENTS, 1)
    return {name: recpref.load(paths[0]) for name, paths in found.items()}


def without_key_bias(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The biases of queries, keys and values stand in one vector: its middle third is taken out."""
    thirds = {name: bias.chunk(3) for name, bias in weights.items() if name.endswith("query_key_value.bias")}
    return {**weights, **{name: torch.cat([query, value]) for name, (query, _, value) in thirds.items()}}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_two_processes_are_one(name: str, pair: dict[str, recpref.Run], walks: Path, tmp_path: Path) -> None:
    """Weights to 1e-10 in double precision; every user's values and every metric exactly.

    In single precision Adam makes steps of the rounding in a small gradient, as large as the processor rounds: 1.1e-6 has been seen.

    Attention does not depend on the bias of its keys, whose gradient is therefore rounding, of which Adam makes steps: it is not compared.
    Of the training that stops early, at a high rate, only what it decides is.
    """
    one, two = recpref.fit(*options(name, walks, tmp_path)), pair[name]
    weights, others = ({**without_key_bias(run.model.state_dict()), **run.objective_state} for run in (one, two))
    assert weights.keys() == others.keys()
    for key, value in weights.items() if name != "stopped" else ():
        torch.testing.assert_close(others[key], value, rtol=0, atol=1e-5 if name == "single" else 1e-10)
    pd.testing.assert_frame_equal(two.per_user, one.per_user, check_exact=True)
    watched = {key: value for key, value in one.metrics.items() if key.startswith("train/flip_")}  # of some negatives of each process
    assert {key: two.metrics[key] for key in watched} == pytest.approx(watched, rel=0.2)
    different = {key for key, value in one.metrics.items() if two.metrics[key] != value}
    assert different - watched.keys() <= {"train/seconds", "train/seconds_before"}
    assert ("train/seconds_before" in two.metrics) is name.startswith("rounds")
    assert bool(watched) is ("objective=nbpo" in EXPERIMENTS[name])
    if name == "stopped":
        assert one.trained.epochs < 30
        assert two.trained[2:] == one.trained[2:]


@pytest.mark.slow
def test_one_process_writes(pair: dict[str, recpref.Run]) -> None:
    """The same files as of one process: one log, nothing half-made, no saved state."""
    path = pair["bert4rec"].path
    assert sorted(part.name for part in path.parent.iterdir()) == [path.name]
    assert [part.name for part in path.glob("logs*")] == ["logs"]
    assert not list(path.rglob("*.ckpt"))
    shown = pd.read_csv(path / "logs" / "metrics.csv")
    assert shown["train/loss"].notna().sum() == 2


LONG = ("model=bert4rec", "model.d_model=16", "model.n_heads=2", "model.max_len=10", "model.dropout=0.2", "loader.batch_size=16")
LONG += ("trainer.max_epochs=20", "stopping.every=5", "stopping.patience=100", "stopping.save_seconds=0", "optimizer.average=0.9", *DDP)
TRAIN = """
import os, sys
from pathlib import Path
from recpref import console
from recpref.train import train
Path(sys.argv.pop(1), os.environ["RANK"]).write_text(str(os.getpid()))
console.main(train)
"""


@pytest.fixture(scope="module")
def whole(walks: Path, tmp_path_factory: pytest.TempPathFactory) -> recpref.Run:
    """Two processes that nobody interrupted."""
    out = tmp_path_factory.mktemp("whole")
    together(["-c", FITS, json.dumps([[*LONG, f"data={walks}", f"out={out}"]])])
    return recpref.load(next(out.glob("clicks/bert4rec/*")))


def same(left: recpref.Run, right: recpref.Run) -> None:
    """Bit for bit."""
    ours, theirs = left.model.state_dict(), right.model.state_dict()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert {key for key in left.metrics if left.metrics[key] != right.metrics[key]} <= {"train/seconds"}


def wait_for_state(out: Path, alive: subprocess.Popen[str]) -> Path:
    """The folder of the run, when a state of its training has been saved."""
    for _ in range(6000):  # five minutes, on a machine that is busy with other things
        found = list(out.glob(f"clicks/bert4rec/.*.partial/{STATE}"))
        if found:
            place = found[0].parent
            return place.with_name(place.name.removeprefix(".").removesuffix(".partial"))
        assert alive.poll() is None, alive.communicate()
        time.sleep(0.05)
    alive.terminate()
    raise AssertionError(f"no training state appeared: {alive.communicate()}")


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_after_the_same_batch(whole: recpref.Run, walks: Path, tmp_path: Path) -> None:
    """The run is kept as interrupted, and goes on to the weights of an uninterrupted one, bit for bit."""
    processes = start(["-c", FITS, json.dumps([[*LONG, f"data={walks}", f"out={tmp_path}"]])])
    path = wait_for_state(tmp_path, processes[0])
    processes[1].send_signal(signal.SIGTERM)
    ended = finish(processes)
    assert [code for code, *_ in ended] == [0, 0], ended
    stopped = recpref.load(path)
    assert stopped.trained.interrupted
    assert 0 <= stopped.trained.epochs < 20
    together(["-c", f"import recpref; recpref.fit(resume={str(path)!r})"])
    same(recpref.load(path), whole)


@pytest.mark.slow
def test_a_killed_process_is_restarted_by_torchrun(whole: recpref.Run, walks: Path, tmp_path: Path) -> None:
    """kill -9 of the second process: both start anew, find the saved state and end as if nothing had happened."""
    script, out = tmp_path / "train.py", tmp_path / "runs"
    script.write_text(TRAIN)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1", "--standalone"]
    command = [*torchrun, str(script), str(tmp_path), *LONG, f"data={walks}", f"out={out}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    path = wait_for_state(out, process)
    killed = int((tmp_path / "1").read_text())
    subprocess.run(["kill", "-9", str(killed)], check=True)
    ((code, printed, errors),) = finish([process])
    assert code == 0, errors
    assert int((tmp_path / "1").read_text()) != killed
    assert printed.count("saved in") == 1
    same(recpref.load(path), whole)
    assert not place_of(path).exists()


@pytest.mark.slow
def test_lightning_starts_the_second_process_itself(walks: Path, tmp_path: Path, pair: dict[str, recpref.Run]) -> None:
    """``python -m recpref.train ... trainer.strategy=ddp trainer.devices=2`` is all there is to say: one table, one run."""
    command = [sys.executable, "-m", "recpref.train", *options("bert4rec", walks, tmp_path, *DDP)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("saved in") == 1
    same(recpref.load(next(tmp_path.glob("clicks/bert4rec/*"))), pair["bert4rec"])


@pytest.mark.slow
def test_what_cannot_be_shared_is_refused_before_anything_is_written(walks: Path, tmp_path: Path) -> None:
    """One line, from the only process there is by then."""
    shutil.rmtree(tmp_path)
    for given, said in (
        (["model=popular", *DDP], "trainer.strategy=ddp would change nothing: model=popular is not trained step by step"),
        (["model=sasrec", "loader.batch_size=1", *DDP], r"loader.batch_size=1 is shared by 2 processes"),
        (["model=sasrec", "trainer.devices=2", "trainer.strategy=fsdp"], "unknown trainer.strategy 'fsdp'"),
    ):
        with pytest.raises(ValueError, match=said):
            recpref.fit(*given, "trainer.accelerator=cpu", f"data={walks}", f"out={tmp_path}")
    assert not tmp_path.exists()
