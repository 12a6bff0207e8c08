"""Services by IPVS: a virtual server for each address and port, programmed by Rust over one netlink socket.

What IPVS does not do is done by tables `ip orlop-ipvs` and `ip6 orlop-ipvs` of nftables, whose sets and chains bear
the names of upstream's ipsets and iptables chains, to be read the same way. The number of rules is constant;
sets change with Services, and with endpoints on this node, not with endpoints elsewhere.

| set | members | what for |
| --- | --- | --- |
| KUBE-IPVS-SERVICE, KUBE-IPVS-NODE-PORT | every frontend and its verdict | refuse or drop what nobody serves |
| KUBE-IPVS-IPS | addresses on our device | refuse other ports on them: they are not the node's own |
| KUBE-CLUSTER-IP | cluster IP, port | masquerade what comes from outside of the cluster |
| KUBE-EXTERNAL-IP, KUBE-LOAD-BALANCER, KUBE-NODE-PORT | frontends of policy Cluster | masquerade |
| … -LOCAL | frontends of policy Local | keep the client's address; the cluster's own go to all endpoints |
| KUBE-NEAR-IP, KUBE-NEAR-NODE-PORT | those → cluster IP of policy Cluster | where the cluster's own go instead |
| KUBE-FAR-IP, KUBE-FAR-NODE-PORT | those → cluster IP of policy Local | where all but the cluster's own go instead |
| KUBE-LOAD-BALANCER-FW | load balancers' addresses that only some may ask | drop what comes from others |
| KUBE-LOAD-BALANCER-SOURCE-CIDR | those, and who may | |
| KUBE-LOOP-BACK | endpoints on this node, twice | masquerade one that reaches itself |
"""

from orlop.proxy.backends.ipvs.backend import Ipvs as Ipvs
