"""One verb a file: from an admitted request to its answer."""
