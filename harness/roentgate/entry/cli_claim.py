"""The command ``claim``, which checks published figures.

Their arithmetic is checked always, and a model's own figures are compared with them if a model is named.
"""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from roentgate.entry.cli_options import DEFAULT_POLICY
from roentgate.errors import ArgumentError

if TYPE_CHECKING:
    from roentgate.checks import Claims
    from roentgate.stats import Verdict


def report(parsed: argparse.Namespace) -> tuple[str, bool]:
    """Return the report as markdown and whether all figures hold.

    Figures hold if they can all be true together and the named model, if any, reproduces them.

    Raises:
        HarnessError: The file is at fault, the data have other classes or rows, or the model cannot be made ready.
    """
    from roentgate.checks import claim_consistency, read_claims
    from roentgate.report import claims as claims_page

    claims = read_claims(Path(parsed.file))
    _check_card(claims, parsed.data)
    reproduced, model = _reproduced(parsed, claims) if parsed.model else ([], "")
    findings = claim_consistency.examine_all(claims)
    text = claims_page.page(claims, findings, _command(parsed), reproduced, model)
    return text, findings[-1].consistent and all(accepted for *_, accepted in reproduced)


def _command(parsed: argparse.Namespace) -> str:
    command = ["python", "-m", "roentgate", "claim", parsed.file]
    defaults = {"model": None, "data": None, "weights": None, "policy": DEFAULT_POLICY, "gate": "simple", "seed": 0}
    for option, default in {**defaults, "image_size": None}.items():
        if (given := getattr(parsed, option)) != default:
            command += [f"--{option.replace('_', '-')}", str(given)]
    return shlex.join(command)


def _check_card(claims: "Claims", data: str | None) -> None:
    """Refuse claims about other classes than those of their data card.

    Claims that name no data set are not checked.
    """
    from roentgate.data import find_card, phantom

    spec = data or claims.data
    if spec and spec not in phantom.VARIANTS:
        card = find_card(spec, Path("data"))
        if card.classes is not None:
            claims.check_classes(card.classes, f"data '{card.name}'")


def _reproduced(parsed: argparse.Namespace, claims: "Claims") -> tuple[list[tuple[str, "Verdict", bool]], str]:
    """Return (subject, verdict, accepted) per figure, and what was judged."""
    from roentgate.candidates import Options
    from roentgate.checks import claim_reproduction
    from roentgate.session import Settings, new_run_id, open_session, parse_size

    if not (data := parsed.data or claims.data):
        raise ArgumentError(f"claims '{parsed.file}': name no data to judge '{parsed.model}' on; pass --data NAME")
    root, weights = Path.cwd(), Path(parsed.weights) if parsed.weights else None
    size, run_id = parse_size(parsed.image_size), new_run_id()
    options = Options(models=root / "models", seed=parsed.seed, image_size=size, weights=weights, run_id=run_id)
    settings = Settings(
        models=(parsed.model,),
        data=data,
        root=root,
        policy=Path(parsed.policy).resolve(),
        gate=parsed.gate,
        reports=root / "reports",
        options=options,
        claims=Path(parsed.file),
    )
    session = open_session(settings)
    claims.check_classes(session.classes, f"data '{session.card.name}'")
    session.check_claims(parsed.model)
    found = claim_reproduction.verdicts(claims, session.evidence(parsed.model).test, session.policy.claims)
    rows = [(subject, verdict, verdict.accepted(parsed.gate)) for subject, verdict in found]
    session.forget()
    return rows, f"{session.candidate(parsed.model).name} on {session.card.name}"
