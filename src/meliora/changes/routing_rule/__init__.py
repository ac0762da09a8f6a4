"""A routing rule: mined from recorded outcomes, or typed by a person or an agent.

- `kind`     the kind of change: propose, prove, try, deliver, undo
- `rows`     recorded decisions with their prompts, as mining and proving take them
- `mine`     finds a pattern and a model that answers such prompts better, counting how many were tried
- `proof`    what a rule would have brought, from decisions that mining has not seen
- `shelf`    what is asked of rules and outcomes as the store keeps them
"""
