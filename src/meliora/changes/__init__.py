"""The kinds of change, one folder each, behind `loop.kind.ChangeKind`.

A kind may import the planes it acts on, telemetry's and diagnosis' records, `stats` and the loop's protocol. Kinds never import
each other, nor the store: what they read and write they ask for by small protocols that they own, and `runtime` hands it in.
"""
