"""Models are found by name or path, with the local files that they import."""

from importlib.metadata import version
from pathlib import Path

import pytest

from roentgate.candidates.discovery import UNSAFE_SUFFIXES, Source, find_model, model_names
from roentgate.errors import ModelError


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    for name in ("baseline", "compact", "known_bad/shuffled", "known_bad/_streams", "__pycache__/odd", "_hidden"):
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""{name}."""\n', "utf-8")
    return folder


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def names(source: Source, folder: Path) -> list[str]:
    """Return the sources, relative to a folder."""
    return [path.relative_to(folder).as_posix() for path in source.sources]


def test_a_name_is_a_file_of_the_folder(models: Path) -> None:
    source = find_model("baseline", models)
    assert (source.name, source.path) == ("baseline", (models / "baseline.py").resolve())
    assert not source.is_keras_file
    assert find_model("known_bad.shuffled", models).name == "known_bad.shuffled"


def test_the_names_are_all_files_but_private_ones(models: Path) -> None:
    assert model_names(models) == ["baseline", "compact", "known_bad.shuffled"]


@pytest.mark.parametrize("name", ["a-b", "1st", "mon réseau", "<net>|*", "known_bad.class"])
def test_a_name_need_not_be_an_identifier(models: Path, name: str) -> None:
    path = write(models.joinpath(*name.split(".")).with_suffix(".py"), "")
    assert (find_model(name, models).name, find_model(name, models).path) == (name, path.resolve())
    assert name in model_names(models)


@pytest.mark.parametrize(
    "file", ["v1.2.py", "-x.py", ".hidden.py", ".kept/net.py", "two\nlines.py", "known_bad/h5.py", "sub/py.py"]
)
def test_what_cannot_be_named_is_not_listed_and_its_path_is_the_way(models: Path, file: str) -> None:
    path = write(models / file, "")
    assert model_names(models) == ["baseline", "compact", "known_bad.shuffled"]
    with pytest.raises(ModelError):
        find_model(".".join(Path(file).with_suffix("").parts), models)
    assert find_model(str(path), models).path == path.resolve()


def test_a_folder_that_is_named_as_a_file_is_no_model(models: Path) -> None:
    (models / "net.py").mkdir()
    assert model_names(models) == ["baseline", "compact", "known_bad.shuffled"]


def test_a_dot_in_a_file_name_is_told_from_a_folder(models: Path) -> None:
    write(models / "v1.2.py", "")
    with pytest.raises(ModelError, match=r"no file v1/2\.py in .*: a dot stands for a folder; pass .*models/v1\.2\.py"):
        find_model("v1.2", models)


def test_a_program_beside_the_models_is_no_model(models: Path) -> None:
    write(models / "segmenter" / "train.py", '"""Train."""\n\nif __name__ == "__main__":\n    print("trained")\n')
    assert model_names(models) == ["baseline", "compact", "known_bad.shuffled"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("basline", "model 'basline': no file basline.py in .*; did you mean 'baseline'?"),
        ("known_bad.shufled", "no file known_bad/shufled.py .*; did you mean 'known_bad.shuffled'?"),
        ("xyz", "known: baseline, compact, known_bad.shuffled"),
        ("", "no file .py"),
        ("..baseline", "no file"),
        ("absent.py", "model 'absent.py': no such file"),
        ("some/where", "model 'some/where': no such file"),
        ("absent.keras", "model 'absent.keras': no such file"),
    ],
)
def test_an_unknown_model_is_a_sentence(models: Path, name: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        find_model(name, models)


def test_a_folder_without_models_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="none is known"):
        find_model("baseline", tmp_path / "models")


@pytest.mark.parametrize("suffix", sorted(UNSAFE_SUFFIXES))
def test_formats_that_can_carry_code_are_refused_unread(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"model{suffix}", "not even looked at")
    with pytest.raises(ModelError, match=r"can execute code past Keras' safe mode; save it as \.keras, or pass"):
        find_model(str(path), tmp_path)


def test_trust_lets_hdf5_through_and_a_pickle_still_needs_a_model_file(tmp_path: Path) -> None:
    assert find_model(str(write(tmp_path / "model.h5", "")), tmp_path, trust=True).is_keras_file
    with pytest.raises(ModelError, match="not a Keras model; wrap it in a model file"):
        find_model(str(write(tmp_path / "model.pkl", "")), tmp_path, trust=True)


def test_a_keras_file_is_its_own_source(tmp_path: Path) -> None:
    path = write(tmp_path / "kept.keras", "")
    source = find_model(str(path), tmp_path)
    assert source.is_keras_file
    assert (source.name, source.sources, source.roots) == ("kept", (path.resolve(),), ())


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither a Python model file \(.py\) nor a Keras model"):
        find_model(str(write(tmp_path / "model.onnx", "")), tmp_path)


def test_local_imports_are_sources_however_deep_and_others_are_not(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write(models / "net.py", "import json\nimport blocks\nfrom parts.heads import dense\nfrom roentgate import Task\n")
    write(models / "blocks.py", "import blocks, deeper\n")
    write(models / "deeper.py", "def f():\n    from models.shared import x\n")
    write(models / "shared.py", "")
    write(models / "parts/__init__.py", "")
    write(models / "parts/heads.py", "")
    write(models / "unused.py", "")
    source = find_model("net", models)
    assert names(source, models)[0] == "net.py"
    assert sorted(names(source, models)) == [
        "blocks.py",
        "deeper.py",
        "net.py",
        "parts/__init__.py",
        "parts/heads.py",
        "shared.py",
    ]


def test_relative_imports_inside_a_package_are_sources(tmp_path: Path) -> None:
    write(tmp_path / "net.py", "from pack.outer import K\n")
    write(tmp_path / "pack/__init__.py", "")
    write(tmp_path / "pack/outer.py", "from .inner import K\nfrom . import beside\n")
    write(tmp_path / "pack/inner.py", "K = 1\n")
    write(tmp_path / "pack/beside.py", "")
    found = names(find_model(str(tmp_path / "net.py"), tmp_path), tmp_path)
    assert sorted(found) == ["net.py", "pack/__init__.py", "pack/beside.py", "pack/inner.py", "pack/outer.py"]


def test_the_versions_of_foreign_libraries_count_and_local_modules_do_not(tmp_path: Path) -> None:
    write(tmp_path / "net.py", "import json, numpy, sklearn.linear_model\nimport blocks\nimport roentgate\n")
    write(tmp_path / "blocks.py", "import tabulate\n")
    found = find_model(str(tmp_path / "net.py"), tmp_path).libraries
    assert found == {"scikit-learn": version("scikit-learn"), "tabulate": version("tabulate")}


def test_the_fingerprint_is_of_contents_and_not_of_places(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write(tmp_path / folder / "net.py", "import blocks\n")
        write(tmp_path / folder / "blocks.py", "x = 1\n")
    first, second = (find_model(str(tmp_path / folder / "net.py"), tmp_path) for folder in ("a", "b"))
    assert first.fingerprint == second.fingerprint
    write(tmp_path / "b" / "blocks.py", "x = 2\n")
    assert first.fingerprint != find_model(str(tmp_path / "b" / "net.py"), tmp_path).fingerprint


@pytest.mark.parametrize("text", ["def build(:\n", "x = '\0'\n"])
def test_a_file_that_is_no_python_is_named(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "net.py", text)
    with pytest.raises(ModelError, match=rf"model file {path}: not valid Python"):
        find_model(str(path), tmp_path)


def test_modules_are_named_as_they_are_imported(tmp_path: Path) -> None:
    models = tmp_path / "models"
    net = write(models / "bad" / "net.py", "import blocks\nfrom models.shared import x\n")
    blocks, shared = write(models / "bad" / "blocks.py", ""), write(models / "shared.py", "x = 1\n")
    assert find_model(str(net), models).modules == {
        "blocks": blocks.resolve(),
        "models.bad.blocks": blocks.resolve(),
        "models.shared": shared.resolve(),
    }


def test_nothing_is_executed(tmp_path: Path) -> None:
    path = write(tmp_path / "net.py", "raise SystemExit(3)\n")
    assert find_model(str(path), tmp_path).fingerprint


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("def load(task):\n    return open(f'net{task.seed}.bin')\n", True),
        ("def load(task):\n    return getattr(task, 'seed')\n", True),
        ("import numpy\n\n\ndef load(task):\n    numpy.random.seed(3)  # whatever the task.seed\n", False),
        ("SEED = seed = 3\n", False),
        ("class Task:\n    def __init__(self):\n        self.seed = 0\n", False),
        ('"seed"\nSETTINGS = {"seed": 0}\n', False),
        ("def load(task):\n    return open('net{t.seed}.bin'.format(t=task))\n", True),
        ("def load(task):\n    return vars(task)['seed']\n", True),
        ("def load(task):\n    match task:\n        case object(seed=given):\n            return given\n", True),
    ],
)
def test_a_source_that_reads_the_seed_of_a_task_is_told_without_running_it(
    models: Path, text: str, *, reads: bool
) -> None:
    write(models / "asks.py", text)
    write(models / "through.py", "import asks\n")
    assert [find_model(name, models).reads_seed for name in ("asks", "through")] == [reads, reads]


def test_a_trained_file_reads_no_seed(tmp_path: Path) -> None:
    assert not find_model(str(write(tmp_path / "net.keras", "task.seed")), tmp_path).reads_seed
