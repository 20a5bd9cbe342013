"""Clients written by others, and ours beside them, hold one and the same spoken conversation with the local server."""
