# SPDX-License-Identifier: Apache-2.0
"""The command line, `yolact-ros COMMAND ...`.

In: command-line arguments. Out: calls to the rest of the package, results as text and files, and an
exit status (0, 1 after an error, 2 for wrong usage, 128 + N after signal N). Arguments are checked
before torch or OpenCV is imported; only `bench` and `bench node` import ROS.

Read in this order: `main` (all commands, error reports), `options` (parser, argument types, shared
options), then any command. Each has one file with `register` and `run`: `predict` (with
`prediction/` and `stopping`), `train`, `eval` (with `eval_space` and `eval_tracking`), `dataset`
(with `dataset_import`, `dataset_mend`, `dataset_text` and `dataset_page`), `weights`, `export`,
`presets`, `bench` (with `bench_node`, `bench_space`, `bench_tracking` and `bench_output`).
"""
