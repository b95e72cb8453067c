# SPDX-License-Identifier: Apache-2.0
"""What `yolact-ros predict` does: paths go in, overlays and results come out, image by image.

Read in this order: `sources` (the files that paths name), `known_images` (a data set whose ids are
kept), `tasks` (what is written where), `predictor` (one file after the other), `result_files` and
`overlays` (what it writes).
"""
