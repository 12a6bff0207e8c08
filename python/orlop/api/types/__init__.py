"""Kubernetes' types as msgspec structs: snake_case attributes, Kubernetes' JSON names, one module a group-version."""
