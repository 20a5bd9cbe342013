"""For the conformance kit: far ends that speak the OpenAI dialect, and what it asks of transports besides.

`subjects` has `DialectSubject`, with which a wire of one's own joins the kit; `sockets` and `peers` have the far ends
that do exactly what a test tells them; `suite` the checks of the dialect.
"""
