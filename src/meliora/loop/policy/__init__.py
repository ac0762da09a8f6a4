"""Policies, asked at every edge: who may do what to which target, in which environment, on which evidence. Written in Cedar.

- `rules/`     the policies that come with Meliora, and the schema that all are checked against
- `request`    what is asked: an actor, an action, a target, facts
- `bundle`     a set of policies as text, by hash; read from files and checked, with file and line of what is wrong
- `decide`     asks them, and says which policy decided and why
- `simulate`   holds other policies against decisions of the past; takes one decision again

An error denies. Only going back to the baseline, pausing, stopping and killing do not fall with a policy that is broken: for
these the policies that come with Meliora are asked instead.
"""
