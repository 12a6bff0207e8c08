"""The DNS server of one node: watches to records, records to answers as bytes."""

from orlop.dns.config import DnsConfig as DnsConfig
from orlop.dns.server import DnsServer as DnsServer
