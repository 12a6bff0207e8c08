//! Current objects, the ring of events and the watchers: what lists and watches are served from.
