"""The kinds of change, one folder each, behind `loop.kind.ChangeKind`.

- `routing_policy`  another learned policy serves: fitted to recorded outcomes, or a snapshot that somebody names
- `routing_rule`    a rule: mined from recorded outcomes, or typed by a person or an agent
- `model_choice`    another model answers, or other endpoints of it are preferred
- `manner`          how all of them are tried and watched

A kind may import the planes it acts on, telemetry's and diagnosis' records, `stats` and the loop's protocol. Kinds never import each
other, nor the store: what they read and write they ask for by small protocols that they own, and `runtime` hands it in.
"""
