"""Which model: rules first, then the classifier of tiers, within what each model can do."""
