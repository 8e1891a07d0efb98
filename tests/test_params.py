import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.utils.serialize import modify_yaml
from pydantic import BaseModel
from ruamel.yaml import YAML

from pipeline.lineage import STAGES
from pipeline.params import Params, Weights, check, expected, load
from pipeline.runtime.errors import UserError

ROOT = Path(__file__).parent.parent
YAML_TEXT = (ROOT / "params.yaml").read_text()


def leaves(tree: dict, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    found = {}
    for key, value in tree.items():
        found |= leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
    return found


def model_leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found = set()
    for name, field in model.model_fields.items():
        nested = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        found |= model_leaves(field.annotation, (*path, name)) if nested else {(*path, name)}
    return found


def comments() -> dict[tuple[str, ...], str]:
    path, found = [], {}
    for line in YAML_TEXT.splitlines():
        if match := re.match(r"( *)(\w+):[^#]*(?:# (.*))?$", line):
            path[len(match[1]) // 2 :] = [match[2]]
            found[tuple(path)] = match[3] or ""
    return found


LEAVES = leaves(YAML(typ="safe", pure=True).load(YAML_TEXT))
BOUNDED = [path for path in LEAVES if " to " in expected(path) and not isinstance(LEAVES[path], list)]


def load_with(path: tuple[str, ...], value: str, folder: Path) -> Params:
    tree = YAML(typ="safe", pure=True).load(YAML_TEXT)
    section = tree
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = YAML(typ="safe", pure=True).load(value)
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(tree, file)
    return load(folder / "params.yaml")


def test_the_keys_of_yaml_model_and_dvc_agree():
    assert set(LEAVES) == model_leaves(Params)
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    assert {stage: definition["params"] for stage, definition in stages.items()} == {
        section: [section]
        for section in Params.model_fields
        if section != "tracking"  # it reruns no stage
    }


def test_every_comment_states_the_range_that_is_checked():
    stated = comments()
    for path in LEAVES:
        assert re.match(re.escape(expected(path)) + r"(: |$)", stated[path]), path


@pytest.mark.parametrize("path", BOUNDED, ids=".".join)
def test_a_value_outside_its_range_is_named_with_the_range(path, tmp_path):
    too_much = "1" + "0" * 12
    with pytest.raises(UserError) as error:
        load_with(path, too_much, tmp_path)
    text = str(error.value)
    assert f"{'.'.join(path)} is {too_much}; expected {expected(path)}" in text
    assert "\n" not in text


@pytest.mark.parametrize("value", ["fast", "1e-4", "Infinity", "٣", ""])
def test_a_word_is_no_number(value, tmp_path):
    with pytest.raises(UserError, match=r"train\.lr is .*; expected above 0, at most 0\.1"):
        load_with(("train", "lr"), f"'{value}'", tmp_path)


def test_scientific_notation_is_a_number(tmp_path):
    assert load_with(("train", "lr"), "1e-4", tmp_path).train.lr == 1e-4


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("train", "batsch"), "3", "train.batsch is not a parameter"),
        (("corrupt", "occlusion", "count"), "[3, 1]", r"corrupt.occlusion.count is \[3, 1\]; expected the lower bound"),
        (("corrupt", "stain", "opacity"), "[0.5, 2]", r"corrupt.stain.opacity.1 is 2; expected 0.1 to 1"),
        (("corrupt", "mixed", "kinds"), "[stain, lowres]", "corrupt.mixed.kinds.1 is 'lowres'; expected occlusion, "),
        (("corrupt", "lowres", "factors"), "[2, 2]", "expected each value once"),
        (("corrupt", "image_size"), "120", "corrupt.image_size is 120; expected a multiple of 16"),
        (
            ("train", "crop"),
            "40",
            "train.crop is 40; expected 0, or from 16 on a multiple of 16",
        ),
        (("train", "objective"), "wgan", "train.objective is 'wgan'; expected minimax, nonsaturating, hinge"),
        (("train",), "", "train is None; expected a section"),
        (("train", "warmup"), "250", r"train.warmup is 250; expected less than train.steps \(250\)"),
    ],
)
def test_what_is_wrong_is_said(path, value, message, tmp_path):
    with pytest.raises(UserError, match=message):
        load_with(path, value, tmp_path)


def changed(section: str, **values) -> dict:
    """The content of the repository's parameters, with some of a section changed."""
    content = load(ROOT / "params.yaml").model_dump()
    content[section] |= values
    return content


def test_a_tenth_of_the_photos_at_least_are_trained_on():
    assert check(changed("corrupt", val=0.5, test=0.4), Path("mine.yaml")).corrupt.test == 0.4
    with pytest.raises(UserError, match=r"^mine.yaml: corrupt.val \+ corrupt.test is above 0.9; expected some photos"):
        check(changed("corrupt", val=0.5, test=0.41), Path("mine.yaml"))


def test_a_crop_has_16_px_at_least_whatever_the_stride():
    generator = changed("train")["train"]["generator"] | {"patch": 1, "scales": 1}
    for crop in (0, 16, 17):
        assert check(changed("train", generator=generator, crop=crop), Path("mine.yaml")).train.crop == crop
    with pytest.raises(UserError, match="train.crop is 15; expected 0, or from 16 on a multiple of 1, the generator's"):
        check(changed("train", generator=generator, crop=15), Path("mine.yaml"))


@pytest.mark.parametrize(
    ("losses", "discriminator", "line"),
    [
        ({"feature_matching": 0.5}, {}, "train.losses.feature_matching is 0.5; expected 0, or projected as train.disc"),
        (
            {"feature_matching": 0.5, "adversarial": 0.0},
            {"design": "projected"},
            "train.losses.feature_matching is 0.5; expected 0, or train.losses.adversarial above 0$",
        ),
        ({}, {"design": "projected", "norm": "batch"}, "train.discriminator.norm is batch; expected none, or patchgan"),
    ],
)
def test_what_would_have_no_effect_is_refused(losses, discriminator, line):
    train = changed("train")["train"]
    wrong = {"losses": train["losses"] | losses, "discriminator": train["discriminator"] | discriminator}
    with pytest.raises(UserError, match=rf"^mine.yaml: {line}"):
        check(changed("train", **wrong), Path("mine.yaml"))


@pytest.mark.parametrize(
    ("lowres", "judge", "exact", "line"),
    [
        (2.0, "patchgan", 1.0, "corrupt.weights.lowres is 2.0; expected 0, or another train.generator.design than det"),
        (0.0, "projected", 1.0, "train.discriminator.design is projected; expected patchgan, or 0 as train.losses.adv"),
        (0.0, "patchgan", 0.9, r"corrupt.margin is \[0.0, 0.031\]; expected \[0.0, 0.0\], or 1 as corrupt.exact"),
    ],
)
def test_a_detector_needs_damage_masks_that_fit_and_pictures_to_look_at(lowres, judge, exact, line):
    values = YAML(typ="safe", pure=True).load(YAML_TEXT)
    values["train"]["generator"]["design"] = "detector"
    values["corrupt"]["weights"]["lowres"], values["corrupt"]["exact"] = 0.0, 1.0
    assert check(values, Path("mine.yaml")).train.generator.design == "detector"
    values["corrupt"]["weights"]["lowres"], values["train"]["discriminator"]["design"] = lowres, judge
    values["corrupt"]["exact"] = exact
    with pytest.raises(UserError, match=rf"^mine.yaml: {line}"):
        check(values, Path("mine.yaml"))


@pytest.mark.parametrize(
    ("side", "stain", "factors", "line"),
    [
        (128, 0.0, [2, 4], "corrupt.image_size is 128; expected a multiple of 12, the generator's stride"),
        (240, 1.0, [2, 4], "corrupt.weights.stain is 1.0; expected 0, or another train.generator.design than enlarger"),
        (240, 0.0, [2, 8], r"corrupt.lowres.factors are \[2, 8\]; expected none above 4, or another train.generator"),
    ],
)
def test_an_enlarger_needs_low_resolution_alone_and_sides_that_its_factors_divide(side, stain, factors, line):
    values = YAML(typ="safe", pure=True).load(YAML_TEXT)
    values["train"]["generator"]["design"], values["train"]["crop"] = "enlarger", 96
    values["corrupt"]["image_size"] = 240
    values["corrupt"]["weights"] = {kind: float(kind == "lowres") for kind in values["corrupt"]["weights"]}
    assert check(values, Path("mine.yaml")).train.generator.design == "enlarger"
    values["corrupt"]["image_size"], values["corrupt"]["weights"]["stain"] = side, stain
    values["corrupt"]["lowres"]["factors"] = factors
    with pytest.raises(UserError, match=rf"^mine.yaml: {line}"):
        check(values, Path("mine.yaml"))


def test_what_learns_from_degraded_pictures_has_the_same_needs():
    values = YAML(typ="safe", pure=True).load(YAML_TEXT)
    values["train"]["generator"]["design"], values["train"]["crop"] = "enlarger", 96
    values["corrupt"] |= {"image_size": 240, "degraded": {"factors": [2, 8]}}
    values["corrupt"]["weights"] = {kind: float(kind == "degraded") for kind in values["corrupt"]["weights"]}
    with pytest.raises(UserError, match=r"^mine.yaml: corrupt.degraded.factors are \[2, 8\]; expected none above 4"):
        check(values, Path("mine.yaml"))
    values["train"]["generator"]["design"] = "detector"
    with pytest.raises(UserError, match=r"^mine.yaml: corrupt.weights.degraded is 1.0; expected 0, or another train"):
        check(values, Path("mine.yaml"))


def test_a_detector_learns_from_pairs_that_are_kept():
    values = YAML(typ="safe", pure=True).load(YAML_TEXT)
    values["corrupt"]["weights"]["lowres"], values["corrupt"]["exact"], values["corrupt"]["variants"] = 0.0, 1.0, 0
    assert not check(values, Path("mine.yaml")).corrupt.variants
    values["train"]["generator"]["design"] = "detector"
    with pytest.raises(UserError, match=r"^mine.yaml: corrupt.variants is 0; expected 1 or more, or another train.gen"):
        check(values, Path("mine.yaml"))


@pytest.mark.parametrize(
    ("section", "wrong", "line"),
    [
        (
            "domains",
            {"by": "none"},
            "corrupt.domains.by is none; expected rendering, damage, folders or categories, or",
        ),
        ("domains", {"by": "damage"}, "corrupt.weights.lowres is 2.0; expected 0: a translator keeps the size"),
        ("domains", {"folders": ["a", "a"]}, r"corrupt.domains.folders is \['a', 'a'\]; expected each value once"),
        ("domains", {"folders": ["a"]}, r"corrupt.domains.folders is \['a'\]; expected text"),
        ("domains", {"categories": [["dog"], ["cat", "dog"]]}, "corrupt.domains.categories is .*; expected each value"),
        ("losses", {"adversarial": 0.0}, "train.losses.adversarial is 0; expected above 0"),
        ("generator", {"design": "residual"}, "corrupt.domains.by is rendering; expected none, or translator as train"),
    ],
)
def test_a_translator_needs_two_domains_and_a_discriminator(section, wrong, line):
    values = YAML(typ="safe", pure=True).load(YAML_TEXT)
    values["train"]["generator"]["design"], values["corrupt"]["domains"]["by"] = "translator", "rendering"
    assert check(values, Path("mine.yaml")).corrupt.domains.by == "rendering"
    (values["corrupt"] if section == "domains" else values["train"])[section] |= wrong
    with pytest.raises(UserError, match=rf"^mine.yaml: {line}"):
        check(values, Path("mine.yaml"))


def test_pixels_that_are_not_looked_at_cannot_be_copied():
    generator = changed("train")["train"]["generator"] | {"see_through": False}
    assert not check(
        changed("train", generator=generator | {"copy_pixels": False}), Path("m")
    ).train.generator.see_through
    with pytest.raises(
        UserError, match="^mine.yaml: train.generator.copy_pixels is true; expected false, or true as see"
    ):
        check(changed("train", generator=generator | {"copy_pixels": True}), Path("mine.yaml"))


def test_a_corruption_must_have_weight(tmp_path):
    weights = dict.fromkeys(Weights.model_fields, 0)
    with pytest.raises(UserError, match=r"corrupt\.weights is .*; expected one of them above 0"):
        load_with(("corrupt", "weights"), str(weights), tmp_path)


def refused(text: str | bytes, folder: Path) -> str:
    """The one line about a file of parameters."""
    (folder / "params.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as error:
        load(folder / "params.yaml")
    line = str(error.value)
    assert len(line.splitlines()) == 1
    assert len(line) < 400
    return line.removeprefix(f"{folder}/")


LINE_OF_LR = 1 + YAML_TEXT[: YAML_TEXT.index("  lr:")].count("\n")
AT_LR = f"params.yaml: not YAML: line {LINE_OF_LR}, column 7: "
IN_LR = f"params.yaml: not YAML: line {LINE_OF_LR}, column 10: "


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (".nan", "params.yaml: train.lr is nan; expected above 0"),
        (".inf", "params.yaml: train.lr is inf; expected above 0"),
        ("true", "params.yaml: train.lr is True; expected above 0"),
        ("null", "params.yaml: train.lr is None; expected above 0"),
        ("2020-01-01", "params.yaml: train.lr is datetime.date(2020, 1, 1); expected above 0"),
        ("1:30", "params.yaml: train.lr is '1:30'; expected above 0"),
        ("0x" + "f" * 5000, "params.yaml: train.lr is a number of thousands of digits; expected above 0"),
        ("x" * 5000, "params.yaml: train.lr is 'xxx"),
        ("[" + "1, " * 5000 + "1]", "params.yaml: train.lr is [1, 1"),
        ("2020-13-45", AT_LR + "'2020-13-45' is no timestamp; mend it"),
        ("2020-02-30 10:00:00", AT_LR + "'2020-02-30 10:00:00' is no timestamp; mend it"),
        ("!!int x", AT_LR + "'x' is no int; mend it"),
        ("!!float x", AT_LR + "'x' is no float; mend it"),
        ("!!bool x", AT_LR + "'x' is no bool; mend it"),
        ("!!int " + "x" * 5000, AT_LR + "'xxx"),
        ("1" * 5000, AT_LR + "'111"),
        ("!!python/object/apply:os.getpid []", AT_LR + "could not determine a constructor for the tag"),
        ("*none", AT_LR + "found undefined alias 'none'"),
        ('"\\ud800"', "params.yaml: train.lr is '\\ud800'; expected above 0"),
        ('"\\ud83d\\ude00"', "params.yaml: train.lr is '\\ud83d\\ude00'; expected above 0"),
        ('"\\U00110000"', IN_LR + "no such character or version (chr() arg not in range"),
        ('"\\UFFFFFFFF"', IN_LR + "no such character or version (Python int too large"),
        ("!!omap [a: 1, a: 2]", "params.yaml: not YAML: a value is not what its tag says; mend it"),
    ],
    ids=lambda text: text[:20],
)
def test_a_value_that_makes_no_sense_is_told_with_its_place(value, line, tmp_path):
    text = re.sub(r"\n  lr: \S+ ", lambda _: f"\n  lr: {value} ", YAML_TEXT, count=1)
    assert refused(text, tmp_path).startswith(line)


@pytest.mark.parametrize("value", ["null", "1", "[]", "[1]", "{}", "[[a]]", "[http://a, null]"])
def test_a_host_that_is_none_is_refused(value, tmp_path):
    line = refused(YAML_TEXT.replace("base_url: http://images.cocodataset.org", f"base_url: {value}"), tmp_path)
    assert re.match(r"params.yaml: download.coco.base_url is .*; expected text or list: of text", line)


@pytest.mark.parametrize("key", ["patch: 2", "factors: [2, 4]"])
@pytest.mark.parametrize("value", ["true", "2.0", "4.0", "'4'"])
def test_what_only_looks_like_a_number_of_a_choice_is_refused(key, value, tmp_path):
    name, _, before = key.partition(": ")
    line = refused(YAML_TEXT.replace(key, f"{name}: {f'[{value}]' if '[' in before else value}"), tmp_path)
    assert re.match(rf"params.yaml: \S+{name}\S* is .*; expected ", line)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("''", "text that is not empty"),
        ('" "', "text that is not empty"),
        ('"a\\0"', "text without line ends, control characters and lone surrogates"),
        ('"a\\nb"', "text without line ends, control characters and lone surrogates"),
        ('"\\ud800"', "text without line ends, control characters and lone surrogates"),
        ("2024", "text, so put it in quotes"),
        ("2024-01-01", "text, so put it in quotes"),
        ("true", "text, so put it in quotes"),
        ("null", "text"),
        ("[a]", "text"),
    ],
)
@pytest.mark.parametrize("key", ["path: photos ", "init: models/general "])
def test_a_name_of_a_folder_is_text(key, value, wanted, tmp_path):
    line = refused(YAML_TEXT.replace(key, key.split()[0] + f" {value} ", 1), tmp_path)
    assert line.endswith(f"; expected {wanted}")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "params.yaml: holds None; expected the sections download, corrupt, train, evaluate, tracking"),
        ("3", "params.yaml: holds 3; expected the sections"),
        ("- 1", "params.yaml: holds [1]; expected the sections"),
        ("a: [", "params.yaml: not YAML: line 1, column 5: "),
        ("a:\n\tb: 1", "params.yaml: not YAML: line 2, column 1: "),
        ("a: 1\na: " + "x" * 5000, "params.yaml: not YAML: line 2, column 1: "),
        ("a: 1\n---\na: 2", "params.yaml: not YAML: line 2, column 1: "),
        ("? {a: 1}\n: 1", "params.yaml: not YAML: line 1, column 3: "),
        ("<<: 1", "params.yaml: not YAML: line 1, column 5: "),
        ("a: " + "[" * 3000, "params.yaml: n"),
        ("a: " + "[" * 3000 + "]" * 3000, "params.yaml: nested more than 20 deep"),
        ("a: " + "{b: " * 3000 + "}" * 3000, "params.yaml: nested more than 20 deep"),
        ("%YAML 1.99999999999999999999999\n---\na: 1", "params.yaml: not YAML: version minor part can only be 2 or 1"),
        (
            "%YAML " + "1" * 5000 + ".1\n---\na: 1",
            "params.yaml: not YAML: line 1, column 7: no such character or version",
        ),
        ("\x00", "params.yaml: not text at position 0: "),
        (bytes(range(256)) * 9, "params.yaml: not text at position 128: "),
        ("a: 1".encode("utf-16-le"), "params.yaml: not text at position 1: "),
        ("path: café".encode("latin-1"), "params.yaml: not text at position 9: "),
    ],
    ids=lambda text: repr(text)[:20],
)
def test_a_file_that_holds_no_parameters_is_refused_in_one_line(text, line, tmp_path):
    assert refused(text, tmp_path).startswith(line)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("batsch: 3", "batsch"),
        ("? " + "x" * 900 + "\n: 1", "x" * 100 + "..." + "x" * 50),
        ('"a\\nb": 1', r"a\nb"),
        ("? [a]\n: 1", "('a',)"),
        ("2: 1", "2"),
        ("null: 1", "None"),
        ("<<: {a: 1}", "a"),
    ],
)
def test_a_key_that_is_no_parameter_is_named(text, key, tmp_path):
    line = refused(f"{YAML_TEXT}\n{text}\n", tmp_path)
    assert line == f"params.yaml: {key} is not a parameter; remove it, or check its spelling"


@pytest.mark.parametrize("form", ["[{}]", "{{<<: [{}]}}", "!!omap [a: [{}]]"])
def test_aliases_of_aliases_are_not_followed(form, tmp_path):
    laughs = "l0: &l0 {x: y}\n"
    for number in range(1, 12):
        laughs += f"l{number}: &l{number} {form.format(', '.join([f'*l{number - 1}'] * 9))}\n"
    for text in (laughs + YAML_TEXT, laughs + YAML_TEXT.replace("categories: []", "categories: *l11")):
        assert refused(text, tmp_path) == "params.yaml: more than 20 aliases (*name); write the values themselves"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_of_the_byte_order_is_heeded(encoding, tmp_path):
    (tmp_path / "params.yaml").write_bytes(YAML_TEXT.encode(encoding))
    assert load(tmp_path / "params.yaml") == load(ROOT / "params.yaml")


def test_a_few_aliases_and_merge_keys_are_fine(tmp_path):
    text = YAML_TEXT.replace("  val: 0.1 ", "  val: &share 0.2 ").replace("  test: 0.1 ", "  test: *share ")
    (tmp_path / "params.yaml").write_text(text.replace("  losses:\n", "  losses:\n    <<: {l1: 1.0}\n"))
    assert load(tmp_path / "params.yaml").corrupt.test == 0.2


def test_a_folder_in_the_place_of_the_file_is_one_line(tmp_path):
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(UserError, match=r"params.yaml: Is a directory; expected a file, and it is a folder$"):
        load(tmp_path / "params.yaml")


# what works in params.yaml, in single quotes, and in a shell in quotes within quotes
NAMES = ["my photos", "été", "写真 🙂", "it's", 'say "hi"', "a, b", "[x]", "{a}", "a: b", "#1", "a=b", "2024", "~", "*"]


@pytest.fixture(scope="module")
def dvc_repository(tmp_path_factory):
    from dvc.repo import Repo

    folder = tmp_path_factory.mktemp("dvc")
    stage = {"cmd": "true", "deps": ["${download.folder.path}"]}
    YAML().dump({"stages": {"download": stage}}, folder / "dvc.yaml")
    Repo.init(str(folder), no_scm=True).close()
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_dvc_takes_a_folder_of_any_name_in_quotes(name, dvc_repository):
    from dvc.repo import Repo
    from dvc.utils.hydra import apply_overrides

    params = dvc_repository / "params.yaml"
    quoted = name.replace("'", "''")
    for text, override in {
        YAML_TEXT.replace("path: photos ", f"path: '{quoted}' "): [],
        YAML_TEXT: [f'download.folder.path="{name.replace(chr(34), chr(92) + chr(34))}"'],
    }.items():
        params.write_text(text)
        apply_overrides(params, override)  # what `dvc exp run -S` does
        assert load(params).download.folder.path == name
        with Repo(str(dvc_repository)) as repo:
            (stage,) = repo.index.stages
            assert [dep.def_path for dep in stage.deps] == [name]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_refuses_a_bad_value_of_any_section_before_any_work(stage, tmp_path):
    (tmp_path / "params.yaml").write_text(YAML_TEXT.replace("rows: 16", "rows: none"))
    done = subprocess.run(
        [sys.executable, "-m", f"pipeline.{stage}"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "error: params.yaml: evaluate.rows is 'none'; expected 1 to 64\n"
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_dvc_changes_one_line_for_one_parameter(tmp_path):
    path = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", path)
    with modify_yaml(path) as params:  # what exp run -S does
        params["train"]["lr"] = 0.0005
    before, after = (file.read_text().splitlines() for file in (ROOT / "params.yaml", path))
    assert [new.split("#")[0].strip() for old, new in zip(before, after, strict=True) if old != new] == ["lr: 0.0005"]
