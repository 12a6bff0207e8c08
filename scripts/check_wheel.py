"""Fails when a wheel lacks what users need: the extension, its contract, the type marker."""

import sys
import zipfile

WANTED = ("orlop/_core.abi3.so", "orlop/_core.pyi", "orlop/py.typed", "orlop/cli/main.py")

names = set(zipfile.ZipFile(sys.argv[1]).namelist())
absent = [name for name in WANTED if name not in names]
if absent:
    sys.exit(f"{sys.argv[1]} lacks {', '.join(absent)}")
