# SPDX-License-Identifier: Apache-2.0
"""Where losses and figures are logged to, by Lightning's own loggers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lightning.pytorch.loggers import (
    CometLogger,
    CSVLogger,
    Logger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)

from yolact_ros.errors import InputError

from .run_folder import RunFolder

_PROJECT = "yolact_ros"


def make_loggers(names: Iterable[str], folder: RunFolder, first_step: int) -> list[Logger]:
    """Make the loggers of one start of a run, that of `metrics.csv` first.

    Addresses and keys of servers are taken from the variables that each package documents, such as
    WANDB_MODE and MLFLOW_TRACKING_URI; what is kept on this machine goes to the log folder.

    Args:
        names: Of `LOGGERS`.
        folder: Of the run, which gives its name.
        first_step: Of this start.

    Raises:
        InputError: A package cannot be imported.
    """
    log, name = str(folder.log), folder.path.resolve().name
    version = f"from_step_{first_step}"
    makers: dict[str, Callable[[], Logger]] = {
        "tensorboard": lambda: TensorBoardLogger(log, name="", version=version),
        "wandb": lambda: WandbLogger(name=name, project=_PROJECT, save_dir=log),
        "mlflow": lambda: MLFlowLogger(_PROJECT, run_name=name, save_dir=f"{log}/mlflow"),
        "comet": lambda: CometLogger(project=_PROJECT, name=name),
    }
    return [
        CSVLogger(log, name="", version=version),
        *(_made(each, makers[each]) for each in names),
    ]


def _made(name: str, make: Callable[[], Logger]) -> Logger:
    try:
        return make()
    except ImportError as error:  # its package is there, but not all that it needs
        raise InputError(f"loggers: {name} cannot be imported: {error}") from error
