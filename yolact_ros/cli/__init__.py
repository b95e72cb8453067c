# SPDX-License-Identifier: Apache-2.0
"""The command line, `yolact-ros COMMAND ...`: from words to calls of the package, and to text.

In: what somebody typed. Out: a call of the part that does the work, its results as text and files,
and an exit status: 0, 1 after an error, 2 for wrong usage, 130 after Ctrl-C. Neither torch nor
OpenCV is imported before the options have been checked, and ROS only by
`bench` and `bench node`.

Read first: `main` (all commands, errors), `options` (what commands share: parser, types, options
that are declared once). Then any command, one file each, with `register` and `run`: `predict` (with
`sources` and `predictor`), `train`, `eval`, `dataset` (with `dataset_text` and `dataset_page`),
`weights`, `export`, `presets`, `bench` (with `bench_node` and
`bench_output`).
"""
