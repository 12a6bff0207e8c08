"""What a node's kernel does with traffic to Services, read from it as it is: for people who ask where a packet goes."""
