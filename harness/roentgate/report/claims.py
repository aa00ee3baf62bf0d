"""The page on published figures.

It says which of them can be true together and which a model reproduces.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tabulate import tabulate

from roentgate.checks import LN2, UNCOUNTED, Claims, Figure, Finding, Matrix, agreeing
from roentgate.report.render import fenced
from roentgate.scorecard import DISCLAIMER, escape, in_words
from roentgate.stats import Verdict

ASKED: Final = (
    "A printed figure stands for every number that is rounded to it, a half either way. Figures can be true together "
    "if a confusion matrix of whole images, with so many of each class, gives all of them. Where none does, one of "
    "them is wrong, or they are not about the same answers on these images: another training, another split, another "
    "threshold. Which it is, arithmetic cannot tell."
)
UNDECIDED: Final = {
    "auc": "an AUC follows from the order of the scores and not from the counts: no matrix can confirm or refute it",
    "micro_auc": "the micro AUC, too, follows from the order of the scores: no matrix can confirm or refute it",
    "loss": "a loss follows from the probabilities; counts bound it from below only, since a wrong image has at most "
    "1/2 on its true class and so costs log 2 or more",
    "macro_precision": "macro precision is a sum of ratios: it is held against printed precisions only",
    "macro_f1": "macro F1 is a sum of ratios: it is held against printed F1s only",
}
REPRODUCTION: Final = (
    "Each figure against this model's own. `fail`: the 95 % interval holds no number that is printed so. `pass`: it "
    "does, and nothing in it is further from the print than the policy's tolerance. Conditional: it does, but reaches "
    "further, so these images cannot tell. It is a `conditional pass`, which the simple rule accepts, where the "
    "model's own figure is within the tolerance."
)


def page(
    claims: Claims,
    findings: Sequence[Finding],
    command: str,
    reproduced: Sequence[tuple[str, Verdict, bool]] = (),
    model: str = "",
) -> str:
    """Return the page as markdown with every name escaped.

    Args:
        claims: What was published.
        findings: From `roentgate.checks.claim_consistency.examine_all`.
        command: The command that made the page.
        reproduced: (subject, verdict, whether it is accepted) of every figure; empty if no model was judged.
        model: The judged model and its data, as text.
    """
    counts = ", ".join(f"{count:,} {label}" for label, count in claims.counts.items())
    whole = findings[-1]
    several = len(claims.figures) > 1
    can = f"{'can' if whole.consistent else 'cannot'} {'all be true together' if several else 'be true'}"
    parts = [
        f"# Claims: {escape(claims.title or claims.source.stem)}",
        f"**{len(claims.figures)} figure{'s' if several else ''} in {_places(claims)} {can}**, of one set of answers "
        f"on {sum(claims.counts.values()):,} images: {escape(counts)}.",
        ASKED,
        "## What can be true together",
        _bullets(_together(claims, findings)),
        "## Place by place",
        _table(
            ["place", "figures", "possible", "right answers, or what excludes it"],
            [_line(claims, finding) for finding in findings if len(finding.places) == 1],
        ),
        "## What counts cannot settle",
        _bullets(_unsettled(claims)) or "Nothing: every figure is a function of the counts.",
    ]
    if reproduced:
        lines = [
            [
                escape(subject),
                ("" if accepted else "not accepted: ") + in_words(verdict.outcome),
                escape(verdict.detail),
            ]
            for subject, verdict, accepted in reproduced
        ]
        parts += [f"## Reproduced by {escape(model)}?", REPRODUCTION, _table(["figure", "outcome", "found"], lines)]
    return "\n\n".join([*parts, "Made by:", fenced([command]), DISCLAIMER]) + "\n"


def _places(claims: Claims) -> str:
    return f"{len(claims.places)} places" if len(claims.places) > 1 else "1 place"


def _together(claims: Claims, findings: Sequence[Finding]) -> Iterator[str]:
    by_places = {finding.places: finding for finding in findings}
    for places in agreeing(claims, findings):
        finding = by_places.get(places)
        names = " and ".join(f"*{escape(place)}*" for place in places)
        alone = len(places) == 1
        text = f"{names} {'is possible' if alone else 'agree'}"
        if alone and len(claims.places) > 1:
            text += ", but with no other place"
        if finding is not None and finding.witness is not None:
            text += f": {_right(claims, finding)}, for example\n\n{_indented(_matrix(claims, finding.witness))}"
        yield text
    for finding in findings:
        if not finding.consistent and len(finding.places) < 3:
            names = " and ".join(f"*{escape(place)}*" for place in finding.places)
            verb = "is impossible" if len(finding.places) == 1 else "conflict"
            yield f"{names} {verb}: {escape('; '.join(finding.reasons))}"
    if not (findings[-1].consistent or any(not finding.consistent for finding in findings[:-1])):
        yield f"All of them conflict, though no two do: {escape('; '.join(findings[-1].reasons))}"


def _line(claims: Claims, finding: Finding) -> list[str]:
    figures = ", ".join(f"{figure.name} {figure.text}" for figure in finding.figures)
    result = _right(claims, finding) if finding.consistent else escape("; ".join(finding.reasons))
    return [escape(finding.subject), escape(figures), "yes" if finding.consistent else "**no**", result]


def _right(claims: Claims, finding: Finding) -> str:
    total, (least, most) = sum(claims.counts.values()), finding.right
    if least == most:
        return f"{least:,} of {total:,} right, an accuracy of {least / total:.4f}"
    return f"{least:,} to {most:,} of {total:,} right, an accuracy of {least / total:.4f} to {most / total:.4f}"


def _unsettled(claims: Claims) -> Iterator[str]:
    for kind in sorted(UNCOUNTED & {figure.kind for figure in claims.figures}, key=list(UNDECIDED).index):
        printed = [figure for figure in claims.figures if figure.kind == kind]
        places = ", ".join(f"{figure.text} ({figure.place})" for figure in printed)
        text = f"{printed[0].name} {places}: {UNDECIDED[kind]}"
        yield escape(text + (_loss_bound(claims, printed) if kind == "loss" else ""))


def _loss_bound(claims: Claims, printed: Iterable[Figure]) -> str:
    total = sum(claims.counts.values())
    bounds = [f"{figure.text} allows at most {min(int(figure.high * total / LN2), total):,}" for figure in printed]
    return f"; of {total:,} images, {' and '.join(bounds)} wrong"


def _matrix(claims: Claims, witness: Matrix) -> str:
    labels = [escape(label) for label in claims.counts]
    lines = [[label, *map(str, row)] for label, row in zip(labels, witness, strict=True)]
    return _table(["true class, and what it is predicted as", *labels], lines)


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return str(tabulate(lines, headers=header, tablefmt="pipe", disable_numparse=True))


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
