"""Transports with one fault each: what authors of plugins really get wrong, and what the conformance kit must catch."""
