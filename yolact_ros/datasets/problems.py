# SPDX-License-Identifier: Apache-2.0
"""Finds the errors in a data set in COCO's format, and computes the set without them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from yolact_ros.errors import InputError

from .large_json import read_json
from .mending.annotations import Annotations
from .mending.categories import check_categories
from .mending.causes import NO_LISTS, Findings, Problem, count_by_cause, mismatch
from .mending.foreign import guess_format
from .mending.images import ImageEntry, check_images, check_pictures, refuse_unknown_sizes
from .pictures import PictureHeader

_SHOWN = 5
_LISTS = ("images", "annotations", "categories")
_HINTS = {
    "annotations": "a test set has none, and nothing to measure: use `yolact-ros predict`",
    "categories": "`yolact-ros dataset mend --class-names` adds them",
}


class DatasetError(InputError):
    """A data set cannot be used; names the file and the annotations.

    Attributes:
        problems: All errors that were found.
    """

    def __init__(
        self, annotation_file: Path, problems: Iterable[Problem], hints: Sequence[str] = ()
    ) -> None:
        self.problems = tuple(problems)
        self._made_of = annotation_file, self.problems, tuple(hints)
        lines = [f"{annotation_file}: {problem}" for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(
                f"{annotation_file}: {len(self.problems) - _SHOWN} more problems; "
                "`yolact-ros dataset check` shows them"
            )
        lines += [f"{annotation_file}: {hint}" for hint in hints]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:  # of another process
        return DatasetError, self._made_of


def read_content(annotation_file: Path, class_names: Sequence[str] = ()) -> dict[str, Any]:
    """Read a JSON file.

    Args:
        annotation_file: The file.
        class_names: Names of the classes if the file has no categories, in the order of the ids
            that its annotations use: 1, 2..., or from 0 on if one of them is 0.

    Returns:
        A dictionary with the lists ``images``, ``annotations`` and ``categories``.

    Raises:
        DatasetError: There is no such file, or its content is something else.
        InputError: There are class names, and the file has its own.
    """

    def error(text: str) -> DatasetError:
        return DatasetError(annotation_file, [Problem("file", "", text)])

    try:
        content = read_json(annotation_file)
    except FileNotFoundError:
        raise error("expected a JSON file in COCO's format, got no such file") from None
    except OSError as cause:
        raise error(f"expected a file that can be read, got: {cause.strerror}") from cause
    except (ValueError, RecursionError) as cause:
        guess = guess_format(annotation_file.read_bytes())
        raise error(f"expected JSON, got: {guess or cause}") from cause
    if not isinstance(content, dict) or not any(name in content for name in _LISTS):
        expected = "expected an object with images, annotations and categories"
        if not isinstance(content, dict):
            expected += f", got a {type(content).__name__}"
        if guess := guess_format(content):
            raise error(f"{expected}; it looks like {guess}")
        if not isinstance(content, dict):
            raise error(expected)
    if class_names:
        if content.get("categories"):
            raise InputError(
                f"--class-names: expected none, as {annotation_file} has categories of its own"
            )
        content = {**content, "categories": _categories_of(class_names, content)}
    for name in _LISTS:
        if not isinstance(content.get(name), list):
            text = mismatch(name, "a list", content.get(name))
            if guess := guess_format(content):
                text += f"; it looks like {guess}"
            elif content.get(name) is None and name in _HINTS:
                text += f"; {_HINTS[name]}"
            raise error(text)
    return content


def _categories_of(names: Sequence[str], content: Mapping[str, Any]) -> list[dict[str, Any]]:
    annotations = content.get("annotations")
    ids = (
        each.get("category_id")
        for each in (annotations if isinstance(annotations, list) else ())
        if isinstance(each, dict)
    )
    first = 0 if any(number in (0, "0") for number in ids) else 1
    return [{"id": number, "name": name} for number, name in enumerate(names, first)]


class Examination(NamedTuple):
    """The result of `examine`.

    Attributes:
        problems: All errors, and what every reader puts right or leaves out; see `warnings` for the
            rest.
        sound: The content of the mended set, with all other fields of the file.
        hints: Guesses at the origin and the remedy, by kind of problem.
        pictures: What the files say, by image id, of all that can be read.
        emptied: Ids of the images, and those of the categories, that have lost annotations.
        given: Number of images, annotations and categories in the file.
        passed_over: File names that were looked at, and that no image of the mended set has.
    """

    problems: list[Problem]
    sound: dict[str, Any]
    hints: dict[str, list[str]]
    pictures: dict[int, PictureHeader]
    emptied: tuple[set[int], set[int]]
    given: dict[str, int]
    passed_over: tuple[str, ...]

    @property
    def errors(self) -> list[Problem]:
        """The problems that rule out training and evaluation."""
        return [problem for problem in self.problems if problem.fatal]

    @property
    def mendable(self) -> bool:
        """Whether something is left without what has errors."""
        return bool(self.sound["images"]) and all(problem.action for problem in self.errors)

    @property
    def kept(self) -> str:
        """How much of the file is in the mended set."""
        counts = (f"{len(self.sound[name])} of {self.given[name]} {name}" for name in _LISTS)
        return ", ".join(counts)

    def remarks(self) -> tuple[str, ...]:
        """Say what was left out or put right, counted by cause."""
        counts = count_by_cause(self.problems)
        return tuple(f"{cause}: {count}" for cause, count in counts.items())

    def require_use(self, annotation_file: Path, *, mend: bool = False) -> None:
        """Check that the sound content may be used in place of the file.

        Args:
            annotation_file: The file.
            mend: Whether what has errors may be left out or put right.

        Raises:
            DatasetError: There are errors, and they may not; or nothing is left without them.
        """
        errors = self.errors
        if not errors or (mend and self.mendable):
            return
        kinds = dict.fromkeys(problem.kind for problem in errors)
        hints = [hint for kind in kinds for hint in self.hints.get(kind, ())]
        if self.mendable:
            hints.append(
                "`yolact-ros dataset mend` writes the set without these errors, `train --mend` "
                "leaves them out on the way"
            )
        elif mend:
            hints.append("nothing is left without these errors")
        raise DatasetError(annotation_file, errors, hints)


def examine(
    content: Mapping[str, Any],
    image_folder: Path | None,
    *,
    mend: bool = False,
    crowds_as_objects: bool = False,
) -> Examination:
    """Look for everything that keeps a data set from being used, and mend it.

    Args:
        content: As `read_content` returns it; it is not changed.
        image_folder: Folder that the images' file names are relative to; None: do not check the
            files.
        mend: Whether regions with `iscrowd` 1 are objects if there are no others.
        crowds_as_objects: Whether they are always objects.
    """
    findings = Findings()
    for name in ("images", "categories"):
        if not content[name]:
            findings.add(NO_LISTS, name, "expected at least one, got none")
    categories = check_categories(content["categories"], findings)
    images = check_images(content["images"], findings)
    pictures = {}
    looked_at = _file_names(images.values())
    if image_folder is not None:
        pictures = check_pictures(list(images.values()), image_folder, findings)
        looked_at |= _file_names(images.values())  # some are found elsewhere
    refuse_unknown_sizes(images.values(), findings)
    annotations = Annotations(images, categories, findings, crowds_as_objects)
    annotations.check(content["annotations"])
    if mend:
        annotations.use_lone_crowds()
    used = {entry["category_id"] for entry in annotations.kept} | annotations.lost_categories
    sound = {
        **content,
        "images": [image.entry for image in images.values() if image.entry is not None],
        "categories": categories.without_parents(used, findings),
        "annotations": annotations.kept,
    }
    if content["annotations"] and sound["images"] and not sound["annotations"]:
        text = "expected at least one that can be used, got none"
        findings.add(NO_LISTS, "annotations", text)
    return Examination(
        problems=findings.problems,
        sound=sound,
        hints=findings.hints,
        pictures=pictures,
        emptied=(annotations.lost_images, annotations.lost_categories),
        given={name: len(content[name]) for name in _LISTS},
        passed_over=tuple(sorted(looked_at - {entry["file_name"] for entry in sound["images"]})),
    )


def _file_names(images: Iterable[ImageEntry]) -> set[str]:
    return {image.file_name for image in images if image.file_name}
