"""RePlay's part of `benchmarks/speed/compare.py`. Needs `replay-rec==0.22.0`, torch and lightning, and nothing of ours.

Its sequence classes with a data set in memory (`replay.models.nn.sequential`), which have both models. The newer SasRec of
`replay.nn`, which reads Parquet, was not tried. RePlay masks at the same rate and pads every sequence to the full length.
"""

from __future__ import annotations

import time
import warnings

import lightning
import pandas as pd
import torch
from answer import answered, measured

warnings.simplefilter("ignore")

from replay.data import Dataset, FeatureHint, FeatureInfo, FeatureSchema, FeatureSource, FeatureType  # noqa: E402
from replay.data.nn import SequenceTokenizer, TensorFeatureInfo, TensorFeatureSource, TensorSchema  # noqa: E402
from replay.models.nn.sequential.bert4rec import Bert4Rec, Bert4RecPredictionDataset, Bert4RecTrainingDataset  # noqa: E402
from replay.models.nn.sequential.sasrec import SasRec, SasRecPredictionDataset, SasRecTrainingDataset  # noqa: E402


class Clock(lightning.Callback):
    """The wall's seconds of each training epoch."""

    def __init__(self):
        self.seconds, self.tokens, self.targets = [], 0, 0

    def on_train_epoch_start(self, trainer, module):
        self.tokens = self.targets = 0
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        real = batch["pad_mask"] if "pad_mask" in batch else batch["padding_mask"]
        self.tokens += int(real.sum())
        kept = (real & ~batch["token_mask"]) if "token_mask" in batch else batch["target_padding_mask"]
        self.targets += int(kept.sum())
        self.stop = time.perf_counter()

    def on_train_epoch_end(self, trainer, module):
        self.seconds.append(self.stop - self.start)


def sequences(frame):
    """The tokenised data, and its tensor schema."""
    features = [
        FeatureInfo("user_id", FeatureType.CATEGORICAL, FeatureHint.QUERY_ID),
        FeatureInfo("item_id", FeatureType.CATEGORICAL, FeatureHint.ITEM_ID),
        FeatureInfo("timestamp", FeatureType.NUMERICAL, FeatureHint.TIMESTAMP),
    ]
    data = Dataset(feature_schema=FeatureSchema(features), interactions=frame)
    source = [TensorFeatureSource(FeatureSource.INTERACTIONS, "item_id")]
    item = TensorFeatureInfo(
        "item_id", is_seq=True, feature_type=FeatureType.CATEGORICAL, feature_sources=source, feature_hint=FeatureHint.ITEM_ID
    )
    schema = TensorSchema([item])
    tokenizer = SequenceTokenizer(schema)
    tokenizer.fit(data)
    return tokenizer.transform(data), schema


def main(asked):
    frame = pd.read_csv(asked["data"])
    start = time.perf_counter()
    data, schema = sequences(frame)
    width, length = asked["width"], 200
    shape = {"block_count": 2, "head_count": 2, "hidden_size": width, "max_seq_len": length, "dropout_rate": 0.2}
    if asked["model"] == "bert4rec":
        train = Bert4RecTrainingDataset(data, length, mask_prob=0.2)
        model, ask = Bert4Rec(schema, enable_embedding_tying=True, **shape), Bert4RecPredictionDataset(data, length)
    else:
        train = SasRecTrainingDataset(data, length)
        model, ask = SasRec(schema, **shape), SasRecPredictionDataset(data, length)
    prepare = time.perf_counter() - start
    clock = Clock()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_epochs=asked["epochs"], accelerator="cpu", callbacks=[clock], **quiet)
    trainer.fit(model, torch.utils.data.DataLoader(train, batch_size=asked["batch"], shuffle=True))
    start = time.perf_counter()
    rows = 0
    for number, batch in enumerate(trainer.predict(model, torch.utils.data.DataLoader(ask, batch_size=256))):
        scores = batch.clone()
        for place, row in enumerate(scores):
            items = torch.as_tensor(data.get_sequence(number * 256 + place, "item_id").copy())
            row[items] = -torch.inf
        rows += scores.topk(10, dim=1).indices.numel()
    recommend = time.perf_counter() - start
    return measured(clock, prepare, recommend, rows)


if __name__ == "__main__":
    answered(main)
