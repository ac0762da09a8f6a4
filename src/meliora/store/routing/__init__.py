"""What calls are routed by: rules, policies and the choices of models, preferences, and the outcomes that they are learned from."""
