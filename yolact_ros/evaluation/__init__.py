# SPDX-License-Identifier: Apache-2.0
"""How good a network is: a segmenter and a `CocoDataset` go in, metrics and a report come out.

Read `evaluate` first. In the order of its steps: `segment_dataset` runs the network and writes
results in `coco_format`; `coco` computes AP and AR; `operating_point` matches instances to objects
at one score. Then `report` writes the folder: `summary` (metrics.json), `plots`, `pictures` of the
worst images, and `page`. `space` is a part of its own: errors of objects in space.
"""
