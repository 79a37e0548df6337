"""Custom::IpamScope, IpamPool, IpamPoolCidr and IpamAllocation: the address plan as CloudFormation describes it."""
