"""`orlop store COMMAND`: looks after a cluster's store."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from orlop.cli import options, storetables
from orlop.clock import SystemClock
from orlop.store.base import StoreCorrupt, StoreError

DAMAGED = 3
"""Exit code: there is a store, and it is damaged. (0: sound or done; 1: failed; 2: the command line is wrong.)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="store_command", metavar="COMMAND", required=True)

    def command(name: str, what: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=what,
            description=what[0].upper() + what[1:] + ".",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        options.add_cluster(sub)
        sub.set_defaults(run_store=run)
        return sub

    check = command("check", "hold the whole store against itself; 3 if it is damaged", run_check)
    add_output(check)
    stats = command("stats", "what is in the store, in figures", run_stats)
    add_output(stats)
    compact = command("compact", "forget the past of a stopped cluster and make its store's file small", run_compact)
    compact.add_argument("--revision", type=int, default=None, help="forget what is before (default: all of the past)")
    backup = command("backup", "copy the cluster's state while it runs", run_backup)
    backup.add_argument("backup", type=Path, metavar="BACKUP", help="a new folder")
    restore = command("restore", "make a new cluster's folder of a backup", run_restore)
    restore.add_argument("backup", type=Path, metavar="BACKUP", help="a backup, or a stopped cluster's folder")
    restore.add_argument(
        "--bump-revision",
        type=positive,
        default=None,
        metavar="N",
        help="how far to raise the revision, so that none is given out twice (default: a thousand million)",
    )
    restore.add_argument("--salvage", action="store_true", help="take what is sound of a damaged store")
    export = command("export", "print the cluster's objects", run_export)
    export.add_argument(
        "--kind", "-k", action="append", metavar="RESOURCE", help="only these: pods, deploy, jobs.batch"
    )
    export.add_argument("--namespace", "-n", default=None, help="only of this namespace")
    export.add_argument("--revision", type=int, default=None, help="as of this revision, if it is still kept")
    export.add_argument("--output", "-o", choices=("json", "yaml"), default="json", help="JSON lines or YAML documents")
    imports = command("import", "create exported objects in a cluster that runs, through its API", run_import)
    imports.add_argument("file", metavar="FILE", help="JSON lines or YAML documents; - for standard input")
    imports.add_argument("--kubeconfig", metavar="FILE", default=None, help="another cluster's than --name's")
    imports.add_argument("--replace", action="store_true", help="replace what is there; without it, it is left alone")
    imports.add_argument("--status", action="store_true", help="import status too: controllers make it otherwise")
    imports.add_argument("--dry-run", action="store_true", help="ask the server and change nothing")


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", "-o", choices=("text", "json"), default="text", help="for people or for programs")


def positive(text: str) -> int:
    """A number that is 1 or more."""
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    try:
        code: int = arguments.run_store(arguments)
        return code
    except StoreCorrupt as error:
        print(f"orlop store {arguments.store_command}: {error}", file=sys.stderr)
        return DAMAGED
    except (StoreError, FileExistsError, ValueError) as error:
        print(f"orlop store {arguments.store_command}: {error}", file=sys.stderr)
        return 1


def folder(arguments: argparse.Namespace) -> str:
    """Where the store is."""
    from orlop.store.backup import store_of

    return store_of(str(options.data_dir(arguments)))


def run_check(arguments: argparse.Namespace) -> int:
    from orlop.store.guarded import check_guarded

    findings, counted = check_guarded(folder(arguments))
    if arguments.output == "json":
        sys.stdout.buffer.write(msgspec.json.encode({"findings": findings, "counted": counted}) + b"\n")
    else:
        for finding in findings:
            print(storetables.finding(finding))
        print(storetables.summary(findings, counted))
    return DAMAGED if findings else 0


def run_stats(arguments: argparse.Namespace) -> int:
    from orlop.store.describe import describe

    found = describe(folder(arguments))
    if arguments.output == "json":
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    else:
        print(storetables.stats(found, SystemClock().now()))
    return 0


def run_compact(arguments: argparse.Namespace) -> int:
    from orlop.store.shrink import shrink

    before, after, revision = shrink(folder(arguments), arguments.revision, SystemClock())
    size = storetables.size
    print(f"the past before revision {revision} is forgotten; the file had {size(before)}, and has {size(after)}")
    return 0


def run_backup(arguments: argparse.Namespace) -> int:
    from orlop.store.backup import backup

    about = backup(str(options.data_dir(arguments)), str(arguments.backup), SystemClock(), _tell)
    print(f"{about.objects} objects as of revision {about.revision} are in {arguments.backup}")
    return 0


def run_restore(arguments: argparse.Namespace) -> int:
    from orlop.store.backup import BUMP, restore

    target = options.data_dir(arguments)
    bump = arguments.bump_revision or BUMP
    about, revision = restore(
        str(arguments.backup), str(target), SystemClock(), _tell, bump=bump, salvage=arguments.salvage
    )
    print(f"{about.objects} objects as of revision {about.revision} are in {target}; it goes on after {revision}")
    return 0


def run_export(arguments: argparse.Namespace) -> int:
    from orlop.store.exporting import export
    from orlop.store.names import resource_named

    kinds = None
    if arguments.kind:
        kinds = {resource_named(name) for text in arguments.kind for name in text.split(",")}
    lost = []

    def tell(finding: object) -> None:
        lost.append(finding)
        _tell(finding)

    for record in export(folder(arguments), kinds, arguments.namespace, arguments.revision, tell):
        if arguments.output == "yaml":
            sys.stdout.write("---\n" + storetables.as_yaml(record.value))
        else:
            sys.stdout.buffer.write(record.value + b"\n")
    return DAMAGED if lost else 0


def run_import(arguments: argparse.Namespace) -> int:
    from orlop.store.importing import read

    if arguments.file == "-":
        objects = list(read(sys.stdin))
    else:
        with open(arguments.file, encoding="utf-8") as file:
            objects = list(read(file))
    kubeconfig = arguments.kubeconfig or options.cluster(arguments).kubeconfig("admin")
    return asyncio.run(_import(objects, Path(kubeconfig), arguments))


async def _import(objects: list[dict[str, object]], config: Path, arguments: argparse.Namespace) -> int:
    from orlop.client import kubeconfig
    from orlop.client.client import Client
    from orlop.client.tls import TLSTransport
    from orlop.store.importing import MANAGER, Importer

    clock = SystemClock()
    client = Client(TLSTransport(kubeconfig.load(config), clock), clock=clock, user_agent=MANAGER)
    counts: dict[str, int] = {}
    try:
        importer = Importer(client, replace=arguments.replace, dry_run=arguments.dry_run, status=arguments.status)
        async for outcome in importer.run(objects):
            counts[outcome.what] = counts.get(outcome.what, 0) + 1
            if outcome.what == "failed":
                print(f"{outcome.name}: {outcome.why}", file=sys.stderr)
    finally:
        await client.close()
    told = {"created": "created", "replaced": "replaced", "there": "were there and are left alone", "failed": "failed"}
    print(", ".join(f"{counts[what]} {text}" for what, text in told.items() if what in counts) or "nothing to import")
    return 1 if counts.get("failed") else 0


def _tell(finding: object) -> None:
    print(storetables.finding(finding), file=sys.stderr)  # type: ignore[arg-type]
