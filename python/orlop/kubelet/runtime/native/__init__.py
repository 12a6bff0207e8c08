"""The embedded runtime: containers with nothing installed but orlop."""
