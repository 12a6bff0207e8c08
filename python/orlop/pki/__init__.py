"""The cluster's certificate authority, the certificates it gives, and the key that signs service account tokens."""

from orlop.pki.folder import Folder as Folder
from orlop.pki.folder import KeyPair as KeyPair
from orlop.pki.folder import PkiError as PkiError
from orlop.pki.identities import ADMIN as ADMIN
from orlop.pki.identities import APISERVER_KUBELET_CLIENT as APISERVER_KUBELET_CLIENT
from orlop.pki.identities import CONTROLLER_MANAGER as CONTROLLER_MANAGER
from orlop.pki.identities import PROXY as PROXY
from orlop.pki.identities import SCHEDULER as SCHEDULER
from orlop.pki.identities import Identity as Identity
from orlop.pki.identities import apiserver_names as apiserver_names
from orlop.pki.identities import node as node
from orlop.pki.kubeconfig import kubeconfig as kubeconfig
