# SPDX-License-Identifier: Apache-2.0
"""Data sets in COCO's format: a JSON file of annotations beside a folder of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from .pictures import read_picture
from .problems import examine, read_content
from .segmentation import Extent, Segmentation, extent_of, run_lengths_of


@dataclass(frozen=True, slots=True)
class CocoObject:
    """One annotation.

    Attributes:
        id: The annotation's id in the file.
        class_id: 0-based, background not counted: the rank of the category by id.
        box: x1, y1, x2, y2 in pixels as in the file; around the outline if the file has none.
        segmentation: Polygons as arrays, or compressed run lengths.
        crowd: Whether it is a region of objects that are not annotated one by one.
        area: In pixels as in the file; that of the mask if the file has none.
    """

    id: int
    class_id: int
    box: Extent
    segmentation: Segmentation
    crowd: bool
    area: float


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One image with its annotations.

    Attributes:
        id: The image's id in the file.
        file_name: Relative to the image folder.
        width, height: In pixels.
        objects: Annotations in the order of the file, crowds included.
    """

    id: int
    file_name: str
    width: int
    height: int
    objects: tuple[CocoObject, ...]


@dataclass(frozen=True)
class CocoDataset:
    """A data set in COCO's format without errors (see `problems`).

    Attributes:
        annotation_file: The JSON file.
        image_folder: Folder that the images' file names are relative to.
        class_names: Name of each class id.
        category_ids: Category id of each class id in the file, ascending.
        images: In the order of the file: a tuple, or `records.Records` of a set that processes
            share.
        turned: Number of images whose pixels are turned as the EXIF data of their file says, as far
            as the files were looked at.
        mended: What reading has left out or put right, counted by cause, each with its file.
    """

    annotation_file: Path
    image_folder: Path
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: Sequence[CocoImage]
    turned: int = 0
    mended: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def content(self) -> dict[str, Any]:
        """The content as COCO's tools and JSON take it, made anew at each call.

        Fields of the file that this package does not read are left out.
        """
        annotations = [
            {
                "id": thing.id,
                "image_id": image.id,
                "category_id": self.category_ids[thing.class_id],
                "bbox": _corner_and_size(thing.box),
                "area": thing.area,
                "iscrowd": int(thing.crowd),
                "segmentation": _json_segmentation(thing.segmentation),
            }
            for image in self.images
            for thing in image.objects
        ]
        images = [
            {"id": image.id, "file_name": image.file_name, "width": image.width,
             "height": image.height}
            for image in self.images
        ]  # fmt: skip
        categories = [
            {"id": category_id, "name": name}
            for category_id, name in zip(self.category_ids, self.class_names, strict=True)
        ]
        return {"images": images, "annotations": annotations, "categories": categories}

    @property
    def lack_of_objects(self) -> str:
        """Why there is nothing to learn from or to find; empty where there is."""
        if any(not thing.crowd for image in self.images for thing in image.objects):
            return ""
        crowds = sum(len(image.objects) for image in self.images)
        if not crowds:
            return "expected objects, got images without annotations"
        return (
            f"expected objects, got {crowds} crowd region{'s' * (crowds > 1)} alone (iscrowd 1), "
            "as CVAT writes masks: set iscrowd to 0 where each is a single object, or let "
            "`yolact-ros dataset mend` do it"
        )

    @property
    def remarks(self) -> list[str]:
        """What is done to the pictures and to the annotations that one might not expect."""
        lines = list(self.mended)
        if self.turned:
            lines.append(
                f"{self.annotation_file}: {self.turned} of {len(self)} pictures are turned as "
                "their EXIF orientation says; `yolact-ros dataset check` names them"
            )
        return lines

    def read_image(self, image: CocoImage) -> npt.NDArray[np.uint8]:
        """Read the pixels that an image's annotations are of; see `pictures.read_picture`.

        They are turned as the EXIF data of the file says, unless the image's size fits nothing but
        the pixels as stored.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            InputError: The file cannot be read or its size differs from the annotations.
        """
        return read_picture(
            self.image_folder / image.file_name,
            labelled=(image.width, image.height),
            labels=self.annotation_file,
        )


def read_dataset(annotations: Path, images: Path, *, mend: bool = False) -> CocoDataset:
    """Read a data set and check it.

    Args:
        annotations: The JSON file.
        images: Folder that the images' file names are relative to.
        mend: Whether to leave out or put right what has errors, as `yolact-ros dataset mend` does.

    Raises:
        DatasetError: Something must be fixed before training or evaluation; names the file and the
            first annotations.

    Example:
        >>> from pathlib import Path
        >>> from yolact_ros.scenes.synth_set import SynthSet
        >>> pictures = SynthSet(images=2, seed=0, width=160, height=120)
        >>> annotations = pictures.write(Path("made"), workers=1, version="1.0")
        >>> dataset = read_dataset(annotations, Path("made/images"))
        >>> len(dataset), dataset.class_names[:2]
        (2, ('ball', 'box'))
        >>> dataset.read_image(dataset.images[0]).shape
        (120, 160, 3)
    """
    return checked_content(read_content(annotations), annotations, images, mend=mend).dataset()


class SoundContent(NamedTuple):
    """What a file says, without errors.

    Attributes:
        content: The lists ``images``, ``annotations`` and ``categories``, and other fields.
        annotation_file: The file.
        image_folder: Folder that its file names are relative to.
        turned: See `CocoDataset`.
        mended: What reading has left out or put right: the file, and the count of a cause.
        passed_over: Files that were looked at and are no picture of the content, such as missing
            ones.
    """

    content: Mapping[str, Any]
    annotation_file: Path
    image_folder: Path
    turned: int
    mended: tuple[tuple[Path, str], ...]
    passed_over: tuple[Path, ...]

    def dataset(self) -> CocoDataset:
        """Convert it."""
        dataset = dataset_from_content(self.content, self.annotation_file, self.image_folder)
        return replace(dataset, turned=self.turned, mended=mended_lines(self.mended))


def mended_lines(mended: Iterable[tuple[Path, str]]) -> tuple[str, ...]:
    """Write what reading has left out or put right as `CocoDataset` has it."""
    return tuple(f"{file}: {text}" for file, text in mended)


def checked_content(
    content: Mapping[str, Any], annotations: Path, images: Path, *, mend: bool = False
) -> SoundContent:
    """Check the content of a file as `read_dataset` does."""
    examined = examine(content, images, mend=mend)
    examined.require_use(annotations, mend=mend)
    turned = (
        examined.pictures[image["id"]].orientation_for((image["width"], image["height"])) != 1
        for image in examined.sound["images"]
    )
    folder = images.resolve()
    return SoundContent(
        examined.sound,
        annotations,
        images,
        turned=sum(turned),
        mended=tuple((annotations, text) for text in examined.remarks()),
        passed_over=tuple(folder / name for name in examined.passed_over),
    )


def dataset_from_content(
    content: Mapping[str, Any], annotation_file: Path, image_folder: Path
) -> CocoDataset:
    """Convert the content of a file; it must have no errors."""
    return replace(
        described_dataset(content, annotation_file, image_folder), images=tuple(images_of(content))
    )


def described_dataset(
    content: Mapping[str, Any], annotation_file: Path, image_folder: Path
) -> CocoDataset:
    """Convert the content of a file, but for its images; it must have no errors."""
    categories = _sorted_categories(content)
    return CocoDataset(
        annotation_file=annotation_file,
        image_folder=image_folder,
        class_names=tuple(category["name"] for category in categories),
        category_ids=tuple(category["id"] for category in categories),
        images=(),
    )


def images_of(content: Mapping[str, Any]) -> Iterator[CocoImage]:
    """Convert the images of a file one by one; it must have no errors."""
    class_ids = {each["id"]: index for index, each in enumerate(_sorted_categories(content))}
    annotations: dict[int, list[Any]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        annotations[annotation["image_id"]].append(annotation)
    for image in content["images"]:
        size = (image["height"], image["width"])
        yield CocoImage(
            id=image["id"],
            file_name=image["file_name"],
            width=image["width"],
            height=image["height"],
            objects=tuple(
                _object_of(each, class_ids[each["category_id"]], size)
                for each in annotations[image["id"]]
            ),
        )


def _sorted_categories(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    return sorted(content["categories"], key=lambda category: category["id"])


def _object_of(annotation: Mapping[str, Any], class_id: int, size: tuple[int, int]) -> CocoObject:
    segmentation = _compact(annotation["segmentation"], *size)
    if annotation.get("bbox"):
        x, y, width, height = annotation["bbox"]
        box = x, y, x + width, y + height
    else:
        box = extent_of(segmentation)
    area = annotation.get("area")
    if area is None:
        area = float(coco_mask.area(run_lengths_of(segmentation, *size)))
    return CocoObject(
        id=annotation["id"],
        class_id=class_id,
        box=box,
        segmentation=segmentation,
        crowd=bool(annotation.get("iscrowd", 0)),
        area=area,
    )


def _compact(segmentation: Segmentation, height: int, width: int) -> Segmentation:
    """Store the same in less memory: a list of numbers takes four times that of an array."""
    if not isinstance(segmentation, Mapping):
        return tuple(np.array(polygon, np.float64) for polygon in segmentation)
    counts = run_lengths_of(segmentation, height, width)["counts"]
    text = counts if isinstance(counts, str) else counts.decode("ascii")
    return {"size": [height, width], "counts": text}


def _json_segmentation(segmentation: Segmentation) -> list[list[float]] | dict[str, Any]:
    if isinstance(segmentation, Mapping):
        return dict(segmentation)
    return [np.asarray(polygon).tolist() for polygon in segmentation]


def _corner_and_size(box: Extent) -> list[float]:
    x1, y1, x2, y2 = box
    return [x1, y1, x2 - x1, y2 - y1]
