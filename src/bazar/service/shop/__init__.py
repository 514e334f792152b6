"""The demo shop: pages that show what the service can do. It is no part of a real shop."""
