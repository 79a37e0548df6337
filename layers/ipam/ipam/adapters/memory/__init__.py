"""The store in memory: for unit tests, simulations and the figures, never in the deployed layer."""
