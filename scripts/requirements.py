"""Prints the requirements of pyproject.toml, with the extras named as arguments."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = [r for extra in sys.argv[1:] for r in project["optional-dependencies"][extra]]
print("\n".join([*project["dependencies"], *extras]))
