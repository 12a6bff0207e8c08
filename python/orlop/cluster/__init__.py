"""Whole clusters: the supervisor behind `orlop up`, and `orlop.Cluster` within a process."""
