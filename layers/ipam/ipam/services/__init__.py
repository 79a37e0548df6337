"""What the system does, one verb a module: load, decide, commit."""
