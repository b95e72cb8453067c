# SPDX-License-Identifier: Apache-2.0
"""The processes of a run find each other, or say whom they wait for."""

from __future__ import annotations

from threading import Thread

import torch
from lightning.pytorch.strategies import DDPStrategy

from yolact_ros.errors import first_line

from .module import TrainingError

_PATIENCE = 5.0
"""Seconds after which it is told who is missing: on one machine, all are there in less."""


class MeetingStrategy(DDPStrategy):
    """Lightning's strategy of one process for each device, whose beginning can be ended.

    PyTorch waits up to 30 minutes for processes that are missing, in C++, where neither Ctrl-C nor
    SIGTERM is answered; another machine may never come.
    """

    def setup_distributed(self) -> None:
        """Meet the other processes.

        Raises:
            TrainingError: They did not come, or the first one's address cannot be used.
            KeyboardInterrupt: As a signal's handler says.
        """
        failures: list[Exception] = []

        def meet() -> None:
            if self.root_device.type == "cuda":
                torch.cuda.set_device(self.root_device)  # each thread has its own
            try:
                super(MeetingStrategy, self).setup_distributed()
            except (RuntimeError, ValueError, OSError) as error:
                failures.append(error)

        meeting = Thread(target=meet, daemon=True)
        meeting.start()
        meeting.join(_PATIENCE)  # signals are answered meanwhile
        if meeting.is_alive() and self.local_rank == 0:
            print(f"waiting for {self._whom()}", flush=True)
        meeting.join()
        if failures:
            reason = first_line(failures[0])
            raise TrainingError(f"nodes: expected {self._whom()}, got: {reason}") from failures[0]

    def _whom(self) -> str:
        environment = self.cluster_environment
        assert environment is not None
        return (
            f"{self.num_nodes * self.num_processes} processes on {self.num_nodes} machines at "
            f"{environment.main_address}:{environment.main_port} (MASTER_ADDR, MASTER_PORT)"
        )
