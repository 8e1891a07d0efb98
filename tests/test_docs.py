import re
import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.commands import mend_options
from pipeline.commands.main import COMMANDS
from pipeline.lineage import flatten

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = sorted(path for path in (ROOT / "docs").glob("*.md") if not path.stem.endswith("-credits"))
PAGES = [page for page in DOCS if page.name != "index.md"]
TEXTS = [README, ROOT / "CONTRIBUTING.md", *DOCS, *sorted((ROOT / "benchmarks").glob("*.md"))]
TO_BE_MADE = {"models/portraits"}  # by the reader

KEYS = flatten(YAML(typ="safe", pure=True).load(ROOT / "params.yaml"), ".")
SECTIONS = {key.rsplit(".", depth)[0] for key in KEYS for depth in range(1, key.count(".") + 1)}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
each_text = pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))


def content(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def code(path: Path) -> str:
    """What is in backticks and in fences, a line each."""
    return "\n".join(span.strip("`") for span in re.findall(r"```.*?```|`[^`]+`", content(path), re.DOTALL))


def links(path: Path) -> list[str]:
    prose = re.sub(r"```.*?```", "", content(path), flags=re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not link.startswith("http")]


def anchors(path: Path) -> set[str]:
    """Of its headings, as GitHub and mkdocs name them."""
    headings = re.findall(r"^#+ (.+)$", content(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_one_page():
    lines = content(README).splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 120] == []


@each_page
def test_a_page_is_found_from_the_readme_and_in_the_site(page):
    assert f"docs/{page.name}" in links(README)
    assert f": {page.name}\n" in content(ROOT / "mkdocs.yml")
    assert [line for line in content(page).splitlines() if len(line) > 120] == []


@each_text
def test_links_and_pictures_lead_somewhere(text):
    for link in links(text):
        name, _, anchor = link.partition("#")
        target = text.parent / name if name else text
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_text
def test_named_parameters_are_those_of_params_yaml(text):
    named = re.findall(r"`((?:download|corrupt|train|evaluate|tracking)(?:\.(?!json|py)\w+)+)`", content(text))
    assert set(named) <= KEYS.keys() | SECTIONS
    changed = re.findall(r"-S ['\"]?([\w.]+)=", code(text))
    assert set(changed) <= KEYS.keys()


@each_text
def test_named_files_are_there(text):
    rooms = "pipeline|mendline|tests|benchmarks|models|profiles|docs|photos"
    named = re.findall(rf"`((?:{rooms})/[a-z0-9_./-]*)`", content(text))
    assert [path for path in named if path not in TO_BE_MADE and not (ROOT / path).exists()] == []


@each_text
def test_named_modules_are_there(text):
    named = re.findall(r"python -m ((?:pipeline|benchmarks)[\w.]*)", content(text))
    assert [name for name in named if not (ROOT / name.replace(".", "/")).with_suffix(".py").exists()] == []


@each_text
def test_named_targets_are_those_of_make(text):
    targets = re.findall(r"^([a-z-]+):", content(ROOT / "Makefile"), re.MULTILINE)
    named = re.findall(r"^(?:\$ |[A-Z_]+=\S+ |time )?make ([a-z-]+)", code(text), re.MULTILINE)
    assert set(named) <= set(targets)


@each_text
def test_named_commands_are_those_of_mendline(text):
    named = re.findall(r"^(?:\$ )?mendline ([a-z]+)", code(text), re.MULTILINE)
    assert set(named) <= set(COMMANDS)


@each_text
def test_mend_takes_the_options_that_are_shown(text, monkeypatch):
    for line in re.findall(r"(?:^|\| )mend ([^|>\n]*(?:-o|--save-mask) [^|>\n]*)", code(text), re.MULTILINE):
        # of a guess it would ask, in a terminal
        monkeypatch.setattr("sys.argv", ["mend", *shlex.split(line, comments=True), "--yes"])
        mend_options.parse_options()
