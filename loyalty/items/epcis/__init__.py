"""EPCIS 2.0: what happened to objects, told and asked in the words of GS1's standard (JSON alone).

`types` says what an event is, `checking` whether one is right, `vocabulary`, `contexts`, `epcs` and `moments` what its
words mean; `event_hash` names an event by what it says. `storing` keeps events and finds them by EPC, `capturing` takes
whole documents in, `queries` answers, and `own_events` tells the brand's own ranges as events without storing any.
"""
