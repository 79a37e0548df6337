"""Resource types that the emulator lacks, in the form that its CloudFormation calls them.

A property that is not known here is refused by its name, so that a template does not pass for one that it is not. What
a change of a property does is CloudFormation's to say:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ministack.services.cloudformation import provisioners

if TYPE_CHECKING:
    from collections.abc import Callable

    Properties = dict[str, Any]
    Made = tuple[str, Properties]
    Handler = dict[str, Any]

_TAGS = "Tags"


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A resource type.

    Attributes:
        name: such as AWS::EC2::NatGateway.
        create: makes it of its properties: what Ref gives, and the attributes.
        delete: of its Ref and its properties.
        replacing: the properties that need a replacement when they change.
        changing: those that change in place, by `change`. `Tags` among them makes the stack's tags its own.
        change: of its Ref, its old and its new properties.
    """

    name: str
    create: Callable[[Properties], Made]
    delete: Callable[[str, Properties], None]
    replacing: tuple[str, ...]
    changing: tuple[str, ...] = ()
    change: Callable[[str, Properties, Properties], Made] | None = None

    def check(self, props: Properties) -> Properties:
        """Refuse a property that is not known here."""
        refuse_unknown(self.name, props, (*self.replacing, *self.changing))
        return props

    def register(self) -> None:
        """Put it beside the emulator's own."""

        def create(_logical_id: str, props: Properties, _stack_name: str) -> Made:
            return self.create(self.check(props))

        def update(physical_id: str, old: Properties, new: Properties, _stack_name: str) -> Made:
            if self.change is None:
                raise ValueError(f"The local twin does not change an {self.name} in place")
            return self.change(physical_id, old, self.check(new))

        handlers: dict[str, Handler] = provisioners._RESOURCE_HANDLERS  # noqa: SLF001
        handlers[self.name] = {"create": create, "update": update, "delete": self.delete}
        # The emulator replaces of its own accord what these say.
        provisioners._REPLACING_PROPERTIES[self.name] = self.replacing  # noqa: SLF001
        if _TAGS in self.changing:
            provisioners._STACK_TAG_PROPERTY[self.name] = (_TAGS, "list")  # noqa: SLF001


def refuse_unknown(resource_type: str, props: Properties, known: tuple[str, ...]) -> None:
    """Refuse a property that is none of those that are known.

    Raises:
        ValueError: naming it.
    """
    for name in props:
        if name not in known:
            raise ValueError(f"The local twin does not know the property {name} of {resource_type}")


def truth(value: object) -> bool:
    """Read a boolean of a template, which may be a string."""
    return str(value).lower() == "true"


def tag(resource_id: str, props: Properties, old: Properties | None = None) -> None:
    """Give an EC2 resource the tags of its properties; tags from elsewhere stay."""
    provisioners._ec2_apply_tags(resource_id, props, old)  # noqa: SLF001
