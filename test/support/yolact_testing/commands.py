# SPDX-License-Identifier: Apache-2.0
"""The command lines in Markdown: found, and told apart by who runs them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = (
    *("yolact-ros", "ros2", "python", "python3", "pip", "pytest", "scripts/", "export", "sudo"),
    *("apt", "apt-get", "git", "colcon", "rosdep", "cd", "touch", "cat", "grep", "source", "."),
    *("docker", "cmake", "make", "nvcc", "nvidia-smi", "nvpmodel", "jetson_clocks", "tegrastats"),
    *("fastdds", "exiftool", "ffmpeg", "rviz2", "rqt", "gz", "curl", "wget", "unzip", "mkdir"),
    *("torchrun", "srun"),
)
"""What begins a command, of lines of which some are output or settings."""
MARKS = ("robot", "long")
"""`robot`: needs a robot, a camera or a node that runs. `long`: minutes, a GPU or a download."""
FOR_A_ROBOT = "On a robot"
"""A section whose heading begins so has that mark."""

_VARIABLE = re.compile(r"[A-Z_]+=\S*$")


@dataclass(frozen=True)
class Command:
    """One command line of a page.

    Attributes:
        page: Path of the page, from the project's folder.
        number: The line's number, from 1.
        words: The command's words, without variables before it and comments behind it.
        mark: One of `MARKS`, by the fence (```bash robot) or the section; or nothing.
        section: The heading above it.
    """

    page: str
    number: int
    words: tuple[str, ...]
    mark: str
    section: str

    @property
    def text(self) -> str:
        """The words as one line."""
        return shlex.join(self.words)

    @property
    def is_pattern(self) -> bool:
        """Whether something is left out of it, to be filled in: `...` or `<URL>`."""
        return any(word == "..." or word.startswith("<") for word in self.words)


def commands_of(page: str, text: str) -> Iterator[Command]:
    """Find the commands in fenced and indented blocks.

    Raises:
        ValueError: A line of a block of bash is no command, or a mark is unknown; names the line.
    """
    for number, line, info, mark, section in _lines(page, text):
        words = _words(line)
        if words and _is_program(words[0]):
            yield Command(page, number, words, mark, section)
        elif words and info == "bash":
            raise ValueError(f"{page}:{number}: expected a command, got {line!r}")


def _lines(page: str, text: str) -> Iterator[tuple[int, str, str, str, str]]:
    """The whole lines in blocks, with number, the block's language and mark, and the section."""
    fenced, info, mark, section = False, "", "", ""
    begun, beginning = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("```"):
            fenced = not fenced
            info, _, mark = line[3:].strip().partition(" ") if fenced else ("", "", "")
            if mark not in ("", *MARKS):
                raise ValueError(f"{page}:{number}: expected a mark of {MARKS}, got {mark!r}")
            continue
        if not fenced and line.startswith("#"):
            section = line.strip("# ")
        if info not in ("", "bash") or not (fenced or line.startswith("    ")):
            continue
        begun, beginning = begun + line.strip(), beginning or number
        if begun.endswith("\\"):
            begun = begun[:-1]
            continue
        of_section = "robot" if section.startswith(FOR_A_ROBOT) else ""
        yield beginning, begun, info, mark or of_section, section
        begun, beginning = "", 0


def _words(line: str) -> tuple[str, ...]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return ()  # a sentence with an apostrophe
    while words and _VARIABLE.match(words[0]):
        del words[0]
    return tuple(words)


def _is_program(word: str) -> bool:
    return word.rpartition("/bin/")[2] in PROGRAMS or word.startswith("scripts/")


def written(pages: list[Path], root: Path) -> list[Command]:
    """All commands of these pages."""
    return [
        command
        for page in pages
        for command in commands_of(str(page.relative_to(root)), page.read_text())
    ]
