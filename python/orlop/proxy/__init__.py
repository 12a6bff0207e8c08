"""The service proxy of one node: watch, wanted table (Rust), backend."""

from orlop.proxy.options import Options as Options
from orlop.proxy.proxier import Proxier as Proxier
