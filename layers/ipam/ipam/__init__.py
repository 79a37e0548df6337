"""cn-ipam: network addresses for AWS organisations, each with exactly one holder."""
