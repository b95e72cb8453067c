# SPDX-License-Identifier: Apache-2.0
"""The real node, in which one thing at a time goes wrong: the word in the file given first.

Faults that a network or a driver has cannot be had otherwise without the hardware that has them.
"""

import sys
import time
from pathlib import Path

from yolact_ros.inference import Segmenter
from yolact_ros.ros import runtime
from yolact_ros.ros.node import main
from yolact_ros.ros.outputs import Outputs

fault_file = Path(sys.argv[1])
segment, receive, publish, warm_up = (
    Segmenter.__call__,
    runtime.received_frame,
    Outputs.publish,
    Segmenter.warm_up,
)


def fault():
    return fault_file.read_text()


def segment_or_fail(self, *arguments, **options):
    while fault() == "hangs":
        time.sleep(0.05)
    if fault() == "network fails":
        raise RuntimeError(f"no convolution for {time.time()}")
    if fault() == "gpu lost":
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    return segment(self, *arguments, **options)


def receive_or_fail(*arguments):
    if fault() == "callback fails":
        raise KeyError("stamp")
    if fault() == "callback is slow":
        time.sleep(0.35)
    return receive(*arguments)


def publish_or_fail(self, result, wanted):
    while fault() == "publishing hangs":
        time.sleep(0.05)
    if fault() == "publishing fails":
        raise OSError("no room")
    return publish(self, result, wanted)


def warm_up_slowly(self, batch):
    while fault() == "loads for long":
        time.sleep(0.25)
        busy = time.monotonic() + 0.25
        while time.monotonic() < busy:
            sum(range(1000))  # pure Python, which other threads have to interrupt
    warm_up(self, batch=batch)


Segmenter.__call__, Segmenter.warm_up = segment_or_fail, warm_up_slowly
runtime.received_frame, Outputs.publish = receive_or_fail, publish_or_fail
main(sys.argv[:1] + sys.argv[2:])
