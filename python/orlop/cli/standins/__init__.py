"""Programs that answer to the names and flags of upstream's, so that envtest starts them unmodified."""
