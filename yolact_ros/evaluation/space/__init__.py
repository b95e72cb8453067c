# SPDX-License-Identifier: Apache-2.0
"""How true objects in space are: a segmenter goes in, errors on rendered scenes come out.

Read `sets` first: which scenes are filmed, and with which masks. `measure` holds what
`yolact_ros.space` says of a frame against the scene's own truth: one `Measurement` for each thing,
mask and depth camera. `figures` condenses many of them and parts them by distance, occlusion, kind,
mask and camera; `bounds` says which figures must hold. `report` writes them, with `tables` and
`plots`.
"""
