"""`orlop apiserver`: an API server alone, with its store in a folder."""

import argparse
import sys
from ipaddress import ip_network
from pathlib import Path

from orlop.cli import audit, options
from orlop.cluster.settings import SettingsError
from orlop.store.choose import CHOICES, DEFAULT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, required=True, metavar="DIR", help="store, keys and certificates")
    parser.add_argument("--bind-address", default="127.0.0.1", metavar="ADDRESS", help="where to listen")
    parser.add_argument("--secure-port", type=int, default=6443, metavar="PORT", help="0 picks a free one")
    parser.add_argument("--advertise-address", default="", metavar="ADDRESS", help="how pods reach this server")
    parser.add_argument(
        "--write-kubeconfig", type=Path, default=None, metavar="FILE", help="an admin kubeconfig, written when ready"
    )
    options.add_history(parser)
    parser.add_argument("--store", choices=CHOICES, default=DEFAULT, help="memory keeps nothing")
    parser.add_argument(
        "--service-cluster-ip-range", default="10.96.0.0/16", metavar="CIDR", help="addresses of Services"
    )
    parser.add_argument(
        "--tls-cert-file",
        type=Path,
        default=None,
        metavar="FILE",
        help="the serving certificate; without it, one of the cluster's own authority",
    )
    parser.add_argument("--tls-private-key-file", type=Path, default=None, metavar="FILE", help="its key")
    parser.add_argument(
        "--tls-sni-cert-key",
        action="append",
        default=[],
        metavar="CERT,KEY[:NAME,…]",
        help="a serving certificate for clients who ask for its names, or for these; may be given several times",
    )
    parser.add_argument(
        "--tls-min-version",
        choices=("VersionTLS12", "VersionTLS13"),
        default="VersionTLS12",
        help="the oldest TLS that is spoken",
    )
    parser.add_argument(
        "--tls-cipher-suites", default="", metavar="NAME,…", help="of TLS 1.2, by IANA's names; without it, all"
    )
    parser.add_argument(
        "--http2-max-streams-per-connection", type=int, default=0, metavar="N", help="at a time; 0 means 100"
    )
    parser.add_argument(
        "--client-ca-file",
        type=Path,
        default=None,
        metavar="FILE",
        help="authorities of clients, beside the cluster's own",
    )
    parser.add_argument(
        "--service-account-issuer", default="", metavar="URL", help="who service account tokens say they are from"
    )
    parser.add_argument(
        "--service-account-signing-key-file",
        type=Path,
        default=None,
        metavar="FILE",
        help="the private key that signs service account tokens; without it, one in --data-dir",
    )
    parser.add_argument(
        "--enable-admission-plugins",
        default="",
        metavar="NAME,…",
        help="plug-ins that shall see requests, beside those that do where nothing is said",
    )
    parser.add_argument(
        "--disable-admission-plugins", default="", metavar="NAME,…", help="plug-ins that shall see no request"
    )
    parser.add_argument(
        "--token-auth-file", type=Path, default=None, metavar="FILE", help='token,user,uid,"group1,group2" lines'
    )
    options.add_runtime_config(parser)
    audit.add_arguments(parser)
    options.add_logging(parser)


def run(arguments: argparse.Namespace) -> int:
    from orlop.apiserver.admission import check_names
    from orlop.apiserver.config import Config
    from orlop.apiserver.front.limits import STREAMS
    from orlop.apiserver.front.tls import SniCertificate
    from orlop.apiserver.server import ApiServer
    from orlop.cli.component import setup
    from orlop.cluster.child import run_component
    from orlop.cluster.components import forever

    setup(arguments)
    tls = arguments.tls_cert_file, arguments.tls_private_key_file
    if (tls[0] is None) != (tls[1] is None):
        raise SettingsError("--tls-cert-file and --tls-private-key-file go together: give both or neither")
    try:
        others = tuple(map(SniCertificate.parse, arguments.tls_sni_cert_key))
    except ValueError as error:
        raise SettingsError(f"--tls-sni-cert-key: {error}") from error
    streams = arguments.http2_max_streams_per_connection or STREAMS
    if not 0 < streams < 1 << 31:
        raise SettingsError(f"--http2-max-streams-per-connection: {streams}: choose 0 or more, below 2147483648")
    plugins = [
        frozenset(filter(None, names.split(",")))
        for names in (arguments.enable_admission_plugins, arguments.disable_admission_plugins)
    ]
    try:
        check_names(*plugins)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    config = Config(
        data_dir=arguments.data_dir.absolute(),
        bind_address=arguments.bind_address,
        secure_port=arguments.secure_port,
        advertise_address=arguments.advertise_address,
        store=arguments.store,
        history=tuple(arguments.history or ()),
        service_cidrs=tuple(map(ip_network, arguments.service_cluster_ip_range.split(","))),
        write_kubeconfig=arguments.write_kubeconfig,
        tls_files=None if tls[0] is None else tls,
        sni_certificates=others,
        tls_only13=arguments.tls_min_version == "VersionTLS13",
        tls_cipher_suites=tuple(filter(None, arguments.tls_cipher_suites.split(","))),
        http2_streams=streams,
        client_ca_file=arguments.client_ca_file,
        service_account_issuer=arguments.service_account_issuer,
        service_account_key_file=arguments.service_account_signing_key_file,
        enable_admission_plugins=plugins[0],
        disable_admission_plugins=plugins[1],
        token_auth_file=arguments.token_auth_file,
        audit=audit.settings(arguments),
        runtime_config=options.runtime_config(arguments),
    )

    async def main() -> None:
        async with ApiServer(config) as server:
            print(f"serving at https://{arguments.bind_address}:{server.port}", file=sys.stderr, flush=True)
            await forever()

    return run_component(main())
