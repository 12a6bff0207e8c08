"""API servers beside this one: APIServices say which group-versions they serve.

`follow` keeps what is known of them and their condition, `local` registers what this server itself serves, `proxy`
passes requests on, `authentication` tells extension servers whom to believe. kube-aggregator, in one room.
"""
