# SPDX-License-Identifier: Apache-2.0
"""What a DataLoader's processes call; they import it from here."""

import sys

from yolact_ros.training.data.workers import prepare_worker


def prepare_worker_that_imported_little(worker: int) -> None:
    """Also raise if the worker had to import Lightning, which takes longer than torch itself."""
    prepare_worker(worker)
    assert not {"lightning", "torchmetrics"} & sys.modules.keys()
