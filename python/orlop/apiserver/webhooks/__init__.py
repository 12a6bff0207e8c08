"""Servers that users bring: webhooks for admission and conversion, called by one client."""
