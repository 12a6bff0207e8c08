"""Which pods a node takes on: what the scheduler knew may no longer hold, and a pod may come without it."""
