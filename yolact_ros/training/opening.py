# SPDX-License-Identifier: Apache-2.0
"""Opens the folder of a run, new or resumed, for the data that it is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from yolact_ros.datasets.coco import CocoDataset
from yolact_ros.datasets.picture_files import picture_digests
from yolact_ros.datasets.records import file_names
from yolact_ros.presets import Preset, preset_to_json

from .changes import Changes, RunError, describe_changes
from .options import Run
from .run_folder import RunFolder, dataset_digest, say, weights_text


class Data(NamedTuple):
    """What is trained and validated on, and the preset with the classes of the training data."""

    training: CocoDataset
    validation: CocoDataset
    preset: Preset


def open_folder(
    folder: RunFolder,
    run: Run,
    data: Data,
    described: dict[str, str],
    going_on: str,
    frozen_norms: bool,
) -> int | None:
    """Open the run's folder; return the step after which it begins, None if it is finished."""
    options = run.options
    sets = {"train": data.training, "val": data.validation}
    digests = {name: picture_digests(dataset, say) for name, dataset in sets.items()}
    if shared := _shared_pictures(data, digests["train"], digests["val"]):
        say(shared)
    settings = run.settings() | {
        "freeze_norms": "yes" if frozen_norms else "no",
        "preset_definition": preset_to_json(data.preset),
        "training_images": len(data.training),
        "train_sha256": dataset_digest(options.train, digests["train"]),
        "val_sha256": dataset_digest(options.val, digests["val"]),
    }
    pictures = {
        name: {
            file_name: digest[:16]
            for file_name, digest in zip(file_names(dataset), digests[name], strict=True)
        }
        for name, dataset in sets.items()
    }
    first_step = 0
    changes: Changes = {}
    if options.resume:
        changes = folder.find_changes(settings, pictures, data_changed=options.data_changed)
        if is_finished(folder, run):
            return None
        first_step = folder.step_to_resume(options.resume, going_on)
        if first_step >= run.steps:
            raise RunError(
                f"max_steps: expected more than the {first_step} steps that are done, "
                f"got {run.steps}"
            )
        if not first_step and weights_text(folder.best):
            say(f"the best weights so far stay as {folder.keep_best()}")
        if changes:
            say(f"changed: {describe_changes(changes)}")
    start = {**described, **run.places(), "first_step": first_step, "changes": changes}
    folder.describe(settings, start, pictures)
    return first_step


def is_finished(folder: RunFolder, run: Run) -> bool:
    """Whether the last weights are those at the end of this run, or of a longer one.

    Weights that are gone or damaged are made again while there is a checkpoint.
    """
    text = weights_text(folder.last)
    if not text or (folder.has_checkpoint() and not weights_text(folder.best)):
        return False
    return int(text["step"]) >= run.steps or run.end().items() <= text.items()


def _shared_pictures(data: Data, training: Sequence[str], validation: Sequence[str]) -> str | None:
    """Warn of validation images that are trained on, by the digests of all."""
    trained = dict(zip(training, file_names(data.training), strict=True))
    shared = [
        (name, trained[digest])
        for digest, name in zip(validation, file_names(data.validation), strict=True)
        if digest in trained
    ]
    if not shared:
        return None
    named = [val if val == train else f"{val} ({train} in training)" for val, train in shared]
    return (
        f"warning: {len(shared)} of {len(validation)} validation images are also trained on: "
        f"{', '.join(named[:3])}{', ...' * (len(named) > 3)}; validation says nothing about new "
        "images with them. `yolact-ros dataset split --images DIR` makes parts that share none"
    )
