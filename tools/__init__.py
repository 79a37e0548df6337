"""What administrators run beside the command line `ipam`, with ordinary AWS credentials."""
