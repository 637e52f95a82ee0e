"""A leaderboard in its folder: rows with claims and standings, written anew whenever a run has been finished."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recpref.leaderboard import claims as papers
from recpref.leaderboard.claims import Claim, claimed
from recpref.leaderboard.figures import undrawn
from recpref.leaderboard.jobs import Job
from recpref.leaderboard.page import Story, lacking, page
from recpref.leaderboard.rows import Row, whole_rows
from recpref.leaderboard.standing import strangers, told_apart, with_standings
from recpref.leaderboard.suite import Suite
from recpref.leaderboard.tables import replacing, write, write_failures


@dataclass(frozen=True)
class Board:
    """Where to write, and what to say beside the rows. ``wrong`` is what is wrong with the claims."""

    place: Path
    story: Story
    claims: Sequence[Claim] = ()
    wrong: Sequence[str] = ()

    @classmethod
    def of_suite(cls, suite: Suite, command: str, place: Path) -> Board:
        """The board of a suite in the folder ``place``."""
        story = Story(suite.title, " ".join([suite.about, suite.budget]).strip(), command, curves=suite.curves)
        return cls(place, story, *_claims())

    @classmethod
    def of_runs(cls, command: str, out: str) -> Board:
        """The board of any runs."""
        return cls(Path(out).expanduser(), Story("Runs side by side", "Any set of runs, as they were found.", command), *_claims())

    def write(self, rows: Sequence[Row], notes: Sequence[str]) -> None:
        """All files, each in one step; the page only where what it needs is installed."""
        notes = [*notes, *strangers(rows), *undrawn(rows, self.story.curves), *self.wrong]
        write(self.place, self.story.title, rows, notes)
        if not lacking():
            with replacing(self.place / "leaderboard.html") as partial:
                partial.write_text(page(rows, replace(self.story, notes=notes)))

    def write_jobs(self, jobs: Iterable[Job]) -> list[Row]:
        """What the finished jobs of a suite show, and what became of the others."""
        jobs = list(jobs)
        finished = {job.path: job for job in jobs if job.state == "finished" and job.path is not None}
        labels, wanted, grids = _said_by_suite(jobs)
        found, wrong = whole_rows(finished, labels=labels, wanted=wanted)
        rows = self.finished([replace(row, grid=grids.get(row.digest, "")) for row in found])
        failures = [(job.experiment, job.error) for job in jobs if job.error]
        self.write(rows, [*_notes(jobs), *wrong])
        write_failures(self.place, failures)
        return rows

    def finished(self, rows: Sequence[Row]) -> list[Row]:
        """Rows with the papers' claims, with where they stand, and with labels that tell them apart."""
        with_claims = [
            replace(row, claims=claimed(row.plan, row.sizes, row.means, self.claims, first=row.headline)) if self.claims else row
            for row in rows
        ]
        return with_standings(told_apart(with_claims))


def _claims() -> tuple[list[Claim], list[str]]:
    """The claims that ship, and what is wrong with some: a broken file costs the claims, and nothing else."""
    file = papers.file()
    if not file.is_file():
        return [], []
    try:
        return papers.read(file)
    except ValueError as error:
        return [], [str(error)]


def _said_by_suite(jobs: Sequence[Job]) -> tuple[dict[str, str], dict[str, list[int]], dict[str, str]]:
    """By the digest of a plan on its data: what the suite calls the model, the seeds it asks for, and its grid."""
    labels: dict[str, str] = {}
    wanted: dict[str, list[int]] = {}
    grids: dict[str, str] = {}
    for job in jobs:
        if job.path is not None:
            digest = job.path.name.partition("-s")[0]
            labels.setdefault(digest, job.experiment.model)
            grids.setdefault(digest, job.experiment.grid)
            wanted.setdefault(digest, []).append(job.experiment.seed)
    return labels, wanted, grids


def _notes(jobs: Sequence[Job]) -> list[str]:
    """One line a reason; experiments of one reason together."""
    reasons: dict[str, list[str]] = {}
    for job in jobs:
        if job.error:
            reasons.setdefault(job.error, []).append(job.name)
    left = sum(job.state in ("new", "interrupted") for job in jobs)
    lines = [f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {error}" for error, names in reasons.items()]
    return [*([f"{left} experiments are still to be run"] if left else []), *lines]
