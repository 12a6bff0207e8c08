"""Links, addresses and routes by rtnetlink: the few messages that pod networks need (rtnetlink(7), linux/rtnetlink.h).

A library for all of netlink costs a node 8 MiB, and each use of it four times the CPU. Every method blocks for
microseconds and raises OSError with the kernel's number. A socket stays in the network namespace it was opened in.
"""

import errno
import socket
import struct
from ipaddress import ip_address

import msgspec

from orlop.kubelet.network.netlink_socket import (
    CREATE,
    EXCLUSIVE,
    NESTED,
    REPLACE,
    NetlinkSocket,
    attribute,
    attributes,
    number,
    text,
)

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_PROTINFO = 1, 3, 4, 10, 12
_IFLA_LINKINFO, _IFLA_IFALIAS, _IFLA_GROUP, _IFLA_NET_NS_FD = 18, 20, 27, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER, _BRPORT_MODE = 1, 2, 1, 4
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_TABLE = 1, 4, 5, 15
_IFF_UP = 1
_IFA_F_NODAD = 0x02
"""An address nobody else can have needs no second of duplicate detection (IPv6)."""
_UNICAST, _STATIC = 1, 4
MAIN_TABLE = 254
SCOPE_UNIVERSE, SCOPE_LINK, SCOPE_ANY = 0, 253, 255


class Link(msgspec.Struct, frozen=True):
    """A network interface."""

    index: int
    name: str
    mtu: int
    master: int
    """The bridge's index; 0 for none."""
    address: str
    """The hardware's."""


class Address(msgspec.Struct, frozen=True):
    """An address of a link."""

    address: str
    scope: int
    prefix: int
    """Bits of the network that it says is on the link."""


class Route(msgspec.Struct, frozen=True):
    """A route; `destination` is a CIDR, "" for everything."""

    family: int
    destination: str
    gateway: str
    link: int
    table: int
    protocol: int
    scope: int


class Netlink(NetlinkSocket):
    """A socket to the kernel's links, addresses and routes."""

    def __init__(self) -> None:
        super().__init__(socket.NETLINK_ROUTE)

    # --- links ---

    def links(self) -> list[Link]:
        """All of them."""
        found = []
        for body in self.dump(_GETLINK, _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
            _, _, index, _, _ = _LINK.unpack_from(body)
            has = attributes(body, _LINK.size)
            name = has.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode()
            hardware = has.get(_IFLA_ADDRESS, b"").hex(":")
            found.append(Link(index, name, number(has, _IFLA_MTU), number(has, _IFLA_MASTER), hardware))
        return found

    def link(self, name: str) -> Link | None:
        """The one of this name."""
        return next((link for link in self.links() if link.name == name), None)

    def need(self, name: str) -> Link:
        """The one of this name. Raises OSError (ENODEV)."""
        found = self.link(name)
        if found is None:
            raise OSError(errno.ENODEV, f"there is no link {name}")
        return found

    def add_bridge(self, name: str, address: str) -> None:
        """A bridge with this hardware address."""
        info = attribute(_INFO_KIND, b"bridge")
        hardware = attribute(_IFLA_ADDRESS, bytes.fromhex(address.replace(":", "")))
        self._add_link(attribute(_IFLA_IFNAME, text(name)) + hardware + attribute(_IFLA_LINKINFO | NESTED, info))

    def add_veth(self, name: str, peer: str, netns: str, mtu: int = 0) -> None:
        """A cable: this end here, the other as `peer` in the network namespace at `netns`."""
        with open(netns, "rb") as space:
            end = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(_IFLA_IFNAME, text(peer))
            end += attribute(_IFLA_NET_NS_FD, struct.pack("=I", space.fileno()))
            if mtu:
                end += attribute(_IFLA_MTU, struct.pack("=I", mtu))
            info = attribute(_INFO_KIND, b"veth")
            info += attribute(_INFO_DATA | NESTED, attribute(_VETH_PEER | NESTED, end))
            self._add_link(attribute(_IFLA_IFNAME, text(name)) + attribute(_IFLA_LINKINFO | NESTED, info))

    def _add_link(self, attributes: bytes) -> None:
        body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attributes
        self.ask(_NEWLINK, CREATE | EXCLUSIVE, body)

    def set_link(
        self,
        index: int,
        *,
        up: bool | None = None,
        mtu: int = 0,
        master: int = 0,
        group: int = 0,
        alias: str | None = None,
    ) -> None:
        """Changes what is named."""
        attributes = b""
        if mtu:
            attributes += attribute(_IFLA_MTU, struct.pack("=I", mtu))
        if master:
            attributes += attribute(_IFLA_MASTER, struct.pack("=I", master))
        if group:
            attributes += attribute(_IFLA_GROUP, struct.pack("=I", group))
        if alias is not None:
            attributes += attribute(_IFLA_IFALIAS, text(alias))
        flags, mask = (_IFF_UP if up else 0), (0 if up is None else _IFF_UP)
        self.ask(_NEWLINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, index, flags, mask) + attributes)

    def set_hairpin(self, index: int) -> None:
        """Lets a bridge send out of this port what came in by it."""
        mode = attribute(_IFLA_PROTINFO | NESTED, attribute(_BRPORT_MODE, b"\1"))
        self.ask(_SETLINK, 0, _LINK.pack(socket.AF_BRIDGE, 0, index, 0, 0) + mode)

    def delete_link(self, index: int) -> None:
        """Of a cable both ends go."""
        self.ask(_DELLINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0))

    # --- addresses ---

    def add_address(self, index: int, address: str, prefix: int) -> None:
        """Gives a link an address. Raises FileExistsError where it has it."""
        packed, family = ip_address(address).packed, _family(address)
        body = _ADDRESS.pack(family, prefix, 0, SCOPE_UNIVERSE, index)
        body += attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
        if family == socket.AF_INET6:
            body += attribute(_IFA_FLAGS, struct.pack("=I", _IFA_F_NODAD))
        self.ask(_NEWADDR, CREATE | EXCLUSIVE, body)

    def delete_address(self, index: int, address: str, prefix: int) -> None:
        """Takes it away. Raises OSError (EADDRNOTAVAIL) where the link does not have it."""
        body = _ADDRESS.pack(_family(address), prefix, 0, SCOPE_UNIVERSE, index)
        self.ask(_DELADDR, 0, body + attribute(_IFA_LOCAL, ip_address(address).packed))

    def addresses(self, index: int) -> list[Address]:
        """Those of a link, as the kernel orders them."""
        found = []
        for body in self.dump(_GETADDR, _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
            _, prefix, _, scope, link = _ADDRESS.unpack_from(body)
            packed = attributes(body, _ADDRESS.size).get(_IFA_ADDRESS)
            if link == index and packed is not None:
                found.append(Address(str(ip_address(packed)), scope, prefix))
        return found

    # --- routes ---

    def routes(self) -> list[Route]:
        """All, of both families."""
        found = []
        for body in self.dump(_GETROUTE, _ROUTE.pack(socket.AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0, 0)):
            family, prefix, _, _, table, protocol, scope, _, _ = _ROUTE.unpack_from(body)
            if family not in (socket.AF_INET, socket.AF_INET6):
                continue  # of multicast
            has = attributes(body, _ROUTE.size)
            target, gateway = has.get(_RTA_DST), has.get(_RTA_GATEWAY)
            found.append(
                Route(
                    family,
                    f"{ip_address(target)}/{prefix}" if target else "",
                    str(ip_address(gateway)) if gateway else "",
                    number(has, _RTA_OIF),
                    number(has, _RTA_TABLE) or table,
                    protocol,
                    scope,
                )
            )
        return found

    def add_route(
        self,
        link: int,
        destination: str = "",
        gateway: str = "",
        *,
        scope: int = SCOPE_UNIVERSE,
        protocol: int = _STATIC,
        replace: bool = False,
    ) -> None:
        """A route over `link` to a CIDR, or to everything where none is named. Raises FileExistsError."""
        body = self._route(link, destination, gateway, scope, protocol)
        self.ask(_NEWROUTE, CREATE | (REPLACE if replace else EXCLUSIVE), body)

    def delete_route(self, link: int, destination: str, *, protocol: int = _STATIC) -> None:
        """Takes it away."""
        self.ask(_DELROUTE, 0, self._route(link, destination, "", SCOPE_ANY, protocol))

    @staticmethod
    def _route(link: int, destination: str, gateway: str, scope: int, protocol: int) -> bytes:
        target, _, prefix = destination.partition("/")
        family = _family(target or gateway)
        body = _ROUTE.pack(family, int(prefix or 0), 0, 0, MAIN_TABLE, protocol, scope, _UNICAST, 0)
        if target:
            body += attribute(_RTA_DST, ip_address(target).packed)
        if gateway:
            body += attribute(_RTA_GATEWAY, ip_address(gateway).packed)
        return body + attribute(_RTA_OIF, struct.pack("=I", link))


def _family(address: str) -> int:
    return int(socket.AF_INET6 if ":" in address else socket.AF_INET)
