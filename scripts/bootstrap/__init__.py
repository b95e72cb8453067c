# SPDX-License-Identifier: Apache-2.0
"""What scripts/setup does. Standard library only: it runs before anything is installed."""
