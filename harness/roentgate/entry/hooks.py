"""The pytest hooks of an acceptance run."""

import contextlib
import json
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pytest

from roentgate.entry.items import (
    ROWS,
    Recorded,
    is_ours,
    names_of,
    numbered,
    parameter_of,
    problem_with,
    recorded,
    sentence_on,
    subject_of,
    suite_tests,
)
from roentgate.entry.usage import left_out_by, refuse_idle, usage_errors
from roentgate.errors import HarnessError
from roentgate.policy import unasked
from roentgate.process import one_thread

if TYPE_CHECKING:
    from types import ModuleType

    from roentgate.scorecard import Row
    from roentgate.stats import Verdict

    class WorkerController(Protocol):
        """The used part of xdist's untyped class of this name."""

        workerinput: dict[str, Any]


_NAMED = ("pair", "two_splits", "border_probe", "pixel_probe")
"""Parameters whose values need ids, because pytest would only number them."""


class Hooks:
    """The hooks of an acceptance run in one process.

    Args:
        config: pytest's configuration, with at least one ``--model``.
    """

    def __init__(self, config: pytest.Config) -> None:
        one_thread()
        from roentgate.session import Logbook, open_session, read_settings

        self.config = config
        self.is_worker = hasattr(config, "workerinput")
        with usage_errors():
            self.session = open_session(read_settings(config))
            refuse_idle(config, self.session.settings)
        self.logbook = Logbook(self.session, getattr(config, "workerinput", {}).get("roentgate_ledger"))
        self.rows: dict[str, list[Recorded]] = {name: [] for name in self.session.members}
        self.partial: list[str] = []
        self.collected: set[str] = set()
        self.answered: set[str] = set()
        self.finished: set[str] = set()
        self.passes = 0
        self.seconds: dict[str, float] = {}
        self.summary: list[str] = []
        self._fault: HarnessError | None = None
        self._order: dict[str, int] = {}
        self._suites: set[str] = set()
        self._made: set[str] = set()
        self._over: set[str] = set()
        self._gathered: set[str] = set()
        self._policies: set[str] = set()

    # Collection

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Ignore an optional suite whose option is not given."""
        return True if self._is_unasked(collection_path) else None

    def _is_unasked(self, path: Path) -> bool:
        return unasked(path, self.session.settings) is not None

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Parametrise a suite's test, and keep an error until all are collected."""
        try:
            self._own_table(metafunc.module)
            for name, values, ids in self._parameters():
                if name in metafunc.fixturenames:
                    metafunc.parametrize(name, values, ids=ids, scope="session" if name == "model_name" else None)
        except HarnessError as error:
            self._fault = self._fault or error

    def _parameters(self) -> Iterator[tuple[str, list[object], list[str] | None]]:
        """Yield (fixture name, values, ids) of all possible parameters."""
        from roentgate.session import axes, name_of

        yield "model_name", list(self.session.members), None
        for name, values in axes(self.session.policy, self.session.classes).items():
            yield name, values, [name_of(value) for value in values] if name in _NAMED else None

    def _own_table(self, module: "ModuleType") -> None:
        """Add the policy table that a suite file defines as ``Bounds``."""
        from roentgate.policy import Table

        name = Path(str(module.__file__)).stem.removeprefix("test_")
        bounds = getattr(module, "Bounds", None)
        if name not in self._suites and isinstance(bounds, type) and issubclass(bounds, Table):
            self.session.policy.add(name, bounds)
        self._suites.add(name)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Remember every test, so that one deselected later is noticed."""
        if is_ours(getattr(item, "fixturenames", ())):
            self._made.add(item.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Number the tests in the order of the suites, for their rows."""
        self._order = numbered(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note tests that were left out, and check the policy."""
        self.collected = {item.nodeid for item in suite_tests(session.items)}
        left_out = len(self._made - self.collected)
        if left_out:
            self._note_partial(f"{left_out} tests were deselected")
        if self.collected:
            self._note_absent_suites(session.items)
            try:
                self._check_policy()
            except HarnessError as error:
                if not self.is_worker:
                    raise pytest.UsageError(str(error)) from None
                self._note_partial(str(error))  # a worker's usage error would not reach the terminal
                session.items.clear()
                self.collected.clear()

    def _check_policy(self) -> None:
        if self._fault is not None:
            raise self._fault
        self.session.policy.check_owned(
            self._suites | {path.stem.removeprefix("test_") for path in self._suite_files()}
        )
        if self.session.settings.claims is not None:
            data = f"data '{self.session.card.name}'"
            self.session.claims.check_classes(self.session.classes, data)  # before any training

    def _suite_files(self) -> list[Path]:
        """Return the suite files in the folder of the policy."""
        return sorted(self.session.settings.policy.parent.glob("test_*.py"))

    def _note_absent_suites(self, items: Sequence[pytest.Item]) -> None:
        """Note suite files beside the policy without a test in this run."""
        tested = {item.path.resolve() for item in items}
        for path in self._suite_files():
            if path.resolve() not in tested and not self._is_unasked(path):
                self._note_partial(f"no test of {path.name} is part of this run")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a suite that could not be collected."""
        if report.failed:
            self._note_partial(f"{report.nodeid} could not be collected")

    def _note_partial(self, reason: str) -> None:
        if reason not in self.partial:
            self.partial.append(reason)

    # Before the tests

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Train or load every model before the first test, in one process."""
        wanted = bool(self.collected) or session.config.pluginmanager.hasplugin("dsession")
        if self.is_worker or not wanted or self.config.option.collectonly or session.testsfailed:
            return
        from roentgate.report import write

        self.session.store.sweep()
        with usage_errors():
            self.logbook.begin()
            write.clear(self.session)  # an older outcome must not be taken for this run's
            self.session.check_follow_seeds()
            if self.session.settings.reference is not None:
                self.session.reference  # noqa: B018 - makes it ready, before this run writes reports
            for name in self.session.members:
                self.session.candidate(name)
                self.session.check_claims(name)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: "WorkerController") -> None:
        """Tell a worker which run it belongs to."""
        node.workerinput["roentgate_run"] = self.session.settings.options.run_id
        with contextlib.suppress(HarnessError):  # raised again before the first test
            node.workerinput["roentgate_ledger"] = self.logbook.upto

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        """Add what a worker collected, left out and computed."""
        output = getattr(node, "workeroutput", {}).get("roentgate")
        if output is None:
            self._note_partial("a worker process died" if error else "a worker process reported nothing")
            return
        worker = json.loads(output)
        self.collected.update(worker["collected"])
        for reason in worker["partial"]:
            self._note_partial(reason)
        if worker["policy"] not in (None, *self._policies) and self._policies:
            self._note_partial("worker processes judged under different policies")
        self._policies |= {worker["policy"]} - {None}
        self.passes += worker["passes"]
        self.seconds |= worker["seconds"]

    # During a test

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip a check whose needs are not met, and record why."""
        name = parameter_of(item, "model_name")
        if name is not None and (reason := self._lacking(item, name)):
            from roentgate.stats import skipped

            self.record(item, name, skipped(reason), "")
            pytest.skip(reason)

    def _lacking(self, item: pytest.Item, model: str) -> str:
        """Return why a test's declared needs are not met, or ""."""
        needs = [capability for marker in item.iter_markers("needs") for capability in marker.args]
        return next((reason for capability in needs if (reason := self.session.lacks(model, capability))), "")

    def record(self, item: pytest.Item, model: str, verdict: "Verdict", subject: str) -> None:
        """Add a row to a test's report, refusing a skip without need."""
        from roentgate.session import row_of

        suite, check = names_of(item)
        row = row_of(verdict, suite=suite, check=check, subject=subject, gate=self.session.settings.gate)
        if verdict.outcome == "skipped" and not self._excused(item, model, check):
            from roentgate.scorecard import empty_row

            detail = f"{verdict.detail}; the policy accepts no skip here"
            row = empty_row(
                suite=suite, check=check, subject=subject, reason="skip_not_allowed", outcome="skipped", detail=detail
            )
        self._append(item, model, row)

    def _excused(self, item: pytest.Item, model: str, check: str) -> bool:
        return bool(self._lacking(item, model)) and check not in self.session.policy.gate.never_skip

    def is_over(self, item: pytest.Item) -> bool:
        """Whether a test has ended, so that a verdict is too late."""
        return item.nodeid in self._over

    def _append(self, item: pytest.Item, model: str, row: "Row") -> None:
        order = self._order.get(item.nodeid, len(self._order))
        entry = {"id": f"{item.nodeid} {len(item.user_properties)}", "model": model, "order": order, "row": row}
        item.user_properties.append((ROWS, json.dumps(entry)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Fail a test at its end if any row is not accepted."""
        try:
            yield
        finally:
            self._over.add(item.nodeid)
        if not is_ours(getattr(item, "fixturenames", ())):
            return
        entries = recorded(item.user_properties)
        if not entries:
            pytest.fail("recorded no verdict: call accept(...)", pytrace=False)
        refused = [
            entry["row"] for entry in entries if not entry["row"]["accepted"] and self.session.decides(entry["model"])
        ]
        if refused:
            pytest.fail("\n".join(sentence_on(row) for row in refused), pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Record a refused row for a crash, undeclared skip or xfail."""
        report = yield
        model = parameter_of(item, "model_name")
        if model is None or call.when == "teardown":
            return report
        if call.excinfo is not None and isinstance(call.excinfo.value, HarnessError):
            report.longrepr = str(call.excinfo.value)
        if problem := problem_with(item, call, report):
            from roentgate.scorecard import empty_row

            suite, check = names_of(item)
            reason, detail = problem
            outcome: Literal["fail", "skipped"] = "skipped" if reason == "skip_not_allowed" else "fail"
            row = empty_row(
                suite=suite, check=check, subject=subject_of(item), reason=reason, outcome=outcome, detail=detail
            )
            self._append(item, model, row)
            report.user_properties = list(item.user_properties)
        return report

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show a test with a conditional pass as such."""
        outcomes = {entry["row"]["outcome"] for entry in recorded(getattr(report, "user_properties", []))}
        if report.when == "call" and report.passed and "conditional_pass" in outcomes:
            return "conditional pass", "?", ("CONDITIONAL PASS", {"yellow": True})
        return None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the rows of this process or of a worker's report."""
        entries = recorded(report.user_properties)
        if report.when == "teardown":
            if report.failed:
                self._note_partial(f"{report.nodeid} failed in its teardown")
            if report.nodeid in self.answered:
                self.finished.add(report.nodeid)
            return
        if report.when == "setup" and report.passed:
            return
        self.answered.add(report.nodeid)
        for entry in entries:  # a subtest's report repeats the rows before it
            if (name := f"{getattr(report, 'node', '')} {entry['id']}") not in self._gathered:
                self._gathered.add(name)
                self.rows[entry["model"]].append(entry)

    # At the end

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the scorecards and set the exit status, 0 if all are accepted."""
        self._note_own_work()
        if self.is_worker:
            output = {name: getattr(self, name) for name in ("partial", "passes", "seconds")}
            output["collected"] = sorted(self.collected)
            output["policy"] = self.session.policy.fingerprint if self.collected else None
            self.config.workeroutput["roentgate"] = json.dumps(output)  # type: ignore[attr-defined]
        elif self.config.option.collectonly or not (self.collected or any(self.rows.values())):
            self.summary = [*self.partial, "partial run, not a gate: nothing was judged"]
            if exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        elif exitstatus != pytest.ExitCode.USAGE_ERROR:
            self._find_gaps(exitstatus)
            if not self._close() and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _close(self) -> bool:
        """Write the scorecards and return whether every model was accepted."""
        from roentgate.report import write

        judged = {
            name: [entry["row"] for entry in sorted(entries, key=lambda entry: entry["order"])]
            for name, entries in self.rows.items()
            if name in self.session.candidates
        }
        try:
            accepted, self.summary = write.scorecards(
                write.RunResult(
                    session=self.session,
                    rows=judged,
                    partial=self.partial,
                    passes=self.passes,
                    seconds=self.seconds,
                    policy=next(iter(self._policies), None) or self.session.policy.fingerprint,
                    logbook=self.logbook,
                )
            )
        except (HarnessError, OSError) as error:
            self.summary = [f"no scorecard: {error}"]
            return False
        absent = [name for name in self.rows if name not in judged]
        self.summary += [f"{name}: no scorecard, the model was not made ready" for name in absent]
        self.session.forget()
        return accepted and not absent

    def _note_own_work(self) -> None:
        for reason in self.session.unsteady() if self.is_worker else ():
            self._note_partial(reason)
        for name, candidate in self.session.candidates.items():
            self.passes += candidate.passes
            self.seconds |= {f"{name}: {what}": value for what, value in candidate.seconds.items()}

    def _find_gaps(self, exitstatus: int) -> None:
        for reason in left_out_by(self.config):
            self._note_partial(reason)
        if exitstatus not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            self._note_partial("the run did not reach its end")
        unfinished = self.collected - self.finished
        if unfinished:
            self._note_partial(f"{len(unfinished)} collected tests reported nothing")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a compact table and the path of each scorecard."""
        if self.summary and not self.is_worker:
            terminalreporter.section("roentgate", sep="=")
            for line in self.summary:
                terminalreporter.write_line(line)
