"""`orlop up`: starts a cluster in the background and points kubectl at it."""

import argparse
import os
import socket
import sys

from orlop.cli import options
from orlop.clock import SystemClock
from orlop.cluster import launch
from orlop.cluster.kubectl import use_context
from orlop.cluster.runtimes import choose_runtime
from orlop.cluster.settings import (
    DEFAULT_PORT,
    Settings,
    SettingsError,
    free_port,
    load,
    port_is_free,
    primary_address,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_cluster(parser)
    parser.add_argument("--hollow", type=int, default=None, metavar="N", help="simulated nodes beside the real one")
    parser.add_argument(
        "--runtime", choices=("auto", "docker", "native", "hollow"), default=None, help="what runs containers"
    )
    parser.add_argument(
        "--secure-port", type=int, default=None, metavar="PORT", help="the API's port; 0 picks a free one"
    )
    parser.add_argument("--bind-address", default=None, metavar="ADDRESS", help="where the API server listens")
    parser.add_argument("--node-name", default=None, help="this machine's node (default: its host name)")
    parser.add_argument("--service-cidr", default=None, metavar="CIDR", help="addresses of Services")
    parser.add_argument("--pod-cidr", default=None, metavar="CIDR", help="addresses of pods")
    parser.add_argument(
        "--node-monitor-grace-period",
        type=float,
        default=None,
        metavar="SECONDS",
        help="silence after which a node is unreachable",
    )
    parser.add_argument(
        "--default-toleration-seconds",
        type=int,
        default=None,
        metavar="SECONDS",
        help="how long pods stay on a node that is not ready or unreachable",
    )
    parser.add_argument(
        "--node-lease-duration-seconds",
        type=int,
        default=None,
        metavar="SECONDS",
        help="nodes renew their Lease at a quarter of this",
    )
    options.add_history(parser)
    options.add_logging(parser)


def run(arguments: argparse.Namespace) -> int:
    clock = SystemClock()
    began = clock.monotonic()
    settings = settle(arguments)
    state = launch.running(settings)
    if state is not None:
        use_context(settings)
        print(f"cluster {settings.name!r} is running at {state.server} (orlop status tells more)")
        return 0
    check(settings, arguments.secure_port)
    settings.save()
    last = began
    for kind, text in launch.start(settings):
        now = clock.monotonic()
        if kind == "error":
            launch.stop(settings)
            print(f"orlop up: {text}", file=sys.stderr)
            print(f"the components' logs are in {settings.logs}", file=sys.stderr)
            return 1
        if kind == "ready":
            break
        print(f"  ✓ {text:<60} {now - last:6.2f} s", flush=True)
        last = now
    file = use_context(settings)
    print(f"  ✓ context {settings.name!r} in {file}")
    print(f"cluster {settings.name!r} is up after {clock.monotonic() - began:.2f} s: kubectl get nodes")
    return 0


def settle(arguments: argparse.Namespace) -> Settings:
    """The cluster's settings: what it had, with what the command line says now."""
    folder = options.data_dir(arguments)
    settings = load(folder)
    fresh = settings is None
    if settings is None:
        settings = Settings(name=arguments.name, data_dir=folder)
    settings.data_dir = folder
    for field in (
        "hollow",
        "runtime",
        "bind_address",
        "node_name",
        "service_cidr",
        "pod_cidr",
        "node_monitor_grace_period",
        "default_toleration_seconds",
        "node_lease_duration_seconds",
        "history",
    ):
        value = getattr(arguments, field)
        if value is not None:
            setattr(settings, field, value)
    settings.log_format = arguments.log_format
    settings.node_name = settings.node_name or socket.gethostname().lower()
    if settings.hollow < 0:
        raise SettingsError("--hollow must be 0 or more")
    if fresh and arguments.bind_address is None and (settings.runtime == "hollow" or os.geteuid() != 0):
        # Nothing but this machine's own processes needs to reach it.
        settings.bind_address = "127.0.0.1"
    settings.advertise_address = (
        primary_address() if settings.bind_address in ("0.0.0.0", "::") else settings.bind_address
    )
    port = arguments.secure_port
    if port is None and fresh and not port_is_free(settings.bind_address, DEFAULT_PORT):
        port = 0
    if port is not None:
        settings.secure_port = port or free_port(settings.bind_address)
    return settings


def check(settings: Settings, asked_port: int | None) -> None:
    """Finds out now what would fail later. Raises SettingsError with what to do."""
    choose_runtime(settings)
    if not port_is_free(settings.bind_address, settings.secure_port):
        raise SettingsError(
            f"port {settings.secure_port} on {settings.bind_address} is taken by another process; "
            "stop it, or choose a port with --secure-port (0 picks a free one)"
        )
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (settings.data_dir / "run").mkdir(exist_ok=True, mode=0o700)
    except PermissionError as error:
        raise SettingsError(f"cannot write to {settings.data_dir}: {error.strerror}; choose --data-dir") from error
