"""Formats of names and other short texts, and what is said of a wrong one.

Words and expressions are those of apimachinery's pkg/util/validation.
"""

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

from orlop.api.errors import FieldError, invalid_value, required

NameRule = Callable[[str], list[str]]
"""What is wrong with a name: one message each, none when it is right."""

LABEL_MAX = 63
"""Bytes of an RFC 1123 or 1035 label."""
SUBDOMAIN_MAX = 253
"""Bytes of an RFC 1123 subdomain."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_UNDERSCORE = re.compile(r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*\Z")
_WILDCARD = re.compile(r"\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+\Z")
_ENV_NAME = re.compile(r"[ -<>-~]+\Z")
_HTTP_HEADER = re.compile(r"[-A-Za-z0-9]+\Z")
_PORT_CHARS = re.compile(r"[-a-z0-9]+\Z")
_URL_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+\Z")
_ALPHA = re.compile(r"[a-z]")


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} characters"


LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
CASELESS_WORDS = (
    "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'Example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
UNDERSCORE_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')"
)
LABEL_1035_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
CONFIG_KEY_WORDS = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
ENV_NAME_WORDS = "a valid environment variable name must consist only of printable ASCII characters other than '='"
HTTP_HEADER_WORDS = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
    "validation is '[-A-Za-z0-9]+')"
)


@lru_cache(4096)
def _label(name: str) -> tuple[str, ...]:
    out = []
    if len(name) > LABEL_MAX:
        out.append(_too_long(LABEL_MAX))
    if not _LABEL.match(name):
        if _SUBDOMAIN.match(name):
            out.append("must not contain dots")
        else:
            out.append(LABEL_WORDS)
    return tuple(out)


def label(name: str) -> list[str]:
    """A lower-case RFC 1123 label: namespaces, container and volume names."""
    return list(_label(name))


def subdomain(name: str) -> list[str]:
    """A lower-case RFC 1123 subdomain: most objects' names."""
    if len(name) <= SUBDOMAIN_MAX and _SUBDOMAIN.match(name):
        return []
    out = []
    if len(name) > SUBDOMAIN_MAX:
        out.append(_too_long(SUBDOMAIN_MAX))
    if not _SUBDOMAIN.match(name):
        out.append(SUBDOMAIN_WORDS)
    return out


def subdomain_caseless(name: str) -> list[str]:
    """The same where capitals may be: drivers' names."""
    out = [f"must be no more than {SUBDOMAIN_MAX} bytes"] if len(name) > SUBDOMAIN_MAX else []
    return out if _SUBDOMAIN.match(name.lower()) else [*out, CASELESS_WORDS]


def subdomain_with_underscore(name: str) -> list[str]:
    """The same where a label may begin with an underscore and have some: DNS search paths."""
    out = [_too_long(SUBDOMAIN_MAX)] if len(name) > SUBDOMAIN_MAX else []
    return out if _UNDERSCORE.match(name) else [*out, UNDERSCORE_WORDS]


def label_1035(name: str) -> list[str]:
    """A DNS-1035 label: services."""
    out = []
    if len(name) > LABEL_MAX:
        out.append(_too_long(LABEL_MAX))
    if not _LABEL_1035.match(name):
        out.append(LABEL_1035_WORDS)
    return out


def path_segment(name: str) -> list[str]:
    """Anything that can stand in a path: RBAC's names."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{char}'" for char in ("/", "%") if char in name]


def config_key(key: str) -> list[str]:
    """A key of a ConfigMap or Secret."""
    out = []
    if len(key) > SUBDOMAIN_MAX:
        out.append(_too_long(SUBDOMAIN_MAX))
    if not _CONFIG_KEY.match(key):
        out.append(CONFIG_KEY_WORDS)
    return out + _no_parent(key)


def _no_parent(value: str) -> list[str]:
    if value == ".":
        return ["must not be '.'"]
    if value == "..":
        return ["must not be '..'"]
    if value.startswith(".."):
        return ["must not start with '..'"]
    return []


def env_name(name: str) -> list[str]:
    """An environment variable's name, relaxed since 1.34."""
    return [] if _ENV_NAME.match(name) else [ENV_NAME_WORDS]


def http_header(name: str) -> list[str]:
    """The name of a probe's header."""
    return [] if _HTTP_HEADER.match(name) else [HTTP_HEADER_WORDS]


def port_name(name: str) -> list[str]:
    """An IANA_SVC_NAME: a port's name."""
    out = []
    if len(name) > 15:
        out.append("must be no more than 15 characters")
    if not _PORT_CHARS.match(name):
        out.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _ALPHA.search(name):
        out.append("must contain at least one letter (a-z)")
    if "--" in name:
        out.append("must not contain consecutive hyphens")
    if name and (name[0] == "-" or name[-1] == "-"):
        out.append("must not begin or end with a hyphen")
    return out


def port_number(port: int) -> list[str]:
    """A port from 1 to 65535."""
    return [] if 1 <= port <= 65535 else ["must be between 1 and 65535, inclusive"]


_DOTTED = re.compile(r"[0-9]+(\.[0-9]+){3}\Z")
IP_WORDS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_WORDS = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def _without_zeros(text: str) -> str:
    """An IPv4 address whose parts begin with zeros, without these: read as octal by some, as decimal by others."""
    return ".".join(str(int(part)) for part in text.split(".")) if _DOTTED.match(text) else text


_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"({_OCTET}\.){{3}}{_OCTET}\Z")
"""What most addresses are: nothing more need be asked of them."""


def parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text is meant to be, however it is written; None for anything else."""
    try:
        return None if "%" in text else ipaddress.ip_address(_without_zeros(text))
    except ValueError:
        return None


def ip(text: str) -> list[str]:
    """An IPv4 or IPv6 address that everybody reads alike."""
    if _IPV4.match(text):
        return []
    address = parse_ip(text)
    if address is None:
        return [IP_WORDS]
    if _without_zeros(text) != text:
        return ["must not have leading 0s"]
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    return []


def canonical_ip(text: str) -> list[str]:
    """An address in the one form that it has (RFC 5952): fields that are newer than this rule."""
    wrong = ip(text)
    if not wrong and (form := str(ipaddress.ip_address(text))) != text:
        wrong = [f'must be in canonical form ("{form}")']
    return wrong


def interface(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    """An address with a prefix length, however it is written; None for anything else."""
    address, _, length = text.partition("/")
    if "%" in text or not (length.isascii() and length.isdigit()):
        return None
    try:
        return ipaddress.ip_interface(f"{_without_zeros(address)}/{int(length)}")
    except ValueError:
        return None


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network that a CIDR is meant to be; None for anything else."""
    found = interface(text)
    return None if found is None else found.network


def cidr(text: str) -> list[str]:
    """A network in CIDR form that everybody reads alike."""
    found = interface(text)
    if found is None:
        return [CIDR_WORDS]
    address, _, length = text.partition("/")
    if _without_zeros(address) != address or str(int(length)) != length:
        return ["must not have leading 0s in IP or prefix length"]
    if isinstance(found, ipaddress.IPv6Interface) and found.ip.ipv4_mapped is not None:
        return ["must not have an IPv4-mapped IPv6 address"]
    if found.ip != found.network.network_address:
        return ["must not have bits set beyond the prefix length"]
    return []


def canonical_cidr(text: str) -> list[str]:
    """A network in the one form that it has."""
    wrong = cidr(text)
    if not wrong and (form := str(ipaddress.ip_network(text))) != text:
        wrong = [f'must be in canonical form ("{form}")']
    return wrong


def is_address(text: str) -> bool:
    """Whether a text reads as an address, strictly or not: what may not stand where a name belongs."""
    try:
        ipaddress.ip_address(_without_zeros(text))
    except ValueError:
        return False
    return True


def special_ip(text: str) -> list[str]:
    """Addresses that nothing outside its own machine can be reached by; none for what is no address."""
    try:
        address = ipaddress.ip_address(_without_zeros(text))
    except ValueError:
        return []
    wrong = []
    if address.is_unspecified:
        wrong.append(f"may not be unspecified ({text})")
    if address.is_loopback:
        wrong.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        wrong.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address in _LOCAL_MULTICAST_4 or address in _LOCAL_MULTICAST_6:
        wrong.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return wrong


_LOCAL_MULTICAST_4 = ipaddress.ip_network("224.0.0.0/24")
_LOCAL_MULTICAST_6 = ipaddress.ip_network("ff02::/16")


def wildcard(name: str) -> list[str]:
    """A subdomain with a leading `*.`."""
    out = []
    if len(name) > SUBDOMAIN_MAX:
        out.append(_too_long(SUBDOMAIN_MAX))
    if not _WILDCARD.match(name):
        out.append(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist "
            "of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. "
            "'*.example.com', regex used for validation is "
            "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )
    return out


ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Of generated names: no vowels and nothing that looks like one, so that no words come out."""
SUFFIX_LENGTH = 5
BASE_MAX = LABEL_MAX - SUFFIX_LENGTH
"""Characters of `generateName` that a generated name keeps."""
GENERATE_TRIES = 8
"""How often a generated name is tried before a 409 goes out."""


def domain_path(value: str, path: str) -> list[FieldError]:
    """`acme.io/foo`: a domain and a path behind it."""
    host, slash, rest = value.partition("/")
    if not value:
        return [required(path)]
    if not slash or not host or not rest:
        return [invalid_value(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = [invalid_value(path, host, m) for m in subdomain(host)]
    if not _URL_PATH.match(rest):
        errors.append(
            invalid_value(path, rest, "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')")
        )
    return errors


def full_domain(value: str, path: str) -> list[FieldError]:
    """A domain of at least two parts."""
    if not value:
        return [required(path)]
    name = value.removesuffix(".")
    if wrong := subdomain(name):
        return [invalid_value(path, name, ",".join(wrong))]
    if "." not in name:
        return [invalid_value(path, name, "should be a domain with at least two segments separated by dots")]
    for part in name.split("."):
        if wrong := label(part):
            return [invalid_value(path, part, ",".join(wrong))]
    return []
