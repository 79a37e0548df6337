"""Whether a function's resource policy lets another account's CloudFormation invoke it.

Gap: the emulator keeps the statements of `AWS::Lambda::Permission` and asks nobody about them; it finds no function in
another account at all. What is evaluated here is the part that such statements can say:
https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalorgid
A condition that is not known here never holds, so that nothing is let in by ignorance.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.settings import Organization

_INVOKE = "lambda:InvokeFunction"


def may_invoke(policy: Mapping[str, Any], function_arn: str, account: str, organization: Organization) -> bool:
    """Tell whether a principal of `account` may invoke `function_arn`, qualifier and all.

    An account may always invoke its own functions here: what its roles may do is its own business.
    """
    if function_arn.split(":")[4] == account:
        return True
    facts = {"aws:principalaccount": account}
    if account in organization.accounts:
        facts["aws:principalorgid"] = organization.id
    matching = [
        statement["Effect"]
        for statement in policy.get("Statement", [])
        if _names(statement.get("Action"), _INVOKE)
        and _names(statement.get("Resource"), function_arn)
        and _is_principal(statement.get("Principal"), account)
        and _holds(statement.get("Condition") or {}, facts)
    ]
    return "Allow" in matching and "Deny" not in matching


def _names(patterns: str | list[str] | None, value: str) -> bool:
    found = [patterns] if isinstance(patterns, str) else patterns or []
    return any(fnmatchcase(value, pattern) for pattern in found)


def _is_principal(principal: str | Mapping[str, Any] | None, account: str) -> bool:
    named = principal.get("AWS", []) if isinstance(principal, Mapping) else principal
    listed = [named] if isinstance(named, str) else named or []
    return any(name in {"*", account, f"arn:aws:iam::{account}:root"} for name in listed)


def _holds(conditions: Mapping[str, Mapping[str, Any]], facts: Mapping[str, str]) -> bool:
    for operator, keys in conditions.items():
        for key, wanted in keys.items():
            fact = facts.get(key.lower())
            values = [wanted] if isinstance(wanted, str) else wanted
            if operator == "StringEquals":
                held = fact in values
            elif operator == "StringLike":
                held = fact is not None and any(fnmatchcase(fact, value) for value in values)
            else:
                held = False
            if not held:
                return False
    return True
