"""Another learned policy serves a tenant.

- `kind`    the kind of change: propose, prove, try, deliver, undo
- `refit`   fits a policy to recorded outcomes, as the running one reads prompts
- `proof`   holds a candidate against the frozen baseline, on outcomes that its fit has not seen
- `shelf`   what is asked of the snapshots and outcomes as the store keeps them
"""
