"""Volumes of pods: made on the node before containers start, kept current, removed when the pod is gone."""
