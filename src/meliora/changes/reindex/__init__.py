"""An index built again from its documents, where it was found to lack some of them."""
