# SPDX-License-Identifier: Apache-2.0
"""The files that `yolact-ros predict` writes its results to, picture by picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from yolact_ros.datasets.growing import GrowingJson
from yolact_ros.datasets.writing import info_of
from yolact_ros.evaluation.coco_format import results_to_annotations
from yolact_ros.structures import Instances


class Predictions(Protocol):
    """Where the results of a picture go.

    They are written before `add` returns, in flat memory, and the files are valid at any moment.
    """

    def add(
        self, image: Mapping[str, Any], results: list[dict[str, Any]], instances: Instances
    ) -> None:
        """Add a picture.

        Args:
            image: Its entry: id, file_name, width, height.
            results: Its results in COCO's format.
            instances: Its instances, one a result.

        Raises:
            OSError: They cannot be written; the files are as they were.
        """
        ...

    def close(self) -> None:
        """Close the files."""
        ...


class ResultFiles:
    """results.json, a list in COCO's results format, and images.json, the file of each image id.

    Args:
        folder: Where to write them.
    """

    def __init__(self, folder: Path) -> None:
        self._results = GrowingJson(folder / "results.json", ("", ""))
        self._images = GrowingJson(folder / "images.json", ("", ""))

    def add(
        self, image: Mapping[str, Any], results: list[dict[str, Any]], instances: Instances
    ) -> None:
        """See `Predictions`."""
        del instances
        self._results.add(results)
        self._images.add([image])  # last: of what is listed, all results are there

    def close(self) -> None:
        """See `Predictions`."""
        self._results.close()
        self._images.close()


class DataSetFile:
    """annotations.json, a data set in COCO's format.

    Args:
        path: The file.
        categories: Categories: id and name.
        polygons: Whether to outline masks by polygons, else as run lengths.
    """

    def __init__(self, path: Path, categories: list[dict[str, Any]], *, polygons: bool) -> None:
        head = json.dumps({"info": info_of("predict"), "categories": categories})
        pieces = (f'{head[:-1]}, "images": ', ', "annotations": ', "}")
        self._file = GrowingJson(path, pieces)
        self._polygons = polygons
        self._next_id = 1

    def add(
        self, image: Mapping[str, Any], results: list[dict[str, Any]], instances: Instances
    ) -> None:
        """See `Predictions`."""
        annotations = results_to_annotations(
            results, instances, self._next_id, polygons=self._polygons
        )
        self._file.add([image], annotations)
        self._next_id += len(annotations)

    def close(self) -> None:
        """See `Predictions`."""
        self._file.close()
