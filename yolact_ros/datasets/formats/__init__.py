# SPDX-License-Identifier: Apache-2.0
"""Other tools' label files: a folder of them goes in, the content of a COCO file comes out.

`reading` tells the format from the files and reads it: `labelme` (LabelMe's JSON), `yolo` (a text
file of polygons for each picture), `voc` (Pascal VOC's masks) or `masks` (maps of ids, one file a
mask; both by `mask_files`). All fill a `collection`, which counts what is left out and makes the
content; `finding` finds the pictures.
No library is used for it: those that read these formats leave out what they have no place for
(groups, circles, painted masks, pictures without objects) without a word.
"""
