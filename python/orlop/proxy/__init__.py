"""The service proxy of one node: watch, wanted table (Rust), backend."""

from orlop.proxy.config import ProxyConfig as ProxyConfig
from orlop.proxy.proxier import Proxier as Proxier
