"""Custom::GetCnCIDR orders a block for a stack, Custom::DeleteCnCIDR announces and makes its return."""
