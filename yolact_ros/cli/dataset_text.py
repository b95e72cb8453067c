# SPDX-License-Identifier: Apache-2.0
"""The text that `yolact-ros dataset check` and `split` print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from yolact_ros.datasets.coco import CocoDataset
from yolact_ros.datasets.grouping import groups_by
from yolact_ros.datasets.mending.causes import Problem
from yolact_ros.datasets.split import missing_classes
from yolact_ros.datasets.statistics import DatasetStatistics

_FRAMES = 5  # images that groups of one name have on average, from which on they look like frames

COLUMNS = ("class", "objects", "images", "small", "medium", "large", "median side", "crowds")


def headline(dataset: CocoDataset, statistics: DatasetStatistics) -> str:
    """Describe the data set in one line."""
    text = f"{dataset.annotation_file.name}: {statistics.images} images, {statistics.objects} "
    text += f"objects of {len(statistics.classes)} classes"
    return text + (f", {statistics.crowds} crowd regions" if statistics.crowds else "")


def class_rows(statistics: DatasetStatistics) -> list[list[str]]:
    """Return a row of `COLUMNS` for each class."""
    return [
        [
            each.name,
            *(str(n) for n in (each.objects, each.images, each.small, each.medium, each.large)),
            f"{each.median_side:.0f} px" if each.objects else "-",
            str(each.crowds),
        ]
        for each in statistics.classes
    ]


def grouped(problems: Sequence[Problem]) -> dict[tuple[bool, str], list[Problem]]:
    """Group problems by severity and kind, errors first."""
    groups: dict[tuple[bool, str], list[Problem]] = {}
    for problem in sorted(problems, key=lambda problem: not problem.fatal):
        groups.setdefault((problem.fatal, problem.kind), []).append(problem)
    return groups


def heading(group: Sequence[Problem]) -> str:
    """Name a group of problems, and what is done about them."""
    first = group[0]
    word = "error" if first.fatal else "warning"
    done = f"{'mend: ' if first.fatal else ''}{first.action}"
    return f"{word}: {first.kind}: {len(group)}" + (f" ({done})" if first.action else "")


def problem_lines(
    problems: Sequence[Problem], hints: Mapping[str, Sequence[str]], shown: int
) -> Iterator[str]:
    """List the groups of problems with their counts.

    Args:
        problems: Errors and warnings.
        hints: Guesses at the origin and the remedy, by kind of problem.
        shown: Maximum number of problems written out per group; 0: all.
    """
    for (_, kind), group in grouped(problems).items():
        yield heading(group)
        yield from (f"  -> {hint}" for hint in hints.get(kind, ()))
        limit = shown or len(group)
        yield from (f"  {problem}" for problem in group[:limit])
        if len(group) > limit:
            yield f"  ... and {len(group) - limit} more (--show 0 shows all)"


def statistics_lines(statistics: DatasetStatistics) -> Iterator[str]:
    """Tabulate the classes and list the image sizes."""
    yield from _table_lines([list(COLUMNS), *class_rows(statistics)])
    yield "small: below 32x32 pixels, large: 96x96 or more; median side: root of the box's area"
    sizes = [f"{w}x{h} ({count})" for (w, h), count in statistics.image_sizes.items()]
    more = f" and {len(sizes) - 5} other sizes" if len(sizes) > 5 else ""
    yield f"image sizes: {', '.join(sizes[:5])}{more}"
    if statistics.images:
        counts = list(statistics.objects_per_image)
        mean = statistics.objects / statistics.images
        yield f"objects per image: {counts[0]} to {counts[-1]}, {mean:.1f} on average"


def split_lines(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Count the images and the objects of each class, crowds included, in each part."""
    categories = sorted(next(iter(parts.values()))["categories"], key=lambda each: each["id"])
    counts = {
        name: Counter(annotation["category_id"] for annotation in part["annotations"])
        for name, part in parts.items()
    }
    yield from _table_lines(
        [
            ["", *parts],
            ["images", *(str(len(part["images"])) for part in parts.values())],
            *(
                [each["name"], *(str(counts[name][each["id"]]) for name in parts)]
                for each in categories
            ),
        ]
    )


def split_remarks(parts: Mapping[str, Mapping[str, Any]], by: str | None) -> Iterator[str]:
    """Warn of classes that a part lacks, and of recordings that are in several parts."""
    for name, classes in missing_classes(parts).items():
        yield f"warning: {name} shows no {', '.join(classes)}: too few images of it to go round"
    images = [image for part in parts.values() for image in part["images"]]
    recordings = set(groups_by(images, "recording"))
    if by is None and 1 < len(recordings) <= len(images) / _FRAMES:
        yield (
            f"the names look like frames of {len(recordings)} recordings: --by recording keeps "
            "each in one part"
        )


def _table_lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *others = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join([first, *others])


def verdict(problems: Sequence[Problem], *, mendable: bool) -> str:
    """Sum up in one line.

    Args:
        problems: Errors and warnings.
        mendable: Whether something is left without what has errors.
    """
    errors = sum(problem.fatal for problem in problems)
    warnings = len(problems) - errors
    counts = ", ".join(
        f"{count} {word}{'s' * (count != 1)}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    )
    if errors:
        text = f"{counts}: fix the errors before training on this data set"
        return text + (", or mend them with `yolact-ros dataset mend`" if mendable else "")
    return f"{counts}: it can be trained on" if counts else "no problems found"
