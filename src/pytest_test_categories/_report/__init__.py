"""The network use of a run: one model, and the formats that render it and compute nothing themselves."""
