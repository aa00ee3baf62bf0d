"""Run the suites on several models in a separate process, as a user does."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from roentgate.errors import HarnessError
from roentgate.scorecard import Record
from roentgate.scorecard import record as scorecard
from roentgate.session import folder_name


def run(
    models: Sequence[str],
    data: str,
    seed: int,
    *,
    reports: Path,
    name: str,
    extra: Sequence[str] = (),
    quiet: bool = False,
) -> list[Record]:
    """Judge models with one seed and return their records, in order.

    Args:
        models: As for ``--model``, each once.
        data: As for ``--data``.
        seed: The seed of training.
        reports: The folder of these reports.
        name: The name of the data set.
        extra: Further options.
        quiet: Whether to capture the output of the run, and show its end only if the run fails.

    Raises:
        HarnessError: The run ended without a scorecard of each model, or was partial.
    """
    paths = [reports / name / folder_name(model) / scorecard.SCORECARD_FILE for model in models]
    for path in paths:
        path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "suites", "-q", "--no-header", "--tb=no", "--data", data]
    command += [argument for model in models for argument in ("--model", model)]
    command += ["--seed", str(seed), "--report-dir", str(reports), *extra]
    done = subprocess.run(command, check=False, capture_output=quiet, text=True)
    printed = f"{done.stdout or ''}{done.stderr or ''}".splitlines()
    last_lines = "".join(f"\n{line}" for line in printed[-8:])
    for model, path in zip(models, paths, strict=True):
        if not path.is_file():
            ended = f"the run ended with status {done.returncode} and without a scorecard"
            raise HarnessError(f"{model}, seed {seed}: {ended}{last_lines}")
    records = [scorecard.read(path) for path in paths]
    for model, record, path in zip(models, records, paths, strict=True):
        if not record["complete"]:
            partial = f"the run was partial, so its figures are not shown; see {path.parent}"
            raise HarnessError(f"{model}, seed {seed}: {partial}{last_lines}")
    return records
