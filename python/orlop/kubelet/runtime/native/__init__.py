"""The embedded runtime: no daemon, one small static program (rust/shim) per container.

`runtime.NativeRuntime` is the door.
"""
