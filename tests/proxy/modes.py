"""The modes as parameters.

What this machine's kernel may lack runs on Debian's (tests/kernel), which is emulated: this traffic takes many minutes
there, so it is for campaigns.
"""

import pytest

from orlop.proxy.backends import MODES

PARAMETERS = [
    pytest.param(mode, marks=[pytest.mark.kernel, pytest.mark.campaign] if mode == "ipvs" else []) for mode in MODES
]
