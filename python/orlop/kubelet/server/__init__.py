"""The kubelet's HTTPS server: a file each for logs, commands and ports, `server.py` for the rest."""

from orlop.kubelet.server.server import Server

__all__ = ["Server"]
