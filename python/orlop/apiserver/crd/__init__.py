"""Custom resources: kinds that users bring with CustomResourceDefinitions.

`follow` reads definitions off the feed and settles their conditions, `served` keeps what is served of them, `requests`
turns a request for one into what the handlers know: a kind, rules, perhaps a conversion. Schemas are Rust (`schema`).
"""
