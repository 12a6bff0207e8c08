"""Container runtimes: the contract in `base`, one file or package per implementation."""
