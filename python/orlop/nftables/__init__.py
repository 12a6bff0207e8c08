"""Tables of the kernel's packet filter: as data, as text, and the program nft that puts one into the other's place."""
