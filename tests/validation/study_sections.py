"""Sections of the statistics report: tables and sentences with computed numbers."""

import statistics
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from tests.validation.exact import ADDITIONS, GATES, Entry, cell
from tests.validation.study import (
    AREAS,
    CEILING,
    FLIPS,
    FLOOR,
    FOLLOWED,
    FURTHER_PROMISE,
    GATE_ROWS,
    GATE_TRUTHS,
    MARGIN,
    SWAP_CEILING,
    Tables,
)

FOLDER = "statistics"
"""The folder of the figures, in the folder of the report."""


def areas(tables: Tables) -> list[str]:
    """Return the section on misses of the AUROC's interval."""
    lines = [line for line in tables["areas"] if line["shape"] == "normal"]
    other_shapes = [line for line in tables["areas"] if line["shape"] != "normal"]
    separated = [line for line in tables["areas"] if cell(line, "separated") > 0]
    number = sum(cell(line, "separated") * cell(line, "draws") for line in separated)
    wrong = sum(
        cell(line, "separated") * cell(line, "draws") * cell(line, "separated_macro_over") for line in separated
    )
    header = ["images a class", *(f"area {area:g}" for area in AREAS)]
    counts = list(dict.fromkeys(str(line["counts"]) for line in lines))

    totals = {name: [sum(sides(line, name)) for line in lines] for name in ("macro", "bootstrap")}

    def pivot(method: str) -> str:
        return table(
            header, [[name, *(_two(line, method) for line in lines if line["counts"] == name)] for name in counts]
        )

    return [
        "Normal scores of equal spread, two classes and three. Both sides together, the interval that decides misses "
        f"in {_range(totals['macro'])} of draws, the percentile bootstrap in {_range(totals['bootstrap'])}. Misses "
        "over / under in per cent, as decided on:",
        pivot("macro"),
        "The percentile bootstrap, resampled within each class, on the same draws:",
        pivot("bootstrap"),
        f"A sample that separates the classes perfectly came up in {number:,.0f} draws. There the bootstrap's interval "
        f"is [1, 1] and misses every time; Newcombe's lay over the truth in "
        f"{percent(wrong / number if number else 0)}. With unequal spread and with skewed scores:",
        table(
            ["scores", "images a class", "true area", "as decided on", "bootstrap"],
            [
                [
                    str(line["shape"]),
                    str(line["counts"]),
                    f"{cell(line, 'truth'):g}",
                    _two(line, "macro"),
                    _two(line, "bootstrap"),
                ]
                for line in other_shapes
            ],
        ),
    ]


def grouped(tables: Tables) -> list[str]:
    """Return the section on several images of a patient."""
    methods = ("grouped", "naive", "bootstrap")
    rows = []
    for groups in dict.fromkeys(line["groups"] for line in tables["grouped"]):
        for images in (3, "1 to 9"):
            lines = [line for line in tables["grouped"] if (line["groups"], line["images"]) == (groups, images)]
            rows.append([str(groups), str(images), *(_worst_two(lines, method) for method in methods)])
    areas = [
        [
            str(line["counts"]),
            f"{cell(line, 'icc'):g}",
            f"{cell(line, 'truth'):g}",
            *(_two(line, method) for method in ("macro", "naive", "bootstrap")),
        ]
        for line in tables["grouped_areas"]
    ]
    return [
        "Shares, beta-binomial patients: worst misses over / under in per cent, of correlations 0, 0.3 and 0.6 and of "
        "true shares 0.80, 0.90 and 0.95.",
        table(["patients", "images of each", "Korn-Graubard", "Clopper-Pearson on images", "cluster bootstrap"], rows),
        "Areas, four images of a patient, two classes: misses over / under in per cent.",
        table(
            ["patients a class", "correlation", "true area", "as decided on", "images as if independent", "bootstrap"],
            areas,
        ),
    ]


def differences(tables: Tables) -> list[str]:
    """Return the section on differences, balanced accuracy, skill and losses."""
    rows = []
    for n in dict.fromkeys(line["n"] for line in tables["difference"]):
        lines = [line for line in tables["difference"] if line["n"] == n]
        bounds = ([line for line in lines if line["truth"] == bound] for bound in (SWAP_CEILING, -MARGIN))
        rows.append([str(n), _worst_two(lines, ""), *(_worst_two(bound, "") for bound in bounds)])
    balanced = [[str(line["counts"]), str(line["recalls"]), _two(line, "")] for line in tables["balanced"]]
    skill = []
    for counts in dict.fromkeys(line["counts"] for line in tables["skill"]):
        for how in ("independent", "nested"):
            lines = [line for line in tables["skill"] if (line["counts"], line["rows"]) == (counts, how)]
            skill.append([str(counts), how, _worst_two(lines, "kept")])
    return [
        "Tango's score interval of a paired difference, exact: worst misses over / under in per cent, of discordant "
        f"shares from 0.02 to 0.40, at all differences tried and at {SWAP_CEILING:+.2f}, where the shipped ceiling of "
        "`border_swap` lies (there a miss *under* would be a false pass), and at "
        f"{-MARGIN:+.2f}, the shipped margin of the comparison (there a miss *over* would be one).",
        table(["n", "all differences", f"at {SWAP_CEILING:+.2f}", f"at {-MARGIN:+.2f}"], rows),
        "Balanced accuracy, exact: over / under in per cent. A pass against a floor rests on the misses over.",
        table(["images a class", "true recalls", "over / under"], balanced),
        "Retained skill, drawn: worst over / under in per cent, of true recalls 0.80 and 0.95 on whole images and of 0 "
        "to 75 % retained skill. *Nested*: an image that is right when masked is right without the mask too. The "
        "interval is then wider than necessary, as its description says.",
        table(["images a class", "answers", "over / under"], skill),
        *_losses(tables),
    ]


def _losses(tables: Tables) -> list[str]:
    """Return the paragraphs on changes of areas, lost accuracy and gains."""
    areas = [
        [
            str(line["counts"]),
            f"{cell(line, 'area'):g}",
            f"{cell(line, 'truth'):+g}",
            f"{cell(line, 'shared'):g}",
            _two(line, "change"),
        ]
        for line in tables["area_changes"]
    ]
    by_setting: dict[tuple[object, ...], list[Entry]] = {}
    for line in tables["follow_changes"]:
        by_setting.setdefault((line["n"], line["reference"], line["candidate"]), []).append(line)
    follows = [
        [str(n), *(_worst_two(by_setting[n, *pair], "change") for pair in FOLLOWED)]
        for n in dict.fromkeys(n for n, *_ in by_setting)
    ]
    drops = [
        [
            str(line["counts"]),
            str(line["one_patient"] or "none"),
            f"{cell(line, 'lost'):g}",
            f"{cell(line, 'truth'):.2f}",
            _two(line, "drop"),
        ]
        for line in tables["drops"]
    ]
    gains = [
        [
            str(line["units"]),
            str(line["images"]),
            f"{cell(line, 'sharpened'):g}",
            f"{cell(line, 'truth'):.3f}",
            _two(line, "studentised"),
            _two(line, "bootstrap"),
        ]
        for line in tables["gains"]
    ]
    lent = [
        [
            str(line["counts"]),
            str(line["images"]),
            f"{cell(line, 'deciding'):g}",
            f"{cell(line, 'turned'):g}",
            f"{cell(line, 'truth'):.2f}",
            _two(line, "once"),
            _two(line, "replaced"),
        ]
        for line in tables["lent"]
    ]
    return [
        "Change of the macro AUROC of two models on the same images, drawn: over / under in per cent.",
        table(["images a class", "area", "change", "correlation of the scores", "over / under"], areas),
        "Change of the share of images that follow a border swap's donor, drawn, reference and candidate with donors "
        "of their own: worst over / under in per cent, if none and if 5 % go there with a donor of their own class.",
        table(["images", *(f"{before:g} before, {now:g} now" for before, now in FOLLOWED)], follows),
        "Net switches to the donor's class if donors differ, drawn: a share of the borders or backgrounds decides for "
        "those who wear them, the others never do. Each image gives its own once, and where a class has more than half "
        "of the images, the rest of it wears none. Over / under in per cent, and for donors drawn with replacement and "
        "not counted. Of patients with several images, all are alike as donors:",
        table(
            [
                "patients a class",
                "images of each",
                "donors that decide",
                "for",
                "truth",
                "each once",
                "with replacement",
            ],
            lent,
        ),
        "Balanced accuracy lost when images are changed, drawn: over / under in per cent. A miss *under* would be a "
        "false pass.",
        table(["images a class", "of them one patient's", "lost in each class", "true drop", "over / under"], drops),
        "What the right temperature saves in log loss, drawn, three classes, scores multiplied by so much (above 1: "
        "too sure); the images of a patient are all alike: over / under in per cent. A miss *under* would be a false "
        "pass.",
        table(
            ["images or patients", "images of each", "multiplied by", "true gain", "bootstrap-t", "percentiles"], gains
        ),
    ]


def probes(lines: Sequence[Entry]) -> list[str]:
    """Return the section on a model that is as good as several cheap probes."""
    failed, refused = (
        {name: _range([cell(line, f"{name}_{key}") for line in lines]) for name in ("folds", "test")}
        for key in ("under", "refused")
    )
    return [
        "`beats_trivial_probes` asks whether a model is better than the best of several probes. Here it is exactly as "
        "good as each of them. If the probe is chosen on train and validation images, as the check does, the model "
        f"fails by the whole interval in {failed['folds']} of draws, and the simple rule refuses it in "
        f"{refused['folds']}, which is right on average. If the best on the test images were taken, it would fail in "
        f"{failed['test']} and be refused in {refused['test']}.",
        table(
            ["test images a class", "correlation", "chosen on folds: passes / fails / refused", "best on test images"],
            [
                [
                    str(line["counts"]),
                    f"{cell(line, 'shared'):g}",
                    *(f"{_two(line, name)} / {percent(cell(line, f'{name}_refused'))}" for name in ("folds", "test")),
                ]
                for line in lines
            ],
        ),
    ]


def further(lines: Sequence[Entry]) -> list[str]:
    """Return the section on further images that settle a verdict."""
    reached = [cell(line, "settled") for line in lines]
    fewer = [cell(line, "one_fewer") for line in lines]
    averaged = [cell(line, "averaged") for line in lines]
    shown = [line for line in lines if line["n"] in {20, 40, 66, 100}][::5]
    signs = {"at_least": "≥", "at_most": "≤"}
    return [
        '"N further images, judged alone, would settle it with 80 % probability, if the rate stays" promises that N '
        f"new images at the observed rate settle it in {100 * FURTHER_PROMISE:.0f} % of draws. Summed exactly, for "
        f"{len(lines)} unsettled rows: in {percent(min(reached))} to {percent(max(reached))}; with one image fewer in "
        f"{percent(max(fewer))} at most. **{_holds(min(reached) >= FURTHER_PROMISE > max(fewer))}**",
        "The condition matters. The true rate is not the observed one; if it is known only from the images so "
        f"far (uniform prior), N more images settle the verdict in {percent(statistics.median(averaged))} of cases "
        f"(median; {percent(min(averaged))} to {percent(max(averaged))}). N is a plan, not a guarantee.",
        table(
            ["so far", "bound", "N", "settled, rate as observed", "settled, rate uncertain"],
            [
                [
                    f"{line['hits']} of {line['n']}",
                    f"{signs[str(line['direction'])]} {cell(line, 'bound'):.2f}",
                    f"{line['further']:,}",
                    percent(cell(line, "settled")),
                    percent(cell(line, "averaged")),
                ]
                for line in shown
            ],
        ),
    ]


def added(lines: Sequence[Entry]) -> list[str]:
    """Return the section on images that are added until a verdict is settled."""
    nearest = [line for line in lines if cell(line, "truth") == max(cell(each, "truth") for each in lines)]
    first, together, alone = (_range([cell(line, key) for line in nearest]) for key in ("first", "together", "alone"))
    return [
        f"To add images and judge again is a further attempt. A model just below a floor of {FLOOR:.2f} passes the "
        f"guarded rule in {first} of first tests. If as many images are added until the verdict is settled, up to "
        f"{ADDITIONS} times, it passes in {together} when old and new images are judged together, and in {alone} when "
        "each addition is judged alone. Judged alone, the verdict on one addition errs as seldom as a first one, "
        "whatever the first images showed. Attempts add up either way, so their number is part of the plan.",
        table(
            ["images", "true share", "first test", "one addition: together / alone", f"{ADDITIONS}: together / alone"],
            [
                [
                    str(line["n"]),
                    f"{cell(line, 'truth'):g}",
                    percent(cell(line, "first")),
                    f"{percent(cell(line, 'together_once'))} / {percent(cell(line, 'alone_once'))}",
                    f"{percent(cell(line, 'together'))} / {percent(cell(line, 'alone'))}",
                ]
                for line in lines
            ],
        ),
    ]


def gates(lines: Sequence[Entry]) -> list[str]:
    """Return the section on false passes and false fails of both rules."""
    truths = (0.65, 0.70, 0.75, 0.79, 0.80, 0.85, 0.90, 0.95)
    header = ["rule", "images", *(f"true {truth:.2f}" for truth in truths)]
    by_place = {(line["n"], line["truth"]): line for line in lines}
    rows = []
    for gate in GATES:
        for n in GATE_ROWS:
            accepted = [cell(by_place[n, truth], gate) for truth in truths]
            wrong = [share if truth < FLOOR else 1 - share for truth, share in zip(truths, accepted, strict=True)]
            rows.append([gate, str(n), *map(percent, wrong)])
    worse = [line for line in lines if cell(line, "truth") < FLOOR]
    below, last = max(cell(line, "guarded") for line in worse), max(cell(line, "truth") for line in worse)
    return [
        f"One class, recall floor {FLOOR:.2f}, exact. Below the floor the table gives false passes, from it on false "
        f"fails. `guarded` accepts a model of recall {last:.2f} or less in {percent(below)} at most, at any of these "
        "sizes, and has more false fails in return. `simple` errs on both sides, and near the floor in about half of "
        "test sets. Such a row is a conditional pass or a conditional fail.",
        f"![What each rule accepts, by true recall from {GATE_TRUTHS[0]:.2f} to {GATE_TRUTHS[-1]:.2f}.]"
        f"({FOLDER}/decisions.png)",
        table(header, rows),
    ]


def many(tables: Tables) -> list[str]:
    """Return the section on many bounds under the shipped policy."""
    infills = {line["infills"]: line for line in tables["infills"]}
    first = tables["family"][0]
    return [
        f"Under the shipped policy a record of three classes holds {first['rows']} rows with plain shares or p-values, "
        f"{first['bounds']} bounds when each infill counts. All must hold. For the guarded rule that needs no "
        "correction (an intersection-union test: a model that misses any of these bounds passes by its whole intervals "
        "in 2.5 % at most; if an interval is not exact, as often as it misses above). The cost is that sound models "
        "are refused more often.",
        f"Infills: at a true flip rate of {FLIPS:.2f} and a ceiling of {CEILING:.2f}, the simple rule accepts 66 "
        f"images under one infill in {percent(cell(infills[1], 'independent'))} of draws, under four that err "
        f"independently in {percent(cell(infills[4], 'independent'))}, under five in "
        f"{percent(cell(infills[5], 'independent'))}. If all infills change the same images, it does so as often as "
        "under one.",
        "How often the recall and the border suite refuse a model of known quality, its recall alike in all classes "
        "and under the border. Counted are recall floors, confusions, flips and masked recall; from all infills alike "
        "to all independent:",
        table(
            ["images a class", "rule", "true recall", "true flips", "recall suite", "border suite", "either"],
            [
                [
                    str(line["counts"]),
                    str(line["gate"]),
                    f"{cell(line, 'recall'):.2f}",
                    f"{cell(line, 'flips'):.2f}",
                    percent(cell(line, "recall_refuses")),
                    _span(line, "border_refuses"),
                    _span(line, "refuses"),
                ]
                for line in tables["suites"]
            ],
        ),
        "What a scorecard says of such a record: how often chance refuses a model that is better than every bound by a "
        "margin, whatever the dependence (from all rows together to no two at once), and the margin that four of five "
        "test sets accept.",
        table(
            [
                "images a class",
                "rule",
                "better by",
                "independent",
                "whatever the dependence",
                "margin for four of five",
            ],
            [
                [
                    str(line["counts"]),
                    str(line["gate"]),
                    f"{cell(line, 'better_by'):.2f}",
                    percent(cell(line, "independent")),
                    f"{percent(cell(line, 'together'))} to {percent(cell(line, 'apart'))}",
                    "none" if line["margin"] is None else f"{cell(line, 'margin'):.2f}",
                ]
                for line in tables["family"]
            ],
        ),
        "Among many rows, one may fail by its whole interval by chance. So the scorecard also says which of these "
        "fails remain after Holm's correction for the number of rows. The policy cannot switch this correction on for "
        "the gate: a pass needs no correction, and a gate that grew more lenient with each row would be unsound.",
    ]


def families(tables: Tables) -> list[str]:
    """Return the section on infills that are judged together."""
    equal = [line for line in tables["families"] if len(set(str(line["truths"]).split(", "))) == 1]
    by_value, by_largest = ([cell(line, name) for line in equal] for name in ("value", "largest"))
    sound = [cell(line, "all") for line in tables["sound_families"]]
    return [
        "All infills must meet the bound. The largest of their values is too large, so the simple rule decides on an "
        "estimate of the largest truth that is too large as often as too small (Chernozhukov, Lee and Rosen 2013). "
        f"Five equal infills whose truth is the bound are accepted in {_range(by_value)} of draws, by the largest "
        f"value in {_range(by_largest)}. Shares of draws that are accepted, for a ceiling of {CEILING:.2f}:",
        table(
            ["images", "true shares", "correlation", "as decided", "by the largest", "worst infill alone", "guarded"],
            [
                [
                    str(line["n"]),
                    str(line["truths"]),
                    f"{cell(line, 'shared'):g}",
                    *(percent(cell(line, name)) for name in ("value", "largest", "one", "guarded")),
                ]
                for line in tables["families"]
            ],
        ),
        "A sound model of three classes: recall 0.90 over a floor of 0.80, with the border and under five infills, and "
        f"retained skill 0.25 under a ceiling of 0.50. All of it is accepted in {_range(sound)} of draws.",
        table(
            ["images a class", "correlation", "all", "masked recall", "retained skill", "all, by the largest"],
            [
                [
                    str(line["each"]),
                    f"{cell(line, 'shared'):g}",
                    *(
                        percent(cell(line, name))
                        for name in ("all", "masked_recall", "retained_skill", "by_the_largest")
                    ),
                ]
                for line in tables["sound_families"]
            ],
        ),
    ]


def sides(line: Entry, method: str) -> tuple[float, float]:
    """Return the misses of one method, over and under the truth."""
    prefix = f"{method}_" if method else ""
    return cell(line, f"{prefix}over"), cell(line, f"{prefix}under")


def _two(line: Entry, method: str) -> str:
    over, under = sides(line, method)
    return f"{100 * over:.1f} / {100 * under:.1f}"


def _worst_two(lines: Sequence[Entry], method: str) -> str:
    over, under = zip(*(sides(line, method) for line in lines), strict=True)
    return f"{100 * max(over):.1f} / {100 * max(under):.1f}"


def _range(shares: Sequence[float]) -> str:
    return f"{percent(min(shares))} to {percent(max(shares))}"


def _span(line: Entry, name: str) -> str:
    low, high = (percent(cell(line, f"{name}_{how}")) for how in ("alike", "apart"))
    return low if low == high else f"{low} to {high}"


def _holds(claim: bool) -> str:
    return "Holds." if claim else "Does not hold."


def percent(share: float) -> str:
    """Return a share in per cent, with one decimal place."""
    return f"{100 * share:.1f} %"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a markdown table; header and cells are markdown already."""
    return str(tabulate(list(rows), headers=header, tablefmt="pipe", disable_numparse=True))
