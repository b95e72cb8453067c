# SPDX-License-Identifier: Apache-2.0
"""The folder of a training run, which holds everything needed to repeat it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from yolact_ros.checkpoints import CheckpointError, read_metadata
from yolact_ros.checkpoints.checkpoint import replacing
from yolact_ros.checkpoints.reading import read_pickled
from yolact_ros.provenance import file_sha256, git_revision, versions

from .changes import Changes, RunError, describe_other_data, find_changes
from .processes import is_first_process

_CONTENT = {"global_step", "state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks"}
"""What a checkpoint has that a run goes on from."""


class RunFolder:
    """The files of a run.

    Attributes:
        path: The folder.
        description: Everything needed to repeat the run, as JSON; see `describe`.
        pictures: Digests of the images, to name those that have changed.
        checkpoint: The state that an interrupted run is resumed from.
        previous: The one before it.
        best: Weights with the highest mask AP in validation.
        last: Weights after the last step.
        log: TensorBoard files and `metrics.csv`, one folder for each start of the run.
        curve: Plot of losses and AP over the steps.
        samples: Picture of some samples as they are trained on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.description = path / "run.json"
        self.pictures = path / "pictures.json"
        self.checkpoint = path / "last.ckpt"
        self.previous = path / "previous.ckpt"
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self.log = path / "log"
        self.curve = path / "curve.png"
        self.samples = path / "samples.png"

    def require_new(self) -> None:
        """Check that there is no run.

        Raises:
            RunError: There is one.
        """
        if self.description.exists():
            raise RunError(
                f"out: expected a new folder, got the run in {self.path}; `--resume` goes on "
                "with it"
            )

    def settings(self) -> dict[str, Any]:
        """Read the settings of the run that is there.

        Raises:
            RunError: There is none.
        """
        return dict(self._described()["settings"])

    def find_changes(
        self,
        settings: Mapping[str, Any],
        pictures: Mapping[str, Mapping[str, str]],
        *,
        data_changed: bool,
    ) -> Changes:
        """Compare the settings of the run with those that it is resumed with.

        Args:
            settings: Of this start.
            pictures: Digests of the images by file name, of "train" and "val".
            data_changed: Whether files of the data may differ.

        Raises:
            RunError: Something differs that may not.
        """
        changes = find_changes(self.settings(), _as_json(settings))
        other = [name for name in pictures if f"{name}_sha256" in changes]
        if other and not data_changed:
            before = self._read(self.pictures, dict.fromkeys(other, dict))
            told = [
                f"{name}: {describe_other_data(before[name], pictures[name])}" for name in other
            ]
            raise RunError(
                f"resume: expected the data of the run in {self.path}, got others: "
                f"{'; '.join(told)}; if they show the same, --data-changed goes on with them"
            )
        return changes

    def describe(
        self,
        settings: Mapping[str, Any],
        start: Mapping[str, Any],
        pictures: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Write the description of the run, with this start after those that it had.

        Args:
            settings: Everything that affects the result.
            start: Describes this start: command, versions, machine, first step, changes.
            pictures: As for `find_changes`.
        """
        starts = self._described()["starts"] if self.description.exists() else []
        self.path.mkdir(parents=True, exist_ok=True)
        for path, content in (
            (self.pictures, pictures),
            (self.description, {"settings": settings, "starts": [*starts, start]}),
        ):
            with replacing(path) as unfinished:
                unfinished.write_text(json.dumps(content, indent=1) + "\n")

    def _described(self) -> dict[str, Any]:
        if not self.description.is_file():
            raise RunError(f"resume: expected a run in {self.path}, found no run.json there")
        return self._read(self.description, {"settings": dict, "starts": list})

    def _read(self, path: Path, parts: Mapping[str, type]) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(path.read_text())
            if all(isinstance(content[name], part) for name, part in parts.items()):
                return content
        except (ValueError, OSError, KeyError, TypeError):
            pass
        raise RunError(
            f"resume: {path} is missing, cut off, damaged or another program's; a new run may "
            f"begin with the weights beside it: --weights {self.best}"
        )

    def has_checkpoint(self) -> bool:
        """Whether there is one, whole or not: a run resumes from it or not at all."""
        # The first machine may move the previous one while another looks.
        return any(path.exists() for path in (self.checkpoint, self.previous, self.checkpoint))

    def keep_best(self) -> Path:
        """Copy the best weights to a name that a run that begins anew does not write to."""
        kept = self.path / f"best_of_step_{read_metadata(self.best)['step']}.safetensors"
        with replacing(kept) as unfinished:
            shutil.copyfile(self.best, unfinished)
        return kept

    def step_to_resume(self, which: str, going_on: str) -> int:
        """Find the step after which a run goes on.

        Args:
            which: "last", or "previous" for the checkpoint before it, which takes its place.
            going_on: The command that resumes the run, to name the other checkpoint.

        Returns:
            The number of steps done; 0 if there is no checkpoint yet.

        Raises:
            RunError: The checkpoint is broken, or is missing where another is there.
        """
        if which == "previous":
            before = _step_of(self.previous)
            if before is None:
                raise RunError(f"resume: {self.previous} {_fault(self.previous)}")
            os.replace(self.previous, self.checkpoint)
            return before
        step = _step_of(self.checkpoint)
        if step is not None:
            return step
        before = _step_of(self.previous)
        fault = f"resume: {self.checkpoint} {_fault(self.checkpoint)}"
        if before is not None:
            raise RunError(
                f"{fault}; the one before it, of step {before}, is whole, and the run goes on from "
                f"there with: {going_on} previous"
            )
        if self.has_checkpoint():
            raise RunError(
                f"{fault}: no run can go on from it; a new run may begin with the weights beside "
                f"it: --weights {self.best}"
            )
        return 0


def weights_text(path: Path) -> dict[str, str]:
    """The text entries of a run's file of weights; none if it is missing, damaged or another's."""
    try:
        text = read_metadata(path)
    except CheckpointError:
        return {}
    return text if "step" in text else {}


def _step_of(checkpoint: Path) -> int | None:
    """The steps done; None if the file is missing or cannot be read."""
    try:
        content = read_pickled(checkpoint)
        return int(content["global_step"]) if content.keys() >= _CONTENT else None
    except (CheckpointError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _fault(checkpoint: Path) -> str:
    if checkpoint.exists():
        return "is cut off, damaged or another program's"
    return "is missing"


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they are read again: tuples have become lists."""
    content: dict[str, Any] = json.loads(json.dumps(settings))
    return content


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
        "revision": git_revision(Path(__file__).resolve().parent),
        **versions(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }


def say(text: str) -> None:
    """Print a line, on one process for all."""
    if is_first_process():
        print(text, flush=True)
