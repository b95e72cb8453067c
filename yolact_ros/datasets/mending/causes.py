# SPDX-License-Identifier: Apache-2.0
"""What can be wrong in a data set: the causes, and what the mended set has in their place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One error or warning.

    Attributes:
        kind: Heading shared by problems of the same kind.
        where: The image, annotation or category; empty for the file as a whole.
        text: What was expected and what was found.
        fatal: Whether it is an error, which rules out training and evaluation, or a warning.
        action: What is done about it, such as "left out": by every reader where it is a warning, by
            `mend` where it is an error; empty if nothing is.
    """

    kind: str
    where: str
    text: str
    fatal: bool = True
    action: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


@dataclass(frozen=True)
class Cause:
    """Why something is left out or put right.

    Attributes:
        kind: Heading of its problems.
        action: What is done about it.
        fatal: Whether only `mend` does it. Otherwise the file says the same in another form, or
            the object would be lost anyway, and every reader does it.
        hint: The usual origin, and what else can be done about it.
    """

    kind: str
    action: str
    fatal: bool = False
    hint: str = ""


@dataclass
class Findings:
    """The problems found so far.

    Attributes:
        problems: In the order in which they were found.
        hints: Guesses at the origin and the remedy, by kind of problem.
    """

    problems: list[Problem] = field(default_factory=list)
    hints: dict[str, list[str]] = field(default_factory=dict)

    def add(self, cause: Cause, where: str, text: str) -> None:
        """Add a problem, and the hint that all of its kind share."""
        self.problems.append(Problem(cause.kind, where, text, cause.fatal, cause.action))
        if cause.hint:
            self.hints.setdefault(cause.kind, [cause.hint])

    def guess(self, cause: Cause, text: str) -> None:
        """Add a guess at the origin of all problems of a cause."""
        self.hints.setdefault(cause.kind, []).append(text)


def count_by_cause(problems: Iterable[Problem]) -> dict[str, int]:
    """Count what was left out or put right, by kind and action."""
    counts: dict[str, int] = {}
    for problem in problems:
        if problem.action:
            text = f"{problem.kind}, {problem.action}"
            counts[text] = counts.get(text, 0) + 1
    return counts


def mismatch(field: str, expected: str, value: Any) -> str:
    """Say what a field should hold and what it holds, shortened."""
    text = f"expected {expected}, got {brief(value)}"
    return f"{field}: {text}" if field else text


def brief(value: Any) -> str:
    """Show a value of the file, shortened."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def share(count: int, total: int) -> str:
    """Say how many of all: "all 6" or "2 of 6"."""
    return f"all {count}" if count == total else f"{count} of {total}"


# What is written in another form than COCO's, and means the same.
TEXT_NUMBERS = Cause("numbers as text or with a fraction", "read as numbers")
NULL_FIELDS = Cause("null fields", "read as absent")
TEXT_IDS = Cause("ids that are no numbers", "numbered anew")
NO_IDS = Cause("annotations without ids", "numbered")
DUPLICATE_IDS = Cause("duplicate ids of annotations", "numbered anew")
NAMES_AS_IDS = Cause("references by name", "replaced by the id")
LISTED_TWICE = Cause("entries that are listed twice", "left out")
NO_SIZES = Cause("images without width and height", "read from the picture")
OTHER_FORMS = Cause("outlines in another form", "read as polygons")
ABSURD_AREAS = Cause("areas that do not fit the outline", "computed from the outline")
BOXES_MISFIT = Cause("boxes that do not fit", "computed from the outline")
BOXES_EMPTY = Cause("boxes without area", "computed from the outline")
# What no mask can be learnt from, beside or instead of what one can.
DEGENERATE_PARTS = Cause(
    "degenerate parts beside good ones",
    "left out",
    hint="annotation tools leave stray clicks, and turn circles and lines into two points",
)
ZERO_AREAS = Cause("outlines without area", "left out")
SUPERCATEGORIES = Cause(
    "supercategories among the classes",
    "left out",
    hint="Roboflow writes the project's name as a category of its own, which has no objects",
)
BACKGROUNDS = Cause(
    "background among the classes",
    "left out",
    hint="LabelMe's exports begin with such a category; the network has its own background",
)

# Errors.
NO_LISTS = Cause("lists", "", fatal=True)
NO_ENTRIES = Cause("fields", "left out", fatal=True)
NO_NAMES = Cause("categories without a name", "left out", fatal=True)
SHARED_NAMES = Cause("categories of one name", "joined", fatal=True)
SHARED_IDS = Cause(
    "different entries with one id",
    "left out",
    fatal=True,
    hint="were files put together by hand? `yolact-ros dataset merge` numbers them anew",
)
NO_FILE_NAMES = Cause("images without a file name", "left out", fatal=True)
SHARED_FILES = Cause("images of one file", "left out but the first", fatal=True)
UNKNOWN_SIZES = Cause(
    "images of unknown size",
    "left out",
    fatal=True,
    hint="`yolact-ros dataset mend` reads it from the pictures",
)
MISSING_PICTURES = Cause("missing pictures", "left out", fatal=True)
MISPLACED_PICTURES = Cause("file names that lead nowhere", "put right", fatal=True)
UNREADABLE_PICTURES = Cause("image files", "left out", fatal=True)
NO_FOLDER = Cause("image files", "", fatal=True)
UNKNOWN_IMAGES = Cause("annotations of unknown images", "left out", fatal=True)
UNKNOWN_CATEGORIES = Cause("annotations of unknown categories", "left out", fatal=True)
STRANGE_CROWDS = Cause("values of iscrowd", "left out", fatal=True)
NO_OUTLINES = Cause(
    "boxes without outlines",
    "left out",
    fatal=True,
    hint="masks cannot be learnt from boxes: outlines can be drawn, or made from the boxes with a "
    "tool such as Segment Anything",
)
DEGENERATE = Cause(
    "outlines of fewer than three points",
    "left out",
    fatal=True,
    hint="circles, lines and two-point rectangles (LabelMe's) become such outlines when exported",
)
FAULTY_OUTLINES = Cause("segmentations", "left out", fatal=True)
EMPTIED_PICTURES = Cause(
    "pictures whose outlines are all lost",
    "left out",
    fatal=True,
    hint="their objects would be learnt as background",
)
OUTSIDE = Cause("outlines outside the image", "left out", fatal=True)
NORMALISED = Cause(
    "normalised coordinates",
    "multiplied by the size of the picture",
    fatal=True,
    hint="all outlines have coordinates from 0 to 1: shares of the picture, not pixels",
)
CROWDS_ONLY = Cause(
    "crowds only",
    "read as objects",
    fatal=True,
    hint="nothing is learnt from crowds; CVAT marks every painted mask so",
)
CROWDS_AS_OBJECTS = Cause("crowd regions", "read as objects")
