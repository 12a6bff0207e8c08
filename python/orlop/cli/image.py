"""`orlop image`: the images of the embedded runtime on this machine. Needs no cluster."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from orlop.cli import image_credentials, image_show
from orlop.clock import SystemClock
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.native.images import ImageStore, changes, default_root, host
from orlop.kubelet.runtime.native.images.registry import RegistrySettings

Verb = Callable[[ImageStore, argparse.Namespace], Coroutine[Any, Any, int]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    where = "the folder that holds the images"
    parser.add_argument("--image-dir", type=Path, default=default_root(), metavar="DIR", help=where)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, run: Verb, what: str, *aliases: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, aliases=aliases, help=what, description=what[0].upper() + what[1:] + ".")
        sub.add_argument("--image-dir", type=Path, default=argparse.SUPPRESS, metavar="DIR", help=where)
        sub.set_defaults(run_verb=run)
        return sub

    _add_load(verb("load", load, "take images from an archive of `docker save`, an OCI layout, or a root file system"))
    show = verb("list", list_images, "list the images", "ls")
    show.add_argument("-o", "--output", choices=("table", "json"), default="table", help="for people or for programs")
    show.add_argument("-q", "--quiet", action="store_true", help="only the ids")
    show.add_argument("--no-trunc", action="store_true", help="whole ids")
    show.add_argument("--digests", action="store_true", help="with the digests of their manifests")
    fetch = verb("pull", pull, "fetch images from their registries")
    fetch.add_argument("image", nargs="+", help="[REGISTRY/]NAME[:TAG|@DIGEST]")
    fetch.add_argument("-u", "--user", "--creds", metavar="NAME[:PASSWORD]", help="who you are to the registry")
    fetch.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    fetch.add_argument("--ca-file", type=Path, metavar="FILE", help="authorities to trust, PEM")
    fetch.add_argument("--plain-http", action="store_true", help="no TLS (registries on this machine need no flag)")
    fetch.add_argument("-q", "--quiet", action="store_true", help="print only the ids")
    remove = verb("rm", rm, "take names away, and images with their last name", "remove", "rmi")
    remove.add_argument("image", nargs="+", help="name or id")
    remove.add_argument("-f", "--force", action="store_true", help="do not mind images that are not there")
    label = verb("tag", tag, "give an image one more name")
    label.add_argument("image", help="name or id")
    label.add_argument("name", help="the new name")
    keep = verb("save", save, "write images to an archive that Docker, containerd and podman read too")
    keep.add_argument("image", nargs="+", help="name or id")
    keep.add_argument("-o", "--output", type=Path, metavar="FILE", help="instead of standard output")
    look = verb("inspect", inspect, "print all that is known of images, as JSON")
    look.add_argument("image", nargs="+", help="name or id")
    verb("prune", prune, "take away images that have no name and are in no use")


def _add_load(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("file", nargs="?", default=None, metavar="FILE|-", help="an archive, a folder, or - for a pipe")
    sub.add_argument("-i", "--input", dest="input", metavar="FILE", help="the same, as `docker load` has it")
    sub.add_argument("-q", "--quiet", action="store_true", help="print only the ids")
    sub.add_argument(
        "--import", dest="import_name", metavar="NAME", help="FILE is a root file system: make this image of it"
    )
    sub.add_argument("--entrypoint", metavar="WORDS", help='with --import: "init -q" or ["init", "-q"]')
    sub.add_argument("--cmd", metavar="WORDS", help="with --import: the arguments, or the program without entrypoint")
    sub.add_argument("--env", action="append", default=[], metavar="KEY=VALUE", help="with --import; may be repeated")
    sub.add_argument(
        "-c", "--change", action="append", default=[], metavar="LINE", help="with --import: a Dockerfile instruction"
    )


def run(arguments: argparse.Namespace) -> int:
    settings = RegistrySettings(
        ca_file=getattr(arguments, "ca_file", None), plain_http=getattr(arguments, "plain_http", False)
    )
    store = ImageStore(arguments.image_dir, SystemClock(), settings)
    verb: Verb = arguments.run_verb
    try:
        return asyncio.run(verb(store, arguments))
    except (RuntimeFailure, image_credentials.CredentialsError) as error:
        print(f"orlop image {arguments.verb}: {error}", file=sys.stderr)
        return 1


async def load(store: ImageStore, arguments: argparse.Namespace) -> int:
    source = _source(arguments.input or arguments.file)
    if arguments.import_name is not None:
        config = _config(arguments)
        loaded = [await store.import_filesystem(source, arguments.import_name, config)]
    elif arguments.entrypoint or arguments.cmd or arguments.env or arguments.change:
        raise RuntimeFailure("--entrypoint, --cmd, --env and --change go with --import NAME")
    else:
        loaded = await store.load(source)
    for image in loaded:
        if arguments.quiet:
            print(image.id)
            continue
        for name in image.names or (f"ID: {image.id}",):
            print(f"Loaded image {name}" if name.startswith("ID: ") else f"Loaded image: {name}")
    if (note := await store.weaker()) and not arguments.quiet:
        print(f"note: {note}", file=sys.stderr)
    return 0


def _source(name: str | None) -> Path | BinaryIO:
    if name in (None, "-"):
        if sys.stdin.isatty():
            raise RuntimeFailure("name a file, or send an archive to standard input")
        return sys.stdin.buffer
    path = Path(name or "")
    if not path.exists():
        raise RuntimeFailure(f"{path}: no such file or folder")
    return path


def _config(arguments: argparse.Namespace) -> dict[str, Any]:
    config: changes.Config = {}
    for line in arguments.change:
        changes.apply(config, line)
    if arguments.entrypoint:
        config["Entrypoint"] = changes.words(arguments.entrypoint)
    if arguments.cmd:
        config["Cmd"] = changes.words(arguments.cmd)
    for item in arguments.env:
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise RuntimeFailure(f"--env {item!r}: write KEY=VALUE")
        changes.set_env(config, key, value)
    return config


async def list_images(store: ImageStore, arguments: argparse.Namespace) -> int:
    images = [*reversed(await store.list()), host.IMAGE]
    if arguments.quiet:
        for image in images:
            print(image.id if arguments.no_trunc else image_show.short(image.id))
    elif arguments.output == "json":
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(images)) + b"\n")
    else:
        for line in image_show.table(images, SystemClock().now(), arguments.no_trunc, arguments.digests):
            print(line)
    return 0


async def pull(store: ImageStore, arguments: argparse.Namespace) -> int:
    given = _given(arguments)
    for reference in arguments.image:
        auth = given or await asyncio.to_thread(image_credentials.find, reference)
        if arguments.quiet:
            print(await store.pull(reference, auth))
            continue
        with image_show.Progress(sys.stderr) as progress:
            image_id = await store.pull(reference, auth, progress)
        print(image_id)
    return 0


def _given(arguments: argparse.Namespace) -> v.AuthConfig | None:
    if not arguments.user:
        if arguments.password_stdin:
            raise RuntimeFailure("--password-stdin goes with --user NAME")
        return None
    user, colon, password = arguments.user.partition(":")
    if arguments.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif not colon:
        if not sys.stdin.isatty():
            raise RuntimeFailure("give the password: --user NAME:PASSWORD, or --password-stdin")
        password = getpass.getpass(f"Password of {user}: ")
    return v.AuthConfig(username=user, password=password)


async def rm(store: ImageStore, arguments: argparse.Namespace) -> int:
    code = 0
    for reference in arguments.image:
        try:
            if await store.resolve(reference) is None:
                if arguments.force:
                    continue
                raise RuntimeFailure(f"no such image: {reference}")
            await store.remove(reference)
        except RuntimeFailure as error:
            print(f"orlop image rm: {error}", file=sys.stderr)
            code = 1
            continue
        print(f"Removed: {reference}")
    return code


async def tag(store: ImageStore, arguments: argparse.Namespace) -> int:
    await store.tag(arguments.image, arguments.name)
    return 0


async def save(store: ImageStore, arguments: argparse.Namespace) -> int:
    output: Path | None = arguments.output
    if output is None:
        if sys.stdout.isatty():
            raise RuntimeFailure("an archive is not for a terminal: use -o FILE, or send it on")
        await store.save(arguments.image, sys.stdout.buffer)
        return 0
    aside = output.with_name(output.name + ".part")
    try:
        with aside.open("wb") as file:
            await store.save(arguments.image, file)
        aside.replace(output)
    except OSError as error:
        raise RuntimeFailure(f"{output} cannot be written: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)
    return 0


async def inspect(store: ImageStore, arguments: argparse.Namespace) -> int:
    found = []
    for reference in arguments.image:
        image = await store.resolve(reference)
        if image is None:
            raise RuntimeFailure(f"no such image: {reference}")
        document = b"{}" if image.id == host.IMAGE.id else await store.document(image.id)
        found.append(
            image_show.description(
                image, document, await store.lowerdirs(image), await store.masked_paths(image), await store.holders()
            )
        )
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    return 0


async def prune(store: ImageStore, arguments: argparse.Namespace) -> int:
    gone = await store.prune()
    for image in gone:
        print(f"Removed: {image.id}")
    print(f"{len(gone)} image(s), {image_show.size(sum(image.size for image in gone))}")
    return 0
