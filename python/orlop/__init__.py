"""orlop: a Kubernetes-compatible container orchestrator that you install with pip."""
