"""The sip transport: phone calls that the Realtime API answered."""
