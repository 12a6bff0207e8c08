"""Streams of exec, attach and port-forward."""
