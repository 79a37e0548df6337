"""Conditions that join, split and substitute, and that ask where the stack is.

Gap: in a template's Conditions the emulator knows the comparing functions, Ref of a parameter, FindInMap and Select,
breaks off at any other, and takes a pseudo parameter for its name. CloudFormation lets Join, Split and Sub stand there
too, and knows the account and the Region:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-conditions.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/pseudo-parameter-reference.html
They are resolved before the emulator evaluates the section. A stack's own name and id are not known at that point, and
are empty.
"""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

_RESOLVED = {"Fn::Join", "Fn::Split", "Fn::Sub", "Fn::Select"}
_WHERE = {"AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::URLSuffix"}


def register() -> None:
    """Resolve the strings of conditions before they are compared."""
    emulated = engine._evaluate_conditions  # noqa: SLF001

    def evaluate(template: dict[str, Any], params: dict[str, Any]) -> Any:
        mappings = template.get("Mappings", {})

        def plain(node: Any) -> Any:
            if isinstance(node, list):
                return [plain(item) for item in node]
            if not isinstance(node, dict):
                return node
            if node.keys() & _RESOLVED or node.get("Ref") in _WHERE:
                return engine._resolve_refs(node, {}, params, {}, mappings, "", "")  # noqa: SLF001
            return {key: plain(item) for key, item in node.items()}

        return emulated({**template, "Conditions": plain(template.get("Conditions", {}))}, params)

    for module in (engine, handlers, changesets, stacks, provisioners):
        if hasattr(module, "_evaluate_conditions"):
            module._evaluate_conditions = evaluate  # noqa: SLF001
