"""SIP user agents that others wrote, against the local server's SIP door."""
