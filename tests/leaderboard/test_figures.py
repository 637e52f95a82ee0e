"""Figures: the Pareto front by hand, the same numbers in table and traces, and specifications that Plotly accepts."""

from __future__ import annotations

import pytest

from recpref.leaderboard.figures import against, by_group, cost, figures, flips, pareto, training, undrawn
from recpref.leaderboard.rows import rows_of
from recpref.leaderboard.suite import Curve

GROUPS = {"test/history-q1/users": 20.0, "test/history-q1/ndcg@10": 0.4, "test/history-q4/users": 10.0, "test/history-q4/ndcg@10": 0.2}


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1, 0.1), (2, 0.3), (3, 0.2), (4, 0.4)], [0, 1, 3]),
        ([(4, 0.4), (1, 0.5)], [1]),
        ([(1, 0.1), (1, 0.3), (2, 0.3)], [1]),
        ([(5, 0.1)], [0]),
        ([], []),
    ],
)
def test_the_pareto_front_by_hand(points: list[tuple[float, float]], front: list[int]) -> None:
    """Of equal cost the better is on it; who is as good and dearer is not."""
    assert pareto(points) == front


def test_no_other_beats_the_front_in_both() -> None:
    import random

    rng = random.Random(0)
    points = [(rng.random(), rng.random()) for _ in range(50)]
    front = set(pareto(points))
    for place, (x, y) in enumerate(points):
        beaten = any(u <= x and v >= y and (u, v) != (x, y) for u, v in points)
        assert (place in front) is not beaten


@pytest.fixture
def rows(make_run) -> list:
    """A counting model and two widths of a trained one with a logged training."""
    paths = [make_run("model=popular", values=[0, 1] * 20, metrics=GROUPS)]
    for width, share in ((16, 1), (32, 0)):
        path = make_run("model=sasrec", f"model.d_model={width}", values=[1, share] * 20, epochs=2, metrics={"train/seconds": 60.0 + width})
        (path / "logs").mkdir()
        (path / "logs" / "metrics.csv").write_text("epoch,train/loss,valid/ndcg@10\n0,,0.1\n0,3.0,\n1,,0.2\n1,2.0,\n")
        paths.append(path)
    return rows_of(paths)


def test_accuracy_against_cost(rows: list) -> None:
    """The cheap one and the best are on the front, the slower that is no better is not; table and points are the same."""
    found = cost(rows, "ndcg@10")
    assert found.cells[0][:3] == ["sasrec", "76.00", "1.0000"]
    assert {(cells[1], cells[4]) for cells in found.cells} == {("76.00", "yes"), ("2.00", "yes"), ("92.00", "")}
    assert found.traces[0]["x"] == [2.0, 76.0]
    assert {(trace["x"][0], trace["y"][0]) for trace in found.traces[1:]} == {(76.0, 1.0), (92.0, 0.5), (2.0, 0.5)}


def test_what_was_trained_on_costs_more_than_its_base(make_run) -> None:
    """Two seconds after sixty: right of the base, and off the front as it is no better."""
    base = make_run("model=sasrec", values=[1, 0] * 20, epochs=2, metrics={"train/seconds": 60.0})
    again = make_run("model=sasrec", "model.d_model=16", values=[1, 0] * 20, epochs=2, metrics={"train/seconds_before": 60.0})
    found = cost(rows_of([base, again]), "ndcg@10")
    assert {(cells[1], cells[4]) for cells in found.cells} == {("60.00", "yes"), ("62.00", "")}
    assert found.traces[0]["x"] == [60.0]


def test_training_curves(rows: list) -> None:
    found = training(rows)
    assert [(trace["x"], trace["y"]) for trace in found.traces] == [([1, 2], [0.1, 0.2])] * 2
    assert found.cells[0] == ["sasrec", "1", "1", "0.1000"]


def test_a_damaged_log_is_named_and_the_others_are_drawn(rows: list) -> None:
    file = next(row.paths[0] / "logs" / "metrics.csv" for row in rows if row.plan.model.name == "sasrec")
    file.write_text("\0" * 64)
    found = training(rows)
    assert len(found.traces) == 1
    assert f"{file.parent} is damaged" in found.note


def test_groups_of_users(rows: list) -> None:
    found = by_group(rows, "ndcg@10", "By length", "length", {"history-q1": "short", "history-q4": "long", "history-q3": "none"})
    (trace,) = found.traces
    assert (trace["x"], trace["y"]) == (["short", "long"], [0.4, 0.2])
    assert found.cells == [["popular", "short", "20", "0.4000"], ["popular", "long", "10", "0.2000"]]


def test_a_metric_against_an_option(rows: list) -> None:
    """A line a model, in the order of the option; rows without it are left out; ``by`` makes a line a value."""
    found = against(rows, "ndcg@10", Curve("Width", "model.d_model"))
    (trace,) = found.traces
    assert (trace["name"], trace["x"], trace["y"]) == ("sasrec", [16, 32], [1.0, 0.5])
    assert trace["error_y"]["array"][1] > 0
    by = against(rows, "ndcg@10", Curve("Width", "model.d_model", by="loss"))
    assert by.traces[0]["name"] == "loss=cross_entropy"
    assert against(rows, "ndcg@10", Curve("Rounds", "model.n_rounds")) is None
    assert rows[0].plan.value("objective") == "score"


def test_names_are_text(rows: list) -> None:
    """Plotly reads tags in names: they are escaped."""
    from dataclasses import replace

    odd = [replace(rows[0], label="<a href='javascript:alert(1)'>x</a>")]
    for found in (cost(odd, "ndcg@10"), training(odd)):
        assert "<a" not in str(found.traces)
        assert found.cells[0][0].startswith("<a")  # the table's text is escaped by the page


def test_quotes_in_names_are_shown_as_they_are(rows: list) -> None:
    """Plotly knows no &quot;."""
    from dataclasses import replace

    found = cost([replace(rows[0], label="""the "best" & <it's>""")], "ndcg@10")
    assert found is not None
    assert found.traces[1]["name"] == """the "best" &amp; &lt;it's&gt;"""


def test_a_curve_over_what_no_row_has_is_told(rows: list) -> None:
    """A typing error of a suite; before there are rows nobody knows."""
    curves = [Curve("Width", "model.d_model", by="label"), Curve("Rounds", "model.n_round"), Curve("Depth", "model.n_layers", by="los")]
    told = ["the figure 'Rounds': no row has model.n_round", "the figure 'Depth': no row has los"]
    assert (undrawn(rows, curves), undrawn([], curves)) == (told, [])


def test_plotly_accepts_every_figure(rows: list) -> None:
    """Its own classes check names and values of every property."""
    graph_objects = pytest.importorskip("plotly.graph_objects")
    found = figures(rows, [Curve("Width", "model.d_model")])
    assert [figure.title for figure in found] == ["Accuracy against cost", "Training", "By length of history", "Width"]
    for figure in found:
        assert len(graph_objects.Figure({"data": figure.traces, "layout": figure.layout}).data) == len(figure.traces)
        assert all(len(cells) == len(figure.columns) for cells in figure.cells)


def test_the_curve_of_another_cut_off(make_run) -> None:
    """``stopping.k=50`` watches NDCG@50, as all methods in rounds do."""
    path = make_run("model=sasrec", "stopping.k=50", epochs=1)
    (path / "logs").mkdir()
    (path / "logs" / "metrics.csv").write_text("epoch,train/loss,valid/ndcg@50\n0,,0.1\n0,3.0,\n1,,0.2\n1,2.0,\n")
    found = training(rows_of([path]))
    assert found is not None
    assert found.traces[0]["y"] == [0.1, 0.2]


def test_flip_probabilities_of_the_rows_that_learned_some(make_run) -> None:
    """Means over seeds; a model without any is not in it, and without such a row there is no figure."""
    said = ("model=sasrec", "objective=nbpo", "sampler=uniform")
    learned = {"train/flip_sd": 0.1, "train/flip_auc": 0.8}
    seeds = [make_run(*said, seed=seed, epochs=1, metrics={"train/flip_mean": mean, **learned}) for seed, mean in ((1, 0.2), (2, 0.4))]
    rows = rows_of([*seeds, make_run("model=ease")])
    found = flips(rows)
    assert found is not None
    assert found.cells == [["sasrec", "0.3000", "0.1000", "0.8000"]]
    assert flips([row for row in rows if row.label == "ease"]) is None
