"""python benchmarks/kill_study.py [kills=10]: kill -9 a study at random moments and continue it each time.

Prints how many trials were finished before each kill and whether all of them are still there, with the same values, at the end; exit
code 1 where one is lost, counted twice, or where the study does not end with its number.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import optuna
import pandas as pd

N_TRIALS = 100
OPTIONS = ("model=itemknn", f"n_trials={N_TRIALS}", "space.model.n_neighbours=2..50", "space.model.shrink=1.0..50.0")


def generated(path: Path) -> None:
    """120 users over 60 items."""
    rng = np.random.default_rng(0)
    rows = [(user, item, place) for user in range(120) for place, item in enumerate(rng.choice(60, 12, replace=False))]
    pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).to_csv(path, index=False)


def ended(database: Path) -> dict[int, float]:
    """Number and value of every trial that ended; empty where there is no study yet."""
    try:
        study = optuna.load_study(study_name="recpref", storage=f"sqlite:///{database}")
    except Exception:  # whatever a half-made data base is to Optuna, it is no study
        return {}
    return {trial.number: trial.value for trial in study.trials if trial.state.name == "COMPLETE"}


def main() -> int:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kills = int(dict(text.split("=") for text in sys.argv[1:]).get("kills", "10"))
    rng, known, right = np.random.default_rng(), dict[int, float](), True
    with tempfile.TemporaryDirectory() as folder:
        csv, database = Path(folder) / "clicks.csv", Path(folder) / "studies/clicks/itemknn/default/study.db"
        generated(csv)
        command = [sys.executable, "-m", "recpref.tune", *OPTIONS, f"data={csv}", f"studies={folder}/studies"]
        for kill in range(kills + 1):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if kill < kills:
                while len(ended(database)) <= len(known) and process.poll() is None:
                    time.sleep(0.2)  # until it has done something that could be lost
                time.sleep(rng.uniform(0, 2))
                process.kill()
            process.wait()
            found = ended(database)
            right &= all(found.get(number) == value for number, value in known.items())
            known = found
            print(f"{'kill' if kill < kills else 'end'} {kill + 1}: {len(known)} trials, none lost: {right}", flush=True)
    return 0 if right and len(known) == N_TRIALS else 1


if __name__ == "__main__":
    sys.exit(main())
