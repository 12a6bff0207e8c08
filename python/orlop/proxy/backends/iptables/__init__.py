"""Services by iptables, in the layout of upstream's kube-proxy, so that whoever knows that reads this.

```text
 PREROUTING, OUTPUT ─► KUBE-SERVICES ──► KUBE-SVC-HASH (policy Cluster) ──► KUBE-SEP-HASH: dnat to one endpoint
                         │   │      └──► KUBE-SVL-HASH (policy Local) ────► …
                         │   └─► KUBE-EXT-HASH (external addresses) ─► KUBE-MARK-MASQ, then SVC or SVL
                         └ last: KUBE-NODEPORTS ─► KUBE-EXT-HASH
 POSTROUTING ─► KUBE-POSTROUTING: masquerades what bears the mark
```
HASH is upstream's: the first 16 characters of the base32 of the SHA-256 of `NAMESPACE/NAME:PORT` and the protocol, and
for an endpoint also its address. In table filter, KUBE-SERVICES and KUBE-EXTERNAL-SERVICES refuse what has no endpoint.
Ours alone is KUBE-CLUSTER-IPS, which refuses ports of a cluster IP that its Service does not have.

A change is one `iptables-restore --noflush` that names the chains that differ and, in the chains that all Services
have in common, single rules. Rules are written as `iptables-save` prints them, and so compared with what is there.
"""

from orlop.proxy.backends.iptables.backend import Iptables as Iptables
