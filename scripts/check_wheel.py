"""Fails when a wheel lacks what users need: the extension, its contract, the type marker, the shim as a program."""

import sys
import zipfile

SHIM = "orlop/kubelet/runtime/native/bin/orlop-shim"
WANTED = ("orlop/_core.abi3.so", "orlop/_core.pyi", "orlop/py.typed", "orlop/cli/main.py", SHIM)

wheel = zipfile.ZipFile(sys.argv[1])
absent = [name for name in WANTED if name not in wheel.namelist()]
if absent:
    sys.exit(f"{sys.argv[1]} lacks {', '.join(absent)}")
mode = wheel.getinfo(SHIM).external_attr >> 16 & 0o777
if mode != 0o755:
    sys.exit(f"{SHIM} has mode {mode:04o} in {sys.argv[1]}, wanted 0755")
