"""The looks of one run at its test images: what the ledger held at its start, and what the run adds at its end."""

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
    """The looks of one run: what the ledger held at its start, and what the run adds at its end.

    Args:
        session: The run.
        upto: Bytes of the ledger at its start, for a worker process; None looks now.
    """

    def __init__(self, session: Session, upto: int | None = None) -> None:
        self.session = session
        self._upto = upto
        self._places: dict[str, Place] = {}

    @cached_property
    def path(self) -> Path:
        """The ledger of this data set, beside its reports."""
        return self.session.settings.reports / self.session.card.name / ledger.FILE

    @cached_property
    def upto(self) -> int:
        """Bytes of the ledger when the run began; what other runs add meanwhile is theirs to tell."""
        return ledger.size(self.path) if self._upto is None else self._upto

    @cached_property
    def known(self) -> Ledger:
        """What the ledger held when the run began."""
        return ledger.read(self.path, upto=self.upto)

    @cached_property
    def images(self) -> str:
        """The test images, by content and label."""
        return self.session.candidate(next(iter(self.session.members))).splits.test.content_digest

    def begin(self) -> None:
        """Read the ledger before anything is judged, and make sure that it can be added to.

        Raises:
            ArgumentError: It cannot be read or written.
        """
        ledger.check_writable(self.path)
        self.known  # noqa: B018 - read now, so that it is what was there at the start

    def of(self, name: str) -> Place:
        """Return where a member of this run stands; those before it on the command line were judged before it."""
        if name not in self._places:
            candidate = self.session.candidate(name)
            found = ledger.earlier(self.known, images=self.images, fingerprint=candidate.fingerprint)
            self._places[name] = Place(
                name=candidate.name,
                before=self._before(name, found),
                unsure=found.damaged,
                n=len(candidate.splits.test),
                test=self._answers(name),
            )
        return self._places[name]

    def _before(self, name: str, found: Earlier) -> int:
        """Return how many other models were judged first, in the ledger or in this run."""
        seen = {evaluation.fingerprint for evaluation in found.evaluations}
        if not found.known:
            earlier = itertools.takewhile(lambda member: member != name, self.session.members)
            own = self.session.candidate(name).fingerprint
            seen |= {self.session.candidate(other).fingerprint for other in earlier} - {own}
        return len(seen)

    def _answers(self, name: str) -> Predictions | None:
        with contextlib.suppress(HarnessError):  # a model that does not answer is refused by every row; it has looked
            found: Predictions = self.session.evidence(name).test
            return found
        return None

    def words(self, name: str) -> list[str]:
        """Return what a scorecard says of the looks at its test images; ``name`` is a member or a replicated model."""
        if name in self.session.members:
            return test_set_reuse.words(self.of(name))
        return test_set_reuse.words_on_replicates(len(self.session.replicates(name)))

    def record(self, records: Mapping[str, Record], partial: Sequence[str]) -> Ledger:
        """Append a look of every judged member, refused or not; return the ledger with them.

        Args:
            records: The scorecard of each member that any verdict was recorded on.
            partial: Why this run is no gate; answers that it did not come to ask for are not asked for now.

        Raises:
            ArgumentError: The ledger cannot be read or written.
        """
        added = []
        for name in self.session.members:
            if name in records:
                asked = vars(self.session.evidence(name)).get("test") if partial else self._answers(name)
                added.append(
                    self._evaluation(name, asked, accepted=accepted(records[name]), complete=records[name]["complete"])
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

    def closing(self, name: str, held: Ledger) -> tuple[list[str], dict[str, object]]:
        """Return what may differ between two equal runs: lines for the terminal, and the same as data.

        Args:
            name: A member that was judged, or a model with replicates, of which the last judged one speaks.
            held: The ledger with this run's looks.
        """
        total = [evaluation for evaluation in held.evaluations if evaluation.images == self.images]
        replicates = [name] if name in self.session.members else self.session.replicates(name)
        made, looked = self.session.candidates, {evaluation.fingerprint for evaluation in total}
        judged = [each for each in replicates if each in made and made[each].fingerprint in looked]
        member = (judged or replicates)[-1]
        found = ledger.earlier(held, images=self.images, fingerprint=self.session.candidate(member).fingerprint)
        models, now = len(ledger.firsts(held, self.images)), len(found.evaluations) + 1
        place = (
            f"{ordinal(now)} model judged on these test images" if found.known else "not counted: nothing was judged"
        )
        lines = [f"{place}; by now {some(models, 'model')} in {some(len(total), 'evaluation')}"]
        if found.known and member in self._places and self._places[member].models != now:
            lines.append(
                f"other runs looked meanwhile: this is the {ordinal(now)} model by the ledger; judge it again for a "
                "scorecard that says so"
            )
        if words := ledger.damage_words(held):
            lines.append(words)
        data = {"place": now, "models": models, "evaluations": len(total), "damaged_lines": list(held.damaged)}
        return lines, data
