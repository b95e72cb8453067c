# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest


@pytest.fixture
def shared_golden():
    """The folder of reference outputs beside the checkout."""
    folder = Path(__file__).parents[2] / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip("no reference outputs beside this checkout (../shared/golden)")
    return folder
