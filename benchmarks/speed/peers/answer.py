"""What the peers' scripts share: how they are asked and how they answer. Each runs in its own environment: torch is all it needs."""

import json
import resource
import sys
from pathlib import Path

import torch


def answered(main):
    """Prints what ``main`` found for the JSON file that is the only argument, and the most memory that the process held."""
    torch.set_num_threads(2)
    found = main(json.loads(Path(sys.argv[1]).read_text()))
    print(json.dumps({**found, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def measured(clock, prepare, recommend, rows):
    """Of a training that ``clock`` watched: what ``compare.py`` makes a row of. Units: seconds; ``rows`` were recommended."""
    counted = {name: getattr(clock, name) for name in ("seconds", "tokens", "targets")}
    return {**counted, "prepare": prepare, "recommend": recommend, "recommended": rows}
