//! The scheduler core: a column table of nodes and pods, a chain of filters, a list of scores.
