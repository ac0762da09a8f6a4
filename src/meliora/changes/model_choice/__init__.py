"""Another model answers for a name, or other endpoints of the same model are preferred.

- `kind`         the kind of change: propose, prove, try, deliver, undo
- `candidates`   what could answer instead, by what the finding complains of
- `compare`      two models, or two endpoints, on the calls that both of them had
- `shelf`        what is asked of choices and calls as the store keeps them
"""
