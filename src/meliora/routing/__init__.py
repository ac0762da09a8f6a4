"""Which model: rules first, then the classifier of tiers, within what each model can do.

    classify    how hard a prompt looks, and what kind of task it is
    rules       patterns that people wrote, compiled by tenant
    pool        the models to choose among, as routing sees them
    decide      the model for one call, why, and what comes after it

Refuses to do I/O, and to know providers, keys or wire formats.
"""
