"""One process of a benchmark's cluster: `part.py FOLDER apiserver|controllers|scheduler|hollow [FIRST COUNT]`.

Prints a line when it works, then runs until SIGTERM.
"""

import sys
from pathlib import Path

from orlop import logging
from orlop.cluster import child, components
from orlop.cluster.settings import load


def ready(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    folder, part, *numbers = sys.argv[1:]
    child.die_with_parent()
    logging.setup("WARNING", "text")
    settings = load(Path(folder))
    assert settings is not None
    match part:
        case "apiserver":
            return child.run_component(components.run_apiserver(settings, ready))
        case "controllers":
            return child.run_component(components.run_controllers(settings, ready))
        case "scheduler":
            return child.run_component(components.run_scheduler(settings, ready))
        case "hollow":
            first, count = map(int, numbers)
            names = [f"hollow-{i}" for i in range(first, first + count)]
            return child.run_component(components.run_hollow(settings, ready, names))
    raise SystemExit(f"there is no part {part!r}")


if __name__ == "__main__":
    sys.exit(main())
