"""The roles and bindings that every cluster starts with."""

from orlop.apiserver.auth.policy.reconcile import (
    Policy as Policy,
    bootstrap_policy as bootstrap_policy,
    reconcile as reconcile,
)
