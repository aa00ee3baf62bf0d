"""All of pytest, as seen from outside: options, parametrisation and fixtures. `roentgate.entry.hooks` does the work."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from roentgate.entry.hooks import Hooks
from roentgate.entry.items import is_ours

if TYPE_CHECKING:
    from roentgate.audit import DataRecord
    from roentgate.candidates import Predictions
    from roentgate.checks import Claims, InvarianceRecord
    from roentgate.evidence import (
        AttentionRecord,
        AttributionRecord,
        BorderRecord,
        Evidence,
        InferenceRecord,
        Reference,
        RobustnessRecord,
        SmallestRecord,
        StreamRecord,
    )
    from roentgate.policy import Policy
    from roentgate.scorecard import Place
    from roentgate.session import Accept
    from roentgate.stats import Verdict

NO_MODEL = "the acceptance suites judge a model: pass --model NAME (see 'python -m roentgate models')"
_KEY = pytest.StashKey[Hooks]()
_ASKED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of an acceptance run."""
    group = parser.getgroup("roentgate", "acceptance tests for medical image classifiers")
    add = group.addoption
    add(
        "--model",
        action="append",
        metavar="NAME",
        help="models/NAME.py, path/to/file.py or path/to/model.keras; repeatable",
    )
    add(
        "--data",
        default="phantom",
        metavar="NAME",
        help="data/NAME.toml, NAME=PATH, or a folder: class folders or a manifest.csv (default: phantom)",
    )
    add("--policy", metavar="FILE", help="the bounds (default: suites/policy.toml)")
    add(
        "--gate",
        choices=("simple", "guarded"),
        default="simple",
        help="the decision rule: accept a pass and a conditional pass, or only a pass (default: simple)",
    )
    add(
        "--report-dir",
        metavar="DIR",
        help="where scorecards go, as DIR/<data>/<model>/, and the ledger of looks (default: reports)",
    )
    add("--no-figures", action="store_true", help="write the scorecards without pictures, which takes less time")
    add("--seed", type=int, default=0, help="seed of training (default: 0)")
    add(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="train N replicates, from --seed on; a row shows the worst, mean and range (default: 1)",
    )
    add(
        "--image-size",
        metavar="N or HxW",
        help="height and width of the images, instead of the model's or the data card's",
    )
    add("--epochs", type=int, metavar="N", help="train for at most N epochs, instead of the recipe's")
    add(
        "--reference",
        action="append",
        metavar="NAME",
        help="compare with this one model: as for --model, or the folder of a stored scorecard",
    )
    add(
        "--claims",
        metavar="FILE",
        help="hold the published figures of this TOML file: can they all be true, and do they reproduce?",
    )
    add(
        "--robustness",
        action="store_true",
        help="judge what acquisition does to images too: noise, blur, exposure, movement; twice the passes",
    )
    add("--weights", metavar="FILE", help="judge this .keras artefact instead of training")
    add(
        "--classes",
        metavar="A,B,...",
        help="class order of the outputs of a bare .keras file (default: sorted folder names)",
    )
    add(
        "--trust-model-file",
        action="store_true",
        help="read model formats that can execute code (.h5, or .keras with Lambda layers)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the run, if models are named."""
    config.addinivalue_line(
        "markers", "needs(capability, ...): what a check needs that a model or data set may not have"
    )
    if config.getoption("model", default=None):
        config.stash[_KEY] = Hooks(config)
        config.pluginmanager.register(config.stash[_KEY])  # without a name, so that no option can block it


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise a suite's test by model, class, split, border and infill; from card and policy, never from
    evidence."""
    if not is_ours(metafunc.fixturenames):
        return
    config = metafunc.config
    hooks = config.stash.get(_KEY, None)
    if hooks is not None:
        hooks.parametrize(metafunc)
    elif hasattr(config, "workerinput"):  # a worker's usage error would not reach the terminal, this one does
        raise pytest.UsageError(NO_MODEL)
    else:
        config.stash[_ASKED] = True


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop with one sentence where suites were collected and no model is named."""
    if session.config.stash.get(_ASKED, False):
        raise pytest.UsageError(NO_MODEL)


@pytest.fixture(scope="session")
def hooks(request: pytest.FixtureRequest) -> Hooks:
    """The run these tests belong to."""
    found = request.config.stash.get(_KEY, None)
    if found is None:
        pytest.fail(f"there is no run to ask for its bounds or classes: {NO_MODEL}", pytrace=False)
    return found


@pytest.fixture(scope="session")
def evidence(hooks: Hooks, model_name: str) -> "Evidence":
    """Answers on the canonical rows: ``evidence.test``, ``evidence.validation``."""
    return hooks.session.evidence(model_name)


@pytest.fixture
def stream(evidence: "Evidence", split: str) -> "StreamRecord":
    """What the evaluation stream of this split delivered."""
    return evidence.stream(split)


@pytest.fixture
def inference_record(evidence: "Evidence") -> "InferenceRecord":
    """Answers on the probe images, again and again."""
    return evidence.inference


@pytest.fixture
def border_answers(evidence: "Evidence", policy: "Policy") -> "BorderRecord":
    """Answers with the border hidden, exchanged, or shown alone."""
    return evidence.border(policy.border)


@pytest.fixture
def smallest_masks(evidence: "Evidence", policy: "Policy") -> "SmallestRecord":
    """The smallest masks outside the lungs that change answers."""
    from roentgate.evidence import smallest_mask

    return smallest_mask.of(evidence, policy.border)


@pytest.fixture
def border_contents(evidence: "Evidence", gating_width: float) -> "InvarianceRecord":
    """How answers move when the border shows other things."""
    from roentgate.checks import border_invariance

    return border_invariance.border_contents(evidence, gating_width)


@pytest.fixture(scope="session")
def attributions(hooks: Hooks, model_name: str) -> "AttributionRecord":
    """What spoke for the answers, where, and which explainers may be believed:
    ``attributions.sanity_check(method)``."""
    return hooks.session.attributions(model_name)


@pytest.fixture(scope="session")
def attention(evidence: "Evidence") -> "AttentionRecord":
    """Answers with lungs, background, border or markers changed, and to images without a chest."""
    from roentgate.evidence import attend

    return attend(evidence)


@pytest.fixture(scope="session")
def robustness(
    evidence: "Evidence", policy: "Policy", unseen: "Callable[[Predictions], Predictions]"
) -> "RobustnessRecord":
    """Answers on corrupted, moved and otherwise reduced images: of rows that are no train row's image, as `unseen`."""
    from roentgate.evidence import observe

    return observe(evidence, policy.robustness).seen_by(unseen)


@pytest.fixture(scope="session")
def data_record(hooks: Hooks, model_name: str) -> "DataRecord":
    """What was found of the images themselves: copies, and what cheap probes read."""
    return hooks.session.data_record


@pytest.fixture(scope="session")
def unseen(hooks: Hooks) -> "Callable[[Predictions], Predictions]":
    """Leave out of predictions the rows that are the same image as a train row: ``unseen(evidence.test)``."""
    return hooks.session.unseen


@pytest.fixture(scope="session")
def reference(hooks: Hooks) -> "Evidence | Reference":
    """Answers of the model to compare with: ``reference.test``, ``reference.border(policy.border)``."""
    return hooks.session.reference


@pytest.fixture
def evaluation(hooks: Hooks, model_name: str) -> "Place":
    """Where this model stands among all that were judged on these test images."""
    return hooks.logbook.of(model_name)


@pytest.fixture(scope="session")
def claims(hooks: Hooks) -> "Claims":
    """The published figures to hold."""
    return hooks.session.claims


@pytest.fixture(scope="session")
def policy(hooks: Hooks) -> "Policy":
    """The bounds in force."""
    return hooks.session.policy


@pytest.fixture(scope="session")
def classes(hooks: Hooks) -> tuple[str, ...]:
    """The class names, in index order."""
    return hooks.session.classes


@pytest.fixture
def accept(request: pytest.FixtureRequest, hooks: Hooks, model_name: str) -> "Accept":
    """Record a verdict as a row of the scorecard; the test fails at its end if a row is not accepted."""

    def record(verdict: "Verdict", *, subject: str = "") -> None:
        if hooks.is_over(request.node):
            raise RuntimeError("accept(...) came after the test's end, where nobody reads it; call it in the test")
        hooks.record(request.node, model_name, verdict, subject)

    return record
