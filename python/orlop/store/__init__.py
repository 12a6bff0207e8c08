"""Where state lives: one protocol (`base`), its stores (`lmdb`, `memory`), and `feed`, the one door to the hub."""
