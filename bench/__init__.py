"""The figures of the goals in one run: requests and capacity units counted, processor time compared."""
