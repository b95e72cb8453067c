# SPDX-License-Identifier: Apache-2.0
"""What every option of every command shows, and that wrong values need no torch to be refused."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from yolact_ros import choices
from yolact_ros.cli.main import build_parser
from yolact_ros.cli.options import (
    CommandParser,
    HelpFormatter,
    ImageSize,
    file_ending,
    image_size,
    natural,
    output_file,
    output_folder,
    parallel,
    positive_int,
)
from yolact_ros.scenes.scene import SCENE_CLASSES
from yolact_ros.training.data.augmentation import augmentation_named
from yolact_ros.training.recipe import RECIPES


def commands(parser: CommandParser) -> Iterator[CommandParser]:
    """A parser and those of all its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from commands(each)


COMMANDS = {parser.prog: parser for parser in commands(build_parser())}


def options(parser: CommandParser) -> list[argparse.Action]:
    """Everything that can be given, but for --help, --version and the name of a command."""
    without = (argparse._HelpAction, argparse._VersionAction, argparse._SubParsersAction)
    return [action for action in parser._actions if not isinstance(action, without)]


OPTIONS = [
    pytest.param(parser, action, id=f"{prog} {'/'.join(action.option_strings) or action.dest}")
    for prog, parser in COMMANDS.items()
    for action in options(parser)
]

FREE_WORDS = {"--class-names", "--weights-class-names", "--endpoint", "--parameter", "--topics"}
"""Take any words: names that the user made, an address; checked where they are used."""


SOURCES = ("labelled", "masks", "lab", "yard")
"""Folders that examples of `dataset import` and `merge` name."""


def shown_help(parser: CommandParser, action: argparse.Action) -> str:
    formatter = HelpFormatter(parser.prog, width=10_000)
    return formatter._expand_help(action)


def test_all_commands_are_walked_over() -> None:
    assert len(COMMANDS) >= 18 and len(OPTIONS) > 130
    assert {"yolact-ros weights inspect", "yolact-ros dataset synth"} <= set(COMMANDS)


@pytest.mark.parametrize(("parser", "action"), OPTIONS)
def test_the_help_is_a_sentence_with_the_default(
    parser: CommandParser, action: argparse.Action
) -> None:
    text = shown_help(parser, action)
    assert re.fullmatch(r"[A-Z].*\.", text)
    assert len(text.split()) >= 4
    assert "default" not in (action.help or "")  # the formatter says it, and nobody by hand
    default = action.default
    if isinstance(default, bool) or default in (None, (), argparse.SUPPRESS):
        assert "(default" not in text
    else:
        words = map(str, default) if isinstance(default, list) else [str(default)]
        assert text.endswith(f" (default: {' '.join(words)}).")


@pytest.mark.parametrize(("parser", "action"), OPTIONS)
def test_an_option_that_takes_words_knows_which(
    parser: CommandParser, action: argparse.Action
) -> None:
    if action.nargs == 0 or action.choices or set(action.option_strings) & FREE_WORDS:
        return
    if action.dest == "classes":  # the network's or the data set's, known when they are loaded
        return
    assert action.type is not None, "expected choices, or a type that checks"


@pytest.mark.parametrize("prog", COMMANDS)
def test_two_examples_parse(
    prog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder that has the files they name."""
    monkeypatch.chdir(tmp_path)
    parser = COMMANDS[prog]
    assert len(parser.examples) >= 2
    for example in parser.examples:
        assert f"\n  {example}\n" in parser.format_help()
        words = shlex.split(example)
        assert " ".join(words).startswith(prog)
        for word in words:
            folder = word in ("pictures", "pictures/", "scenes/val/images", *SOURCES)
            if folder:
                Path(word).mkdir(parents=True, exist_ok=True)
            elif re.search(r"\.(json|onnx|pth|safetensors|png|mp4|yaml)$", word):
                Path(word).parent.mkdir(parents=True, exist_ok=True)
                Path(word).touch()
        if "--help" in words:
            with pytest.raises(SystemExit) as ending:
                build_parser().parse_args(words[1:])
            assert ending.value.code == 0
        else:
            assert callable(build_parser().parse_args(words[1:]).run)


def test_the_choices_are_those_of_training_and_scenes() -> None:
    assert tuple(RECIPES) == choices.RECIPES
    assert set(SCENE_CLASSES) >= set(choices.EXTRA_KINDS)
    for name in choices.AUGMENTATIONS:
        augmentation_named(name)


def test_sizes_are_width_x_height() -> None:
    size = image_size("1280x720")
    assert size == (720, 1280) and (size.width, size.height) == (1280, 720)
    assert str(size) == "1280x720"
    for text in ("1280", "0x5", "1280x720x3", "1280X720", " 1280x720"):
        with pytest.raises(argparse.ArgumentTypeError, match="WIDTHxHEIGHT in pixels, such as"):
            image_size(text)


@pytest.fixture(scope="module")
def without_torch() -> Any:
    """Runs commands in one process that cannot import torch or OpenCV; their statuses and texts."""
    code = """
import contextlib, io, json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "cv2"):
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
from yolact_ros.cli.main import main

ended = []
for words in json.load(sys.stdin):
    with contextlib.redirect_stderr(io.StringIO()) as text, contextlib.redirect_stdout(text):
        try:
            status = main(words)
        except SystemExit as ending:
            status = ending.code
    ended.append([status, text.getvalue()])
json.dump(ended, sys.stdout)
"""

    def run(*lines: list[str]) -> list[tuple[int, str]]:
        result = subprocess.run(
            [sys.executable, "-c", code], input=json.dumps(lines), capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
        return [(status, text) for status, text in json.loads(result.stdout)]

    return run


def wrong_value(action: argparse.Action) -> str | None:
    """What the option has to refuse; None if it takes any text."""
    if action.nargs == 0 or (action.type in (None, Path) and not action.choices):
        return None
    name = getattr(action.type, "expected", "")
    if "a file name, not a folder" in name:
        return "/"
    if "a folder, not a file" in name:
        return f"{__file__}/folder"
    if "a regular expression" in name:
        return "(wrong"
    return "-7.5:wrong"


def refused(check: Any, text: str) -> str:
    with pytest.raises(argparse.ArgumentTypeError) as error:
        check(text)
    return str(error.value)


def test_no_number_is_too_large_for_what_it_is_handed_to() -> None:
    for kind in (positive_int, natural):
        assert kind(str(2**31 - 1)) == 2**31 - 1
        assert refused(kind, str(2**31)) == "expected an integer below 2147483648, got '2147483648'"


def test_processes_and_threads_are_as_many_as_the_cores_bear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for cores, most in ((1, 16), (4, 16), (5, 20), (64, 256)):
        monkeypatch.setattr("yolact_ros.cli.options.usable_cores", lambda: cores)  # noqa: B023
        kind = parallel(0)
        assert kind("0") == 0 and kind(str(most)) == most
        text = f"expected an integer from 0 to {most}, as this process may use {cores} cores"
        for wrong in (str(most + 1), "-1"):
            assert refused(kind, wrong) == f"{text}, got '{wrong}'"


def test_outputs_are_where_files_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o777)
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    for name in ("new", "new/in/new", "."):
        assert output_folder(str(tmp_path / name)) == tmp_path / name
    for name in ("file", "file/in", "gone", "gone/in"):
        assert "a folder, not a file, where" in refused(output_folder, str(tmp_path / name))
    for kind in (output_file, file_ending(".json")):
        for name in ("new.json", "new/in/new.json"):
            assert kind(str(tmp_path / name)) == tmp_path / name
        for name in ("file/x.json", "gone/x.json"):
            assert "where files may be written" in refused(kind, str(tmp_path / name))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_outputs_are_where_this_user_may_write(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    for name in ("closed", "closed/in"):
        refused(output_folder, str(tmp_path / name))
    refused(output_file, str(tmp_path / "closed" / "x.json"))


@pytest.mark.slow
def test_wrong_values_are_refused_without_torch(without_torch: Any) -> None:
    """Each option that checks its value, in the place of a complete command."""
    wrong = [
        (prog, action, value)
        for prog, parser in COMMANDS.items()
        for action in options(parser)
        if action.option_strings and (value := wrong_value(action)) is not None
    ]
    assert len(wrong) > 90
    ended = without_torch(
        *(
            [*prog.split()[1:], f"{action.option_strings[0]}={value}"]
            for prog, action, value in wrong
        )
    )
    for (prog, action, value), (status, text) in zip(wrong, ended, strict=True):
        assert status == 2, (prog, action.option_strings, text)
        [line] = text.splitlines()
        assert line.startswith(f"{prog}: {action.option_strings[0]}: ")
        assert repr(value) in line and line.endswith(f"; see {prog} --help")


def test_help_and_version_need_neither_torch_nor_opencv(without_torch: Any) -> None:
    lines = [[*prog.split()[1:], "--help"] for prog in COMMANDS]
    for status, text in without_torch(["--version"], *lines):
        assert status == 0, text


def test_the_blocker_blocks(without_torch: Any) -> None:
    [(status, text)] = without_torch(["presets"])
    assert status == 1 and "torch is blocked" in text


def test_defaults_in_help_of_any_kind() -> None:
    parser = CommandParser(prog="x")
    parser.add_argument("--share", default="50%", help="A share of all.")
    parser.add_argument("--size", default=ImageSize(width=4, height=3), help="Size of the image.")
    parser.add_argument("--names", nargs="+", default=["a", "b"], help="Names of the parts.")
    parser.add_argument("--none", default=None, help="Nothing by default here.")
    parser.add_argument("--no-more", dest="more", action="store_false", help="No more of it.")
    text = " ".join(parser.format_help().split())
    assert "A share of all (default: 50%)." in text
    assert "Size of the image (default: 4x3)." in text
    assert "Names of the parts (default: a b)." in text
    assert "Nothing by default here. --no-more No more of it." in text
