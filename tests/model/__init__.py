"""An explicit-state model of the booking protocol, and the proof that the code is what it models.

Read it in this order: `world` (what there is), `flight_rules`, `booking_rules`, `provider_rules`
(what each party does, a page each), `wire` and `happenings` (calls, people, timers, faults), `laws`
and `step_laws` (what must be so), `scenarios` (who takes part), `engine` (how it is visited).

`mutations` are mistakes that can be planted; `test_mutations` shows that each is found. The files
`test_*_conformance` hold every reachable state against the real code, so that the two cannot drift
apart. `python -m model`, in tests/, prints what docs/reliability.md quotes.
"""
