//! Service forwarding: the hash table from services to endpoints, and its difference with what is programmed.
