"""python benchmarks/speed/orchestrate.py [seconds=60] [runs=10]: what a suite costs beside its runs.

The runs only sleep, so that whatever else passes is none of a model's work: starting Python, reading the suite and the data, starting
each run, opening the data in it, evaluating, saving, and writing the tables and the page. Beside it stands what the same runs
take one after the other in a single Python process, ``recpref.fit`` in a loop, with nothing of a suite around them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODEL = '''
import time
from recpref.models.popular import Popular
class Sleeper(Popular):
    """Popular after a nap; ``nap`` makes every run another experiment."""
    def __init__(self, n_items: int, *, seconds: float = 60.0, nap: int = 0):
        super().__init__(n_items)
        self.seconds = seconds
    def fit(self, train):
        time.sleep(self.seconds)
        super().fit(train)
'''

LOOP = """
import recpref
for nap in range({runs}):
    recpref.fit("model=sleeper:Sleeper", "model.seconds={seconds}", f"model.nap={{nap}}", "seed=1", "out=loop", data="ml_100k")
"""


def main() -> None:
    said = dict(word.split("=") for word in sys.argv[1:])
    seconds, runs = float(said.get("seconds", "60")), int(said.get("runs", "10"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sleeper.py").write_text(MODEL)
        models = "\n".join(f'nap{n} = ["model=sleeper:Sleeper", "model.seconds={seconds}", "model.nap={n}"]' for n in range(runs))
        (folder / "naps.toml").write_text(f'title = "Naps"\nseeds = [1]\n[models]\n{models}\n[data]\nml = ["data=ml_100k"]\n')
        done, wall = timed([sys.executable, "-m", "recpref.benchmark", "suite=naps.toml"], folder)
        _, loop = timed([sys.executable, "-c", LOOP.format(runs=runs, seconds=seconds)], folder)
    took = [float(found) for found in re.findall(r", (\d+) s; ", done)]
    beside, added = wall - seconds * runs, wall - loop
    print(f"{runs} runs of {seconds:.0f} s: {wall:.1f} s, of which {beside:.1f} s ({100 * beside / wall:.2f} %) were not the runs' sleep")
    print(f"the same runs in a loop: {loop:.1f} s, so that the suite adds {added:.1f} s ({100 * added / wall:.2f} %)")
    print(f"mean of what a run took by the suite's clock: {sum(took) / len(took):.1f} s")


def timed(command: list[str], folder: Path) -> tuple[str, float]:
    """What the command printed, and the seconds it took. Leaves with what it said where it failed."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout, wall


if __name__ == "__main__":
    main()
