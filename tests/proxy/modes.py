"""The modes as parameters: what this machine's kernel lacks runs in the kernel's own (tests/kernel)."""

import pytest

from orlop.proxy.backends import MODES

PARAMETERS = [pytest.param(mode, marks=[pytest.mark.kernel] if mode == "ipvs" else []) for mode in MODES]
