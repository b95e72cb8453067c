# SPDX-License-Identifier: Apache-2.0
"""The path of a GPU: a batch of frames in, instances out, with one transfer each way.

Read `path` first (`GpuPath`: upload, resize into place, run, download), then `step` (network,
decoding and masks of a batch, as a call on tensors that stay in place), `decode` (detections of a
batch in shapes that do not depend on the values), `block` (what the host wants, in one piece),
`room` (how much of it masks are given), `graph` (a step as a CUDA graph), `proof` (whether the
graph does what the step does) and `buffers` (pinned host memory). All but `graph` also runs on a
CPU, where the tests compare it with the plain path.
"""
