"""The demo: a spoken conversation that anyone can hold on a bare machine, and what proves that it went as it should.

`script` is what is said and expected, `caller` the one who says it, `speaker` the loudspeaker at his ear, `stage` the
time that both share, `record` what happened, `view` and `live_view` how it looks, `report` what is asserted, `place`
where the transport is told to go, `server_process` the server, and `performance` the whole of it.

Who carries the audio is the `carrier`'s affair: the session's own transport, or a phone (`phone_carrier`, with the
caller's `handset` and the `desk` to which the call is transferred).
"""
