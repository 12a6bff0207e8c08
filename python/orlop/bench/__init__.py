"""`orlop bench`: loads as data, driven against any API server, with the server's own CPU counted."""
