"""What ``python -m recpref.train --help`` shows: the choices, and every option with its default."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable
from typing import Any

from recpref import components
from recpref.composition.compose import OPTIONAL, fixed_sections, options
from recpref.composition.general_options import PLAIN, general_options
from recpref.composition.recipes import DEFAULTS, KINDS, base_name, recipe_of, still_meant, wraps
from recpref.composition.unused_options import TRAINING
from recpref.data import cards
from recpref.data.readers import JSON, TEXT
from recpref.overrides import chosen

USAGE = """python -m recpref.train model=NAME data=NAME [key=value ...]     train, evaluate, save

  python -m recpref.train model=bert4rec data=ml_100k
  python -m recpref.train model=sasrec data=ml_1m seed=1 model.d_model=128
  python -m recpref.train model=sasrec data=my.csv data.user=who data.item=what data.time=when

  --help   this text; with model=NAME also that model's options
  --cfg    print the composed experiment, recipe included, and stop
  start=   begin with the weights of a run: its folder, self (the same experiment, trained first) or base; none
  then.*   what the second stage of start=self or start=base does otherwise: then.loss=bpr
  logger=  where training is logged: csv, tensorboard, wandb, mlflow, several as [csv,wandb]; none for nowhere
"""

DATA = f"""data=NAME, or the path of
  a file: {" ".join((*TEXT, *JSON))} (.gz of these, too) .inter .parquet .arrow
  a folder: interactions*, train, valid and test files, a Hugging Face data set, atomic files, MovieLens's, or any Parquet files
  a store that python -m recpref.prepare made
or one of"""


def overview(overrides: list[str]) -> None:
    """Prints the usage, the choices of every kind, the data sets, and the options of what is chosen."""
    print(USAGE)
    for kind in (*KINDS, *OPTIONAL):
        print(f"{kind}={_default(kind)}")
        for name in components.names(kind):
            print(f"  {name:<30}{_summary(kind, name)}")
    print(DATA)
    for name in cards.names():
        print(f"  {name:<30}{tomllib.loads((cards.folder() / f'{name}.toml').read_text())['title']}")
    print("\noptions and their defaults (a model's recipe may set others: see --cfg)")
    for key, value in PLAIN.items():
        print(f"  {key}={value}")
    user = chosen(overrides)
    model = components.find("model", user["model"]) if "model" in user else None
    recipe = {} if model is None else still_meant(recipe_of(model, general_options(user)["recipe"], user), user)
    said = DEFAULTS | recipe | user
    named = {kind: components.find(kind, name) for kind, name in said.items() if kind in (*KINDS, *OPTIONAL)}
    models = {} if model is not None else {"model": components.find("model", "bert4rec")}
    if model is not None and wraps(model):
        named |= {"base": components.find("base", base_name(model, user))}
    for section, component in {**models, **named, **fixed_sections()}.items():
        if section not in TRAINING or not components.trains_itself(model):
            _print_options(section, component)


def _default(kind: str) -> str:
    return f"NAME, by default {DEFAULTS[kind]}" if kind in DEFAULTS else "NAME"


def _summary(kind: str, name: str) -> str:
    module = inspect.getmodule(components.find(kind, name))
    return (inspect.getdoc(module) or "").split("\n")[0]


def _print_options(section: str, component: Callable[..., Any]) -> None:
    defaults = options(section, component)
    if not defaults:
        return
    print(f"  {section} ({component.__name__})")
    for option, default in defaults.items():
        print(f"    {section}.{option}={'null' if default is None else default}")
