"""The cluster's certificate authority, the certificates it gives, and the key that signs service account tokens."""

from orlop.pki.folder import Folder as Folder, KeyPair as KeyPair, PkiError as PkiError
from orlop.pki.identities import (
    ADMIN as ADMIN,
    APISERVER_KUBELET_CLIENT as APISERVER_KUBELET_CLIENT,
    CONTROLLER_MANAGER as CONTROLLER_MANAGER,
    DNS as DNS,
    FRONT_PROXY as FRONT_PROXY,
    PROXY as PROXY,
    SCHEDULER as SCHEDULER,
    Identity as Identity,
    apiserver_names as apiserver_names,
    node as node,
)
from orlop.pki.kubeconfig import kubeconfig as kubeconfig
