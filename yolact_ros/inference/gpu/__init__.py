# SPDX-License-Identifier: Apache-2.0
"""The path of a GPU: a batch of frames in, instances out, with one transfer each way.

Read `path` first (`GpuPath`: upload, run, masks, download), then `step` (resizing, network and
decoding of a batch, as a call on tensors that stay in place), `decode` (detections of a batch in
shapes that do not depend on the values), `graph` (a step as a CUDA graph) and `buffers` (pinned
host memory). All but `graph` also runs on a CPU, where the tests compare it with the plain path.
"""
