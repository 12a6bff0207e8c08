"""Options that several commands share."""

import argparse
from collections.abc import Callable
from pathlib import Path

import msgspec

from orlop.api import durations
from orlop.cluster.settings import DEFAULT_NAME, Settings, SettingsError, default_data_dir, load
from orlop.kubelet.eviction.config import EvictionConfig, pairs


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Which cluster a command is about."""
    parser.add_argument("--name", default=DEFAULT_NAME, help="the cluster's name, also of its kubectl context")
    parser.add_argument(
        "--data-dir", type=Path, default=None, metavar="DIR", help="the cluster's folder (default: one for each name)"
    )


def data_dir(arguments: argparse.Namespace) -> Path:
    """The cluster's folder."""
    chosen: Path | None = arguments.data_dir
    return chosen.absolute() if chosen is not None else default_data_dir(arguments.name)


def cluster(arguments: argparse.Namespace) -> Settings:
    """The cluster that the options name. Raises SettingsError when there is none."""
    folder = data_dir(arguments)
    settings = load(folder)
    if settings is None:
        raise SettingsError(f"there is no cluster {arguments.name!r} in {folder}; `orlop up` makes one")
    return settings


def add_component(parser: argparse.ArgumentParser) -> None:
    """What every component that runs alone takes."""
    parser.add_argument("--kubeconfig", required=True, metavar="FILE", help="how to reach the API server, and as whom")
    add_logging(parser)


def add_logging(parser: argparse.ArgumentParser) -> None:
    """How a component logs to stderr."""
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="text for people, JSON lines")
    parser.add_argument(
        "-v", dest="verbosity", type=int, default=0, metavar="LEVEL", help="0: information, 4 and more: debugging"
    )


def add_leader_election(parser: argparse.ArgumentParser, lease: str) -> None:
    """Upstream's leader election flags."""
    parser.add_argument(
        "--leader-elect",
        type=boolean,
        nargs="?",
        const=True,
        default=True,
        metavar="BOOL",
        help="only one of several replicas works at a time",
    )
    parser.add_argument("--leader-elect-resource-name", default=lease, help="the Lease's name")
    parser.add_argument("--leader-elect-resource-namespace", default="kube-system", help="the Lease's namespace")


def add_container_logs(parser: argparse.ArgumentParser) -> None:
    """What a kubelet keeps of its containers' logs."""
    parser.add_argument(
        "--container-log-max-size",
        default=None,
        metavar="QUANTITY",
        help="a container's log is rotated at this size (default: 10Mi)",
    )
    parser.add_argument(
        "--container-log-max-files",
        type=int,
        default=None,
        metavar="N",
        help="how many files are kept of it, 2 or more (default: 5)",
    )


EVICTION_FLAGS = {
    "hard": (
        "--eviction-hard",
        "SIGNAL<AMOUNT,…",
        "pods are evicted at once when less than this is available; replaces all defaults",
    ),
    "soft": ("--eviction-soft", "SIGNAL<AMOUNT,…", "pods are evicted when less than this is available for some time"),
    "soft_grace_period": ("--eviction-soft-grace-period", "SIGNAL=DURATION,…", "the time, for each soft threshold"),
    "minimum_reclaim": (
        "--eviction-minimum-reclaim",
        "SIGNAL=AMOUNT,…",
        "how much beyond the threshold is to be available again before the node is content",
    ),
    "kube_reserved": (
        "--kube-reserved",
        "RESOURCE=AMOUNT,…",
        "kept for Kubernetes' own programs: cpu, memory, ephemeral-storage, pid",
    ),
    "system_reserved": ("--system-reserved", "RESOURCE=AMOUNT,…", "kept for the machine's other programs"),
}
"""By field of EvictionConfig."""


def add_eviction(parser: argparse.ArgumentParser) -> None:
    """When a kubelet evicts pods, and what of its machine it reserves."""
    for field, (flag, metavar, text) in EVICTION_FLAGS.items():
        parser.add_argument(
            flag, dest=f"eviction_{field}", type=_pairs(metavar), default=None, metavar=metavar, help=text
        )
    parser.add_argument(
        "--eviction-pressure-transition-period",
        type=duration,
        default=None,
        metavar="DURATION",
        help="how long a pressure is told after it was last seen (default: 5m)",
    )
    parser.add_argument(
        "--eviction-max-pod-grace-period",
        type=int,
        default=None,
        metavar="SECONDS",
        help="most time that a pod has to end at a soft threshold (default: its own)",
    )


def eviction(arguments: argparse.Namespace, before: EvictionConfig) -> EvictionConfig:
    """What was said before, with what the flags say now. Raises SettingsError naming what is wrong."""
    said = {
        field: value
        for field in (*EVICTION_FLAGS, "pressure_transition_period", "max_pod_grace_period")
        if (value := getattr(arguments, f"eviction_{field}")) is not None
    }
    result = msgspec.structs.replace(before, **said)
    try:
        result.check()
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return result


def _pairs(form: str) -> Callable[[str], dict[str, str]]:
    separator = "<" if "<" in form else "="

    def parse(text: str) -> dict[str, str]:
        try:
            return pairs(text, separator)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}: {form}") from None

    return parse


def duration(text: str) -> float:
    """Seconds of a Go duration: `30s`, `5m`."""
    try:
        return durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_history(parser: argparse.ArgumentParser) -> None:
    """How much of the past the store keeps."""
    parser.add_argument(
        "--history",
        action="append",
        type=history,
        default=None,
        metavar="[RESOURCE=]AGE,CHANGES,SIZE",
        help="how much of the past the store keeps of each resource, or of one; may be repeated. Whichever limit is "
        "reached first counts, and one left empty stays as it is. Without it: 24h,100000,512Mi "
        "leases=10m,10000,16Mi events=1h,20000,64Mi",
    )


def history(text: str) -> str:
    """One --history, checked."""
    from orlop.store.retention import parse_retention

    try:
        parse_retention([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def boolean(text: str) -> bool:
    """`true` or `false`, as Go's flags take them."""
    values = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"invalid boolean value {text!r}: use true or false")
    return values[text.lower()]


def add_runtime_config(parser: argparse.ArgumentParser) -> None:
    """Which APIs are served that are not stable."""
    parser.add_argument(
        "--runtime-config",
        default=None,
        metavar="KEY=VALUE,…",
        help="group-versions that are not stable: scheduling.k8s.io/v1beta1=true, or api/beta=true for all",
    )


def runtime_config(arguments: argparse.Namespace) -> dict[str, str]:
    """What --runtime-config said."""
    return dict(pair.partition("=")[::2] for pair in (arguments.runtime_config or "").split(",") if pair)


def add_stub_domains(parser: argparse.ArgumentParser) -> None:
    """Who is asked about domains of their own, and whether search paths are walked here."""
    parser.add_argument(
        "--stub-domain",
        action="append",
        default=None,
        metavar="DOMAIN=ADDRESS[#PORT],…",
        help="name servers to ask about a domain and all below it; may be repeated",
    )
    parser.add_argument(
        "--dns-autopath",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="answer a pod's first question with what is found anywhere on its search path",
    )
