"""What the pages say is there is there: links, pictures, commands and their flags, Python that compiles."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from lookalike.cli import root
from lookalike.recipe import recipes

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
NEW = {"hellinger", "wgan-lp", "mae,mse", "cross", "rarity", "factorised"}
"""What adding.md adds; it is not there yet."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.S | re.M)


def commands(page: Path) -> list[str]:
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    lines = [re.sub(r"^\$ (torchrun .* -m )?", "", line) for line in lines if line.startswith("$ ")]
    return [line.partition(" #")[0] for line in lines if line.startswith("lookalike ")]


COMMANDS = [(page.name, line) for page in PAGES for line in commands(page)]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_command_on_a_page_is_one_that_the_command_line_takes(page: str, line: str) -> None:
    words = shlex.split(line)[1:]
    if page == "adding.md" and NEW & set(words):
        return
    group = root()
    with click.Context(group) as context:
        name, command, rest = group.resolve_command(context, words)
        assert command is not None
        assert name is not None
        command.make_context(name, rest)  # raises on a flag or a value that is none
    if name == "train":
        assert words[1] in recipes()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_and_python_compiles(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), f"{page.name} links to {target}"
    for code in blocks(page, "python"):
        compile(code, page.name, "exec")


def test_pictures_are_small_and_all_are_shown() -> None:
    text = "".join(page.read_text() for page in PAGES)
    for picture in (ROOT / "docs" / "pictures").iterdir():
        assert picture.stat().st_size <= 100_000, picture.name
        assert f"pictures/{picture.name}" in text, f"{picture.name} is on no page"


def test_every_recipe_is_on_the_page_of_its_family() -> None:
    text = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert [name for name in recipes() if f"`{name}`" not in text] == []
