"""Services by nftables: one verdict map from (address, protocol, port) to a chain per service port.

The table is `orlop-proxy` of families `ip` and `ip6`, laid out as upstream's `kube-proxy`, to be read the same way:

```text
 service-ips {address . protocol . port : goto}     service-nodeports {protocol . port : goto}
     │                  └──────────────┐                  │
     ▼                                 ▼                  ▼
 service-NS/NAME/PROTO/PORT   ◄──  external-NS/NAME/PROTO/PORT  ──► local-NS/NAME/PROTO/PORT
      dnat to one at random                (masquerade, policy)            dnat to one at random
```
Where upstream has a chain for each endpoint, here a service port's chain holds them in one map: nft reads all chains of
the kernel before it changes one, so that a tenth of the chains is a tenth of the time. Only with session affinity does
an endpoint need a chain, `endpoint-NS/NAME/PROTO/PORT__ADDRESS/PORT`, which remembers the client in its own set.

Service ports without endpoints are in `no-endpoint-services` and `no-endpoint-nodeports` instead, and are refused
before any translation. The longest name (three labels of 63) fits into the kernel's 255 bytes, so names carry no hash.
"""

from orlop.proxy.backends.nftables.backend import Nftables as Nftables
