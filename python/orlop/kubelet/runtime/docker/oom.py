"""How far below zero an OOM score may be set on this machine."""

import logging
from pathlib import Path

CAP_SYS_RESOURCE = 24
LOWEST = -1000
PID_FILE = Path("/var/run/docker.pid")

logger = logging.getLogger("orlop.kubelet.runtime.docker")


def lowest_score() -> int:
    """LOWEST, or 0 where the engine lacks CAP_SYS_RESOURCE (in a container): starting anything would fail there.

    The engine's own capabilities are read where its process can be found, else this process' stand for them.
    """
    for process in (_engine_process(), "self"):
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:
            continue
        capabilities = next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1]
        if int(capabilities, 16) >> CAP_SYS_RESOURCE & 1:
            return LOWEST
        logger.info("the Docker Engine may not lower OOM scores here: negative ones become 0")
        return 0
    return LOWEST


def _engine_process() -> str:
    try:
        return PID_FILE.read_text().strip()
    except OSError:
        return "none"
