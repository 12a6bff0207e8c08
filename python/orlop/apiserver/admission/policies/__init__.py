"""Admission policies: what writes must fulfil, and what is to be changed in them, in CEL."""

from orlop.apiserver.admission.policies.mutating import MutatingPolicies
from orlop.apiserver.admission.policies.validating import ValidatingPolicies

__all__ = ["MutatingPolicies", "ValidatingPolicies"]
