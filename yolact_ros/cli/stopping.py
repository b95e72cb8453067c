# SPDX-License-Identifier: Apache-2.0
"""What Ctrl-C and SIGTERM do in a command that finishes what it has begun."""

from __future__ import annotations

import signal
from typing import Any, TypeVar

Signals = TypeVar("Signals", bound="StopSignals")


class StopSignals:
    """Ctrl-C, SIGTERM and SIGHUP within a `with` block are noted; a second one acts as usual.

    Ctrl-C counts in what a script starts in the background, too, where it is ignored otherwise;
    SIGHUP, of a terminal that is closed, does not under `nohup`.

    Attributes:
        number: The signal that came, or None.
    """

    def __init__(self) -> None:
        self.number: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self: Signals) -> Signals:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            before = signal.getsignal(number)
            if number != signal.SIGHUP or before != signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def _note(self, number: int, frame: object) -> None:
        del frame
        self.number = signal.Signals(number)
        self.__exit__()


class TrainingSignals(StopSignals):
    """For a command whose steps may take long: a second signal kills it, whatever it computes.

    Attributes:
        at_once: Whether a first one raises KeyboardInterrupt, since nothing has begun that is to be
            finished.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at_once = True

    def _note(self, number: int, frame: object) -> None:
        del frame
        self.number = signal.Signals(number)
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
        if self.at_once:
            raise KeyboardInterrupt
