"""Services in userspace: a relay takes what is redirected to it, and connects to the endpoints itself.

```text
 client ─► 10.96.0.10:80 ── nftables: redirect to :PORT ──► relay (a process of its own, Rust) ──► an endpoint
                                                             ▲ another one where this one refuses
                                  proxier ── Unix socket ────┘
```
The relay opens a port that the kernel chooses for each service port, one for traffic policy Cluster and one for Local.
Rules are laid out as those of the nftables mode, in the table `orlop-userspace`, with a redirect in place of the
translation. What comes to such a port without having been redirected is refused.

The relay outlives the proxier: connections and flows pass through a restart or an update. A proxier that finds a relay
of another version has it retire: it takes nothing new, and ends when its last connection has.
"""

from orlop.proxy.backends.userspace.backend import Userspace as Userspace
