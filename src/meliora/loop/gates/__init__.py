"""What must hold: gates on quality, latency, errors, cost and load, judged by evidence and never by a single number.

- `metrics`     what a gate can be on, and how each is measured
- `gate`        the record of a gate, its baseline, and the gates that are shipped
- `reading`     what a source gives: figures with what they rest on, or why there are none
- `judge`       whether a reading says that the gate is passed, near, or broken, over all gates of a tick
- `standing`    the memory between ticks: so many in a row to fail, so many to pass again
- `sources`     recorded calls, pushed measurements, functions, simulated signals (Prometheus: `integrations.prometheus`)
- `board`       one tick over all gates of a tenant

Missing data is a state of its own: it is never a pass.
"""
