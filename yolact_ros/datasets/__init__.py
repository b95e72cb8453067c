# SPDX-License-Identifier: Apache-2.0
"""Labelled pictures in COCO's format: a JSON file and a folder go in, a `CocoDataset` comes out.

Read `coco` first: the containers and `read_dataset`. It relies on `problems` (errors in the content
of the file, and the set without them; details in `mending` and `annotation_checks`), on
`segmentation` (polygons, run lengths and masks) and on `pictures`, the one reader of picture files
(`exif`: their orientation, `samples`: more than 8 bits). On top of a `CocoDataset`: `warnings`
finds what is suspicious, `statistics` counts, `choose` picks images to look at, `truth` converts
annotations to `Instances`, `writing` writes files, `records` keeps what was read, for all processes
and the next run. On files' content: `merge` joins, `classes` takes some classes, `split` divides
(with `grouping`: what stays together, and `division`: what is nearest to the shares). `formats/`
reads other tools' labels. Nothing here needs torch.
"""
