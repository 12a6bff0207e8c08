//! Bodies of the API: JSON, YAML and protobuf to canonical JSON and back, by one table of all types.
