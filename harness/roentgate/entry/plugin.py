"""The pytest plugin: options, parametrisation and fixtures.

`roentgate.entry.hooks` implements them.
"""

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
        help="the decision rule: accept a pass and a conditional pass, or only a pass (default: simple). With 80 "
        "images of a class guarded refuses most sound models: 'roentgate aa-test' says how many images it needs",
    )
    add(
        "--report-dir",
        metavar="DIR",
        help="where scorecards go, as DIR/<data>/<model>/, and the ledger of evaluations (default: reports)",
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
        help="check the published figures of this TOML file: can they all be true, and do they reproduce?",
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
    """Register the hooks of a run if models are named."""
    config.addinivalue_line(
        "markers", "needs(capability, ...): what a check needs that a model or data set may not have"
    )
    config.addinivalue_line("markers", "last: run after all other checks of a model, since it judges their evidence")
    if config.getoption("model", default=None):
        config.stash[_KEY] = Hooks(config)
        config.pluginmanager.register(config.stash[_KEY])  # without a name, so that no option can block it


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise a suite's test by model, class, split, border and infill.

    The values come from the data card and the policy, never from evidence.
    """
    if not is_ours(metafunc.fixturenames):
        return
    config = metafunc.config
    hooks = config.stash.get(_KEY, None)
    if hooks is not None:
        hooks.parametrize(metafunc)
    elif hasattr(config, "workerinput"):  # raised here, because a later one of a worker does not reach the terminal
        raise pytest.UsageError(NO_MODEL)
    else:
        config.stash[_ASKED] = True


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop with a usage error if suites were collected without a model."""
    if session.config.stash.get(_ASKED, False):
        raise pytest.UsageError(NO_MODEL)


@pytest.fixture(scope="session")
def hooks(request: pytest.FixtureRequest) -> Hooks:
    """The run that these tests belong to."""
    found = request.config.stash.get(_KEY, None)
    if found is None:
        pytest.fail(f"there is no run to ask for its bounds or classes: {NO_MODEL}", pytrace=False)
    return found


@pytest.fixture(scope="session")
def evidence(hooks: Hooks, model_name: str) -> "Evidence":
    """The model's evidence, with predictions ``evidence.test`` and ``evidence.validation``."""
    return hooks.session.evidence(model_name)


@pytest.fixture
def stream(evidence: "Evidence", split: str) -> "StreamRecord":
    """The batches that the model's own stream of this split delivered."""
    return evidence.stream(split)


@pytest.fixture
def inference_record(evidence: "Evidence") -> "InferenceRecord":
    """Predictions on the probe images, repeated under several conditions."""
    return evidence.inference


@pytest.fixture
def border_answers(evidence: "Evidence", policy: "Policy") -> "BorderRecord":
    """Predictions with the border masked, swapped, or shown alone."""
    return evidence.border(policy.border)


@pytest.fixture
def smallest_masks(evidence: "Evidence", policy: "Policy") -> "SmallestRecord":
    """The smallest masks outside the lungs that change predictions."""
    from roentgate.evidence import smallest_mask

    return smallest_mask.of(evidence, policy.border)


@pytest.fixture
def border_contents(evidence: "Evidence", gating_width: float) -> "InvarianceRecord":
    """How predictions change with the content of the border."""
    from roentgate.checks import border_invariance

    return border_invariance.border_contents(evidence, gating_width)


@pytest.fixture(scope="session")
def attributions(hooks: Hooks, model_name: str) -> "AttributionRecord":
    """Attribution maps of each explainer and their sanity checks.

    ``attributions.sanity_check(method)`` says whether an explainer passed.
    """
    return hooks.session.attributions(model_name)


@pytest.fixture(scope="session")
def attention(evidence: "Evidence") -> "AttentionRecord":
    """Predictions on images with lungs, background, border or annotations changed.

    They include the output on images without a chest.
    """
    from roentgate.evidence import attend

    return attend(evidence)


@pytest.fixture(scope="session")
def robustness(
    evidence: "Evidence", policy: "Policy", unseen: "Callable[[Predictions], Predictions]"
) -> "RobustnessRecord":
    """Predictions on corrupted, moved and resized images.

    Rows that duplicate a train row are left out, as by `unseen`.
    """
    from roentgate.evidence import observe

    return observe(evidence, policy.robustness).seen_by(unseen)


@pytest.fixture(scope="session")
def data_record(hooks: Hooks, model_name: str) -> "DataRecord":
    """Findings on the images themselves: near-duplicates and the skill of probes."""
    return hooks.session.data_record


@pytest.fixture(scope="session")
def unseen(hooks: Hooks) -> "Callable[[Predictions], Predictions]":
    """A function that leaves out rows that duplicate a train row.

    Call it as ``unseen(evidence.test)``.
    """
    return hooks.session.unseen


@pytest.fixture(scope="session")
def reference(hooks: Hooks) -> "Evidence | Reference":
    """The evidence on the model to compare with.

    It offers ``reference.test`` and ``reference.border(policy.border)``.
    """
    return hooks.session.reference


@pytest.fixture
def evaluation(hooks: Hooks, model_name: str) -> "Place":
    """This model's place among all models judged on these test images."""
    return hooks.logbook.of(model_name)


@pytest.fixture(scope="session")
def claims(hooks: Hooks) -> "Claims":
    """The published figures to check."""
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
    """A function that records a verdict as a row of the scorecard.

    The test fails at its end if a row is not accepted.
    """

    def record(verdict: "Verdict", *, subject: str = "") -> None:
        if hooks.is_over(request.node):
            raise RuntimeError(
                "accept(...) was called after the test's end, too late for the scorecard; call it in the test"
            )
        hooks.record(request.node, model_name, verdict, subject)

    return record
