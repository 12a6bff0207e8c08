"""NetworkPolicy (networking.k8s.io/v1): who may talk to whom, held by the kernel's packet filter on each node.

```text
watches ──► Wanted (chains of policies, sets of addresses) ──► difference ──► nft, one transaction
```
"""

from orlop.networkpolicy.agent import NetworkPolicies as NetworkPolicies
from orlop.networkpolicy.config import PolicyConfig as PolicyConfig
