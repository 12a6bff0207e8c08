"""Services by nftables: one verdict map from (address, protocol, port) to a chain per service port.

The table is `orlop-proxy` of families `ip` and `ip6`, laid out as upstream's `kube-proxy`, to be read the same way:

```text
 service-ips {address . protocol . port : goto}     service-nodeports {protocol . port : goto}
     │                  └──────────────┐                  │
     ▼                                 ▼                  ▼
 service-NS/NAME/PROTO/PORT   ◄──  external-NS/NAME/PROTO/PORT  ──► local-NS/NAME/PROTO/PORT
     │ affinity, then numgen random          (masquerade, policy)        │
     ▼                                                                   ▼
 endpoint-NS/NAME/PROTO/PORT__ADDRESS/PORT: hairpin mark, affinity, dnat
```
Service ports without endpoints are in `no-endpoint-services` and `no-endpoint-nodeports` instead, and are refused
before any translation. The longest name (three labels of 63) fits into the kernel's 255 bytes, so names carry no hash.
"""

from orlop.proxy.backends.nftables.backend import Nftables as Nftables
