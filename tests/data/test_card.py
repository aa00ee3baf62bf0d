"""Tests of data cards: what ``--data`` means, and messages about faulty cards."""

from pathlib import Path

import pytest

from roentgate.data.card import Card, find_card
from roentgate.errors import ArgumentError, DataError
from roentgate.scorecard.shape import StudyEntry

CARDS = Path(__file__).resolve().parents[2] / "data"


def card_of(folder: Path, text: str) -> Card:
    (folder / "mine.toml").write_text(text)
    return find_card("mine", folder)


@pytest.mark.parametrize("file", sorted(CARDS.glob("*.toml")), ids=lambda file: file.stem)
def test_every_published_card_is_valid(file: Path) -> None:
    card = find_card(file.stem, CARDS)
    assert card.name == file.stem
    assert card.title
    assert card.licence
    assert card.source


@pytest.mark.parametrize("name", ["phantom", "phantom-shortcut", "phantom-shortcut-broken"])
def test_a_phantom_card_says_which_variant_is_drawn(name: str) -> None:
    card = find_card(name, CARDS)
    assert (card.generator, card.variant, card.image_size, card.masks) == ("phantom", name, (96, 96), "masks/{id}")


@pytest.mark.parametrize("region", ["lungs", "none"])
def test_a_card_says_whether_the_findings_lie_in_the_lungs(tmp_path: Path, region: str) -> None:
    (tmp_path / "effusion.toml").write_text(f'root = "x"\n[anatomy]\nregion = "{region}"\n', "utf-8")
    assert find_card("effusion", tmp_path).anatomy.region == region
    assert find_card("phantom", CARDS).anatomy.region == "lungs"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('region = "heart"', "key 'anatomy.region': Input should be 'lungs' or 'none'"),
        ('regions = "lungs"', "unknown key 'anatomy.regions'; did you mean 'region'"),
    ],
)
def test_another_region_is_refused(tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "effusion.toml").write_text(f'root = "x"\n[anatomy]\n{line}\n', "utf-8")
    with pytest.raises(DataError, match=fault):
        find_card("effusion", tmp_path)


def test_name_equals_path_is_that_card_with_another_root(tmp_path: Path) -> None:
    card = find_card(f"covid19={tmp_path}", CARDS)
    assert (card.name, card.root) == ("covid19", tmp_path)
    drawn = find_card(f"phantom={tmp_path}", CARDS)
    assert (drawn.root, drawn.generator, drawn.image_size) == (tmp_path, None, (96, 96))


def test_a_path_with_an_equals_sign_is_still_a_path(tmp_path: Path) -> None:
    (tmp_path / "seed=1").mkdir()
    assert find_card(str(tmp_path / "seed=1"), CARDS).root == tmp_path / "seed=1"


def test_a_bare_path_is_grey_256_nearest_and_called_after_its_folder(tmp_path: Path) -> None:
    (tmp_path / "tb-lungs").mkdir()
    card = find_card(str(tmp_path / "tb-lungs"), CARDS)
    assert card == Card(name="tb-lungs", title="tb-lungs", root=tmp_path / "tb-lungs")
    assert (card.image_size, card.interpolation) == ((256, 256), "nearest")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("my images (2)", "my-images-2"),
        ("..hidden", "hidden"),
        ("a\nb|<c", "a-b-c"),
        ("Röntgen.v2", "Röntgen.v2"),
        ("|", "data"),
    ],
)
def test_the_name_of_a_bare_path_can_be_a_folder(tmp_path: Path, folder: str, name: str) -> None:
    assert find_card(str(tmp_path / folder), CARDS).name == name


def test_a_folder_beside_the_run_needs_no_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "phantom").mkdir()
    assert find_card("images", CARDS).root == Path("images")
    assert find_card("phantom", CARDS).root is None
    assert find_card("./phantom", CARDS).root == Path("phantom")
    assert find_card(".", CARDS).name == tmp_path.name


def test_an_unknown_name_lists_the_close_ones() -> None:
    with pytest.raises(ArgumentError, match=r"'covid': neither a card in .* nor a folder.*; did you mean 'covid19'\?"):
        find_card("covid", CARDS)
    with pytest.raises(ArgumentError, match=r"did you mean .*'phantom-shortcut'"):
        find_card("phantom_shortcut=../x", CARDS)


@pytest.mark.parametrize(
    ("spec", "sentence"), [("covid19=", "no folder after '='; write covid19=PATH"), ("", "neither")]
)
def test_an_incomplete_specification_is_refused(spec: str, sentence: str) -> None:
    with pytest.raises(ArgumentError, match=sentence):
        find_card(spec, CARDS)


def test_a_root_is_relative_to_its_card(tmp_path: Path) -> None:
    assert card_of(tmp_path, 'root = "images"').root == tmp_path / "images"


def test_settings_of_training_are_kept_as_they_are(tmp_path: Path) -> None:
    assert card_of(tmp_path, "[recipe]\nepochs = 20\nrate = 0.5").recipe == {"epochs": 20, "rate": 0.5}


def test_a_study_is_what_the_card_states_and_empty_elsewhere(tmp_path: Path) -> None:
    study = card_of(tmp_path, '[study]\nages = " adults "\nview = "PA"').study
    assert (study.ages, study.view, study.sexes, study.reference_standard) == ("adults", "PA", "", "")
    assert Card(name="bare").study.model_dump() == dict.fromkeys(StudyEntry.__annotations__, "")
    assert (card_of(tmp_path, "").prior_evaluations, card_of(tmp_path, "prior_evaluations = 2").prior_evaluations) == (
        0,
        2,
    )


@pytest.mark.parametrize("file", sorted(CARDS.glob("*.toml")), ids=lambda file: file.stem)
def test_every_published_card_states_what_is_known_of_its_study(file: Path) -> None:
    study = find_card(file.stem, CARDS).study
    assert study.sites
    assert study.reference_standard


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('licens = "x"', r"mine\.toml': unknown key 'licens'; did you mean 'licence'\?"),
        ('name = "x"', "unknown key 'name'; a card is called after its file, so remove it"),
        ("image_size = [96]", r"mine\.toml': key 'image_size.1': "),
        ("image_size = [0, 96]", "key 'image_size.0': .* greater than or equal to 8"),
        ('interpolation = "cubic"', "key 'interpolation': .*'nearest', 'bilinear'"),
        ('group = "p(\\\\d+"', "key 'group': not a regular expression"),
        ('group = "p[0-9]+"', "key 'group': needs exactly one capture group, the patient; it has 0"),
        ('group = "(p)([0-9]+)"', "needs exactly one capture group, the patient; it has 2"),
        ('masks = "masks"', r"key 'masks': must contain \{id\} or \{stem\}"),
        ('classes = ["b", "a"]', "key 'classes': class names must be sorted and differ"),
        ('root = "x"\ngenerator = "phantom"', "'root' and 'generator' exclude one another"),
        ('manifest = "a.csv"\ncolumns = { gruop = "p" }', r"unknown key 'columns.gruop'; did you mean 'group'\?"),
        ('manifest = "a.csv"\ncolumns = { path = "" }', "key 'columns.path': .*at least 1 character"),
        ('manifest = "a.csv"\ncolumns = { path = "f", label = "f" }', "column 'f' is named for two things"),
        ('manifest = "a.csv"\ncolumns = { path = "label" }', "column 'label' is named for two things"),
        ('manifest = "a.csv"\ncolumns = { group = "p", source = "p" }', "column 'p' is named for two things"),
        ('manifset = "a.csv"', r"unknown key 'manifset'; did you mean 'manifest'\?"),
        ('manifest = "a.csv"\ngenerator = "phantom"', "'manifest' and 'generator' exclude one another"),
        ('images = "x"', "'images' says how a manifest is read; name the file with 'manifest', or remove it"),
        ("split_seed = 1", "'split_seed' says how a manifest is read"),
        ('manifest = "a.csv"\nsplit_seed = -1', "key 'split_seed': .*greater than or equal to 0"),
        ('manifest = "a.csv"\nsplit_shares = [0.6, 0.2, 0.3]', "key 'split_shares': the shares .* sum to 1, not 1.1"),
        ('manifest = "a.csv"\nsplit_shares = [0.8, 0.2, 0.0]', "key 'split_shares.2': .*greater than 0"),
        ('manifest = "a.csv"\ntest_sources = []', "key 'test_sources': .*at least 1 item"),
        ('manifest = "a.csv"\ngroup = "(p)"\ncolumns = { group = "g" }', "'group' and 'columns.group' say the same"),
        ('manifest = "a.csv"\nmasks = "{id}"\ncolumns = { mask = "m" }', "'masks' and 'columns.mask' say the same"),
        ('[study]\nage = "adults"', r"mine\.toml': unknown key 'study.age'; did you mean 'ages'\?"),
        ('[study]\nscanner = "x"', r"unknown key 'study.scanner'; known: ages, dates, devices, reference_standard, "),
        ('[study]\nages = "a\\nb"', r"key 'study.ages': "),
        ("[study]\nages = 7", r"key 'study.ages': .*valid string"),
        ('study = "adults"', r"key 'study': "),
        ("prior_evaluations = -1", "key 'prior_evaluations': .*greater than or equal to 0"),
        ("prior_evaluations = true", "key 'prior_evaluations': .*valid integer"),
        ("prior_evalutions = 3", r"unknown key 'prior_evalutions'; did you mean 'prior_evaluations'\?"),
        ("title = ", r"mine\.toml': cannot be read as TOML .*; correct it"),
    ],
)
def test_a_mistake_in_a_card_is_named_with_file_and_key(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        card_of(tmp_path, text)


def test_a_manifest_lies_beside_the_card_or_below_the_root(tmp_path: Path) -> None:
    assert card_of(tmp_path, 'manifest = "rows.csv"').manifest == Path("rows.csv")
    (tmp_path / "rows.csv").write_text("path,label\n")
    assert card_of(tmp_path, 'manifest = "rows.csv"').manifest == (tmp_path / "rows.csv").resolve()


def test_a_bare_folder_is_read_by_its_manifest_where_it_has_no_train(tmp_path: Path) -> None:
    assert find_card(str(tmp_path), CARDS).manifest is None
    (tmp_path / "manifest.csv").write_text("path,label\n")
    assert find_card(str(tmp_path), CARDS).manifest == Path("manifest.csv")
    (tmp_path / "train").mkdir()
    assert find_card(str(tmp_path), CARDS).manifest is None


def test_a_default_column_gives_way_to_what_the_card_names(tmp_path: Path) -> None:
    names = card_of(tmp_path, 'manifest = "rows.csv"\ncolumns = { source = "group" }').columns.names()
    assert names == {"path": "path", "label": "label", "source": "group", "split": "split", "mask": "mask"}


def test_the_normal_class_is_one_of_the_classes(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('classes = ["Ill", "Well"]\nnormal = "Well"\n', "utf-8")
    assert find_card("mine", tmp_path).normal == "Well"
    file.write_text('classes = ["Ill", "Well"]\nnormal = "Wel"\n', "utf-8")
    with pytest.raises(DataError, match="'normal' names 'Wel', which is no class; did you mean 'Well'"):
        find_card("mine", tmp_path)
