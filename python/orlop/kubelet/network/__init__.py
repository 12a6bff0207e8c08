"""Pod networks: the contract in `base`, one file per implementation."""
