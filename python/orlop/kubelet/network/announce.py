"""Tells a link's neighbours that an address is here now: gratuitous ARP (RFC 5227, 3), unsolicited neighbour
advertisements (RFC 4861, 7.2.6). Every function blocks for microseconds."""

import socket
import struct
from ipaddress import ip_address

from orlop.kubelet.network.netlink import Link

ETHERNET_ARP = 0x0806
REQUEST, REPLY = 1, 2
BROADCAST = b"\xff" * 6
ALL_NODES = "ff02::1"
ADVERTISEMENT = 136
OVERRIDE = 0x20000000
"""What is known of the address is to be replaced."""
TARGET_LINK_ADDRESS = 2
HOPS = 255
"""Others are not accepted: they could have come from another link."""


def announce(link: Link, address: str) -> None:
    """Sends it once, in every form. Raises OSError, as where the link is down."""
    hardware, packed = bytes.fromhex(link.address.replace(":", "")), ip_address(address).packed
    if len(packed) == 4:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC) as sender:
            sender.bind((link.name, 0))
            for operation in (REQUEST, REPLY):  # some heed only the one, some only the other
                sender.send(gratuitous_arp(operation, hardware, packed))
        return
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMPV6) as sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOPS)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link.index)
        sender.bind((address, 0, 0, 0))
        sender.sendto(advertisement(hardware, packed), (ALL_NODES, 0, 0, link.index))


def gratuitous_arp(operation: int, hardware: bytes, address: bytes) -> bytes:
    """A frame in which sender and target are the address."""
    target = bytes(6) if operation == REQUEST else BROADCAST
    frame = BROADCAST + hardware + struct.pack("!H", ETHERNET_ARP)
    return frame + struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + hardware + address + target + address


def advertisement(hardware: bytes, address: bytes) -> bytes:
    """An ICMPv6 message whose checksum the kernel fills in."""
    message = struct.pack("!BBHI", ADVERTISEMENT, 0, 0, OVERRIDE) + address
    return message + struct.pack("!BB", TARGET_LINK_ADDRESS, 1) + hardware
