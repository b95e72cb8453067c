# SPDX-License-Identifier: Apache-2.0
"""The folder of a training run, which holds everything needed to repeat it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only

from yolact_ros.datasets.coco import CocoDataset
from yolact_ros.errors import InputError
from yolact_ros.provenance import file_sha256, git_revision, versions


class RunError(InputError):
    """A folder cannot be used for a run."""


class RunFolder:
    """The files of a run.

    Attributes:
        path: The folder.
        description: Everything needed to repeat the run, as JSON; see `begin`.
        checkpoint: The state that an interrupted run is resumed from.
        best: Weights with the highest mask AP in validation.
        last: Weights after the last step.
        log: TensorBoard files and `metrics.csv`, one folder for each start of the run.
        curve: Plot of losses and AP over the steps.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.description = path / "run.json"
        self.checkpoint = path / "last.ckpt"
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self.log = path / "log"
        self.curve = path / "curve.png"

    @property
    def precision(self) -> str | None:
        """The arithmetic of the run that is there; None if there is none."""
        if not self.description.is_file():
            return None
        settings: dict[str, Any] = json.loads(self.description.read_text())["settings"]
        return settings["precision"]

    def begin(
        self, settings: Mapping[str, Any], provenance: Mapping[str, Any], *, resume: bool
    ) -> Path | None:
        """Write the description of a new run, or check that a resumed one has not changed.

        Args:
            settings: Everything that affects the result; must be equal when a run is resumed.
            provenance: Describes this start of the run: command, versions, machine.
            resume: Whether to continue the run that is there.

        Returns:
            The checkpoint to resume from; None to start at the first step.

        Raises:
            RunError: There is a run already and it is not to be resumed, there is none to resume,
                or it had other settings.
        """
        settings = json.loads(json.dumps(settings))  # tuples become lists, as in the file
        starts = []
        if resume:
            if not self.description.is_file():
                raise RunError(f"resume: expected a run in {self.path}, found no run.json there")
            found = json.loads(self.description.read_text())
            _require_equal(found["settings"], settings, self.path)
            starts = found["starts"]
        elif self.description.exists():
            raise RunError(
                f"out: expected a new folder, got the run in {self.path}; `--resume` goes on "
                "with it"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"settings": settings, "starts": [*starts, provenance]}, indent=1)
        self.description.write_text(text + "\n")
        return self.checkpoint if self.checkpoint.is_file() else None


def _require_equal(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    differing = [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if differing:
        raise RunError(
            f"resume: expected the settings of the run in {path}, got others: "
            f"{'; '.join(differing)}"
        )


def picture_digests(dataset: CocoDataset) -> list[str]:
    """Return the SHA-256 of each image's file, in hexadecimal."""
    with ThreadPoolExecutor() as pool:
        files = (dataset.image_folder / image.file_name for image in dataset.images)
        return list(pool.map(file_sha256, files))


def dataset_digest(annotation_files: Iterable[Path], pictures: Iterable[str]) -> str:
    """Return the SHA-256 of the annotation files and the digests of all images, in hexadecimal."""
    total = hashlib.sha256()
    for digest in (*map(file_sha256, annotation_files), *pictures):
        total.update(digest.encode())
    return total.hexdigest()


def describe_start(command: str, seed: int) -> dict[str, str]:
    """Make the text entries of a weights file: command, seed, revision, versions, machine."""
    return {
        "command": command,
        "seed": str(seed),
        "revision": git_revision(Path(__file__).parent),
        **versions(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }


def is_first_process() -> bool:
    """Whether this is the process, of all of the run, that writes files and prints."""
    first_machine = os.environ.get("NODE_RANK", "0") == "0"
    return first_machine and int(getattr(rank_zero_only, "rank", 0)) == 0
