"""What an address plan is and what may happen to it: pure decisions, no input or output."""
