"""Functions that templates reserve concurrency for.

Gap: the emulator enforces a function's reserved concurrency, and does not read it from a template:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""

from __future__ import annotations

from typing import Any

from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners


def register() -> None:
    """Reserve what the template reserves."""
    handlers = provisioners._RESOURCE_HANDLERS  # noqa: SLF001
    emulated = handlers["AWS::Lambda::Function"]

    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        made = emulated["create"](logical_id, props, stack_name)
        _reserve(made[0], props)
        return made

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *named: Any) -> Any:
        changed = emulated["update"](physical_id, old, new, *named)
        _reserve(changed[0], new)
        return changed

    handlers["AWS::Lambda::Function"] = {**emulated, "create": create, "update": update}


def _reserve(name: str, props: dict[str, Any]) -> None:
    reserved = props.get("ReservedConcurrentExecutions")
    lambda_svc._functions[name]["concurrency"] = None if reserved is None else int(reserved)  # noqa: SLF001
