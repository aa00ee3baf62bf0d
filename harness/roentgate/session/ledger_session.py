"""The test-set evaluations of one run, and their ledger."""

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from roentgate.candidates import Predictions
from roentgate.errors import HarnessError
from roentgate.scorecard import (
    Earlier,
    Evaluation,
    Ledger,
    Place,
    Record,
    accepted,
    counts,
    ledger,
    ordinal,
    some,
    test_set_reuse,
)
from roentgate.session.session import Session


class Logbook:
    """The test-set evaluations of one run.

    It knows what the ledger held when the run began, and appends the evaluations of the run at its end.

    Args:
        session: The run.
        upto: Size of the ledger in bytes when the run began, for a worker process. None reads it now.
    """

    def __init__(self, session: Session, upto: int | None = None) -> None:
        self.session = session
        self._upto = upto
        self._places: dict[str, Place] = {}

    @cached_property
    def path(self) -> Path:
        """The ledger of this data set, in the folder of its reports."""
        return self.session.settings.reports / self.session.card.name / ledger.FILE

    @cached_property
    def upto(self) -> int:
        """Size of the ledger in bytes when the run began.

        What other runs append later is not read.
        """
        return ledger.size(self.path) if self._upto is None else self._upto

    @cached_property
    def known(self) -> Ledger:
        """What the ledger held when the run began."""
        return ledger.read(self.path, upto=self.upto)

    @cached_property
    def images(self) -> str:
        """The digest of the test images and their labels."""
        return self.session.candidate(next(iter(self.session.members))).splits.test.content_digest

    def begin(self) -> None:
        """Read the ledger before anything is judged, and check that it is writable.

        Raises:
            ArgumentError: The ledger cannot be read or written.
        """
        ledger.check_writable(self.path)
        self.known  # noqa: B018 - read now, before other runs add to it

    def of(self, name: str) -> Place:
        """Return the place of a member among the models on these test images.

        The members before it on the command line count as judged before it.
        """
        if name not in self._places:
            candidate = self.session.candidate(name)
            found = ledger.earlier(self.known, images=self.images, fingerprint=candidate.fingerprint)
            self._places[name] = Place(
                name=candidate.name,
                before=self._before(name, found),
                unsure=found.damaged,
                n=len(candidate.splits.test),
                test=self._predictions(name),
                prior=self.session.card.prior_evaluations,
            )
        return self._places[name]

    def _before(self, name: str, found: Earlier) -> int:
        """Return how many other models were judged first.

        They were judged by earlier runs or in this run.
        """
        seen = {evaluation.fingerprint for evaluation in found.evaluations}
        if not found.known:
            earlier = itertools.takewhile(lambda member: member != name, self.session.members)
            own = self.session.candidate(name).fingerprint
            seen |= {self.session.candidate(other).fingerprint for other in earlier} - {own}
        return len(seen)

    def _predictions(self, name: str) -> Predictions | None:
        with contextlib.suppress(HarnessError):  # every row refuses such a model, but it was evaluated
            found: Predictions = self.session.evidence(name).test
            return found
        return None

    def section(self, name: str) -> list[str]:
        """Return what a scorecard says about its test-set evaluations.

        ``name`` is a member or a model with replicates.
        """
        if name in self.session.members:
            return test_set_reuse.section(self.of(name))
        return test_set_reuse.section_on_replicates(len(self.session.replicates(name)))

    def record(self, records: Mapping[str, Record], partial: Sequence[str]) -> Ledger:
        """Append an evaluation of every judged member, and return the new ledger.

        Members that were refused are recorded too.

        Args:
            records: The scorecard of each member that has a verdict.
            partial: Why this run is partial. If it is, no predictions are computed for the ledger alone.

        Raises:
            ArgumentError: The ledger cannot be read or written.
        """
        added = []
        for name in self.session.members:
            if name in records:
                test = vars(self.session.evidence(name)).get("test") if partial else self._predictions(name)
                added.append(
                    self._evaluation(name, test, accepted=accepted(records[name]), complete=records[name]["complete"])
                )
        ledger.append(self.path, added)
        return ledger.read(self.path)

    def _evaluation(self, name: str, test: Predictions | None, *, accepted: bool, complete: bool) -> Evaluation:
        candidate = self.session.candidate(name)
        recalls = {} if test is None else {label: counts(test, index) for index, label in enumerate(test.classes)}
        return Evaluation(
            time=ledger.now(),
            images=self.images,
            model=candidate.name,
            fingerprint=candidate.fingerprint,
            seed=candidate.task.seed,
            n=len(candidate.splits.test),
            right=None if test is None else sum(right for right, _ in recalls.values()),
            recalls=recalls,
            accepted=accepted,
            complete=complete,
        )

    def closing(self, name: str, recorded: Ledger) -> tuple[list[str], dict[str, object]]:
        """Return the place among the evaluations as lines and as data.

        The lines are for the terminal. Both may differ between two equal runs.

        Args:
            name: A judged member, or a model with replicates, whose last judged member counts.
            recorded: The ledger with the evaluations of this run.
        """
        total = [evaluation for evaluation in recorded.evaluations if evaluation.images == self.images]
        replicates = [name] if name in self.session.members else self.session.replicates(name)
        made, evaluated = self.session.candidates, {evaluation.fingerprint for evaluation in total}
        judged = [each for each in replicates if each in made and made[each].fingerprint in evaluated]
        member = (judged or replicates)[-1]
        found = ledger.earlier(recorded, images=self.images, fingerprint=self.session.candidate(member).fingerprint)
        prior, models = self.session.card.prior_evaluations, len(ledger.firsts(recorded, self.images))
        now = prior + len(found.evaluations) + 1
        place = test_set_reuse.place_words(now, prior=prior) if found.known else "not counted: nothing was judged"
        lines = [f"{place}; by now it records {some(models, 'model')} in {some(len(total), 'evaluation')}"]
        if found.known and member in self._places and self._places[member].models != now:
            lines.append(
                f"other runs evaluated models meanwhile: this is the {ordinal(now)} model by the ledger; judge it "
                "again for a scorecard that says so"
            )
        if damage := ledger.damage_words(recorded):
            lines.append(damage)
        data = {
            "place": now,
            "models": models,
            "prior_evaluations": prior,
            "evaluations": len(total),
            "damaged_lines": list(recorded.damaged),
        }
        return lines, data
