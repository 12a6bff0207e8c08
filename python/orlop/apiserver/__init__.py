"""The API server: an ASGI app over a store and a hub. `app.py` holds the order of everything."""
