"""The lifecycle of a change: every improvement, of whatever kind and whoever proposed it, earns its place and can lose it.

- `states`     the states, and which edge leads where
- `change`     the record of a change, its edges and their evidence
- `kind`       what a kind of change must be able to do (`ChangeKind`), and the plans and proofs it gives
- `work`       one attempt at one edge: the fence, the progress, the checkpoint
- `engine`     takes the edges that are due; `steps` has what is done at each
- `desk`       what people, agents and programs ask of the loop; `shown` what it answers
- `gates`      what must hold; `triggers` what to do when it does not
- `trials`     who is in which arm, and what the arms have shown
- `policy`     Cedar policies, asked at each edge; `approvals`, `caps`, the kill switch
- `audit`      the chain of what was decided

Knows kinds of change only through the protocol, and the store only through the protocols it owns. A plane serves when it is dead.
"""
