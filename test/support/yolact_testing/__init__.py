# SPDX-License-Identifier: Apache-2.0
"""What several test files share: pictures, networks, data sets, comparisons.

pyproject.toml puts test/support on pytest's path, not test/ itself: folders such as test/datasets
and test/network would else be importable under those names.
"""
