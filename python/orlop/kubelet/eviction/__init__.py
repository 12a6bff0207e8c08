"""Keeps a node from running out of memory, disk or processes (upstream: pkg/kubelet/eviction)."""
