"""The roles and bindings that every cluster starts with."""

from orlop.apiserver.auth.policy.reconcile import Policy as Policy
from orlop.apiserver.auth.policy.reconcile import bootstrap_policy as bootstrap_policy
from orlop.apiserver.auth.policy.reconcile import reconcile as reconcile
