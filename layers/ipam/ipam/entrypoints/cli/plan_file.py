"""The plan as a file: YAML, read strictly and written so that applying it changes nothing.

    scopes:
      private:
        pools:
          corporate-network:
            cidrs: [10.0.0.0/8]
            pools:
              vpc-eu-central-1:
                locale: eu-central-1
                allocation_types: [vpc]
                cidrs: [/12]
                rules: {min_netmask_length: 16, max_netmask_length: 28, default_netmask_length: 24}
                cooling_seconds: 86400

Whatever is refused is refused with its line and column.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_args

import yaml

from ipam.domain.blueprint import Place, PoolBlueprint, ScopeBlueprint
from ipam.domain.cidr import Cidr
from ipam.domain.errors import BlueprintError, MalformedCidrError
from ipam.domain.pool import (
    NO_QUOTA,
    NO_RULES,
    AllocationRules,
    Pool,
    Quota,
    ScopeType,
    SourceResource,
    Strategy,
)
from ipam.entrypoints.properties import MAX_TEXT, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.cidr import Family
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Tag

T = TypeVar("T")

TYPES: Final = ("vpc", "subnet", "eip", "custom")
"""What may be allocated from a pool; `ipam-pool` is what child pools get of it, which every pool may give."""

LENGTH: Final = re.compile(r"/(0|[1-9][0-9]{0,2})")
PRINCIPAL: Final = re.compile(r"[0-9]{12}|(ou|r|o)-[a-z0-9-]{4,68}")

SCOPE_KEYS: Final = ("type", "description", "tags", "pools")
POOL_KEYS: Final = (
    "address_family",
    "locale",
    "description",
    "allocation_types",
    "cidrs",
    "rules",
    "quota",
    "cooling_seconds",
    "tags",
    "shared_with",
    "source_resource",
    "vpc_ipam_pool_id",
    "auto_import",
    "sticky",
    "pools",
)
RULE_KEYS: Final = tuple(each.name for each in fields(AllocationRules))
QUOTA_KEYS: Final = ("max_allocations", "max_units")
SOURCE_KEYS: Final = ("resource_id", "owner", "region")


def read_plan(text: str) -> tuple[ScopeBlueprint, ...]:
    """Read a plan.

    Raises:
        BlueprintError: it is not YAML, or says something that no plan can say.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        raise BlueprintError(str(place), "the file", f"it is not YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise BlueprintError(str(Place(1, 1)), "the file", f"it is not YAML: {type(error).__name__}") from None
    if root is None:
        raise BlueprintError(str(Place(1, 1)), "the file", "it is empty")
    try:
        return _scopes(root)
    except RecursionError:
        raise BlueprintError(str(Place(1, 1)), "the file", "an alias in it contains itself") from None


def _scopes(root: yaml.Node) -> tuple[ScopeBlueprint, ...]:
    """Read the whole file."""
    top = _Mapping(root, "the file", ("scopes",))
    scopes = _Mapping(top.required("scopes"), "scopes", None)
    return tuple(_scope(name, node) for name, node in scopes.items())


def _scope(name: str, node: yaml.Node) -> ScopeBlueprint:
    """Read a scope."""
    said = _Mapping(node, f"scope {name!r}", SCOPE_KEYS)
    return ScopeBlueprint(
        name=name,
        scope_type=said.get("type", _choice(cast("tuple[ScopeType, ...]", get_args(ScopeType))), "private"),
        description=said.get("description", _description, ""),
        tags=said.get("tags", _tags, ()),
        pools=said.get("pools", lambda pools: _pools(pools, 4), ()),
        place=_place(node),
    )


def _pools(node: yaml.Node, family: Family) -> tuple[PoolBlueprint, ...]:
    """Read the pools below a scope or a pool, whose address family is theirs unless they say another."""
    return tuple(_pool(name, each, family) for name, each in _Mapping(node, "pools", None).items())


def _pool(name: str, node: yaml.Node, inherited: Family) -> PoolBlueprint:
    """Read a pool."""
    said = _Mapping(node, f"pool {name!r}", POOL_KEYS)
    word = said.get("address_family", _choice(("ipv4", "ipv6")), f"ipv{inherited}")
    family: Family = 4 if word == "ipv4" else 6
    pool = Pool(
        pool_id="",
        scope_id="",
        source_pool_id=None,
        name=name,
        family=family,
        locale=said.get("locale", _text, ""),
        description=said.get("description", _description, ""),
        allocation_types=frozenset(said.get("allocation_types", _list(_choice(cast("Any", TYPES))), TYPES)),
        rules=said.get("rules", _rules, NO_RULES),
        quota=said.get("quota", _quota, NO_QUOTA),
        cooling_seconds=said.get("cooling_seconds", _number, 0),
        created=0,
        tags=said.get("tags", _tags, ()),
        shared_with=said.get("shared_with", _list(_principal), ()),
        source_resource=said.get("source_resource", _source, None),
        vpc_ipam_pool_id=said.get("vpc_ipam_pool_id", _text, ""),
        auto_import=said.get("auto_import", _flag, default=False),
        sticky=said.get("sticky", _flag, default=False),
    )
    none: tuple[Cidr | int, ...] = ()
    cidrs = said.get("cidrs", _list(_cidr_or_length), none)
    return PoolBlueprint(pool, cidrs, said.get("pools", lambda pools: _pools(pools, family), ()), _place(node))


def _rules(node: yaml.Node) -> AllocationRules:
    """Read the rules of a pool."""
    said = _Mapping(node, "rules", RULE_KEYS)
    return AllocationRules(
        min_netmask_length=said.get("min_netmask_length", _number, None),
        max_netmask_length=said.get("max_netmask_length", _number, None),
        default_netmask_length=said.get("default_netmask_length", _number, None),
        required_tags=said.get("required_tags", _tags, ()),
        allowed_cidrs=said.get("allowed_cidrs", _list(_cidr), ()),
        disallowed_cidrs=said.get("disallowed_cidrs", _list(_cidr), ()),
        approval_netmask_length=said.get("approval_netmask_length", _number, None),
        lease_seconds=said.get("lease_seconds", _number, None),
        strategy=said.get("strategy", _choice(cast("tuple[Strategy, ...]", get_args(Strategy))), "best-fit"),
    )


def _quota(node: yaml.Node) -> Quota:
    """Read the quota of a pool."""
    said = _Mapping(node, "quota", QUOTA_KEYS)
    return Quota(said.get("max_allocations", _number, None), said.get("max_units", _number, None))


def _source(node: yaml.Node) -> SourceResource:
    """Read the VPC whose space a pool divides."""
    said = _Mapping(node, "source_resource", SOURCE_KEYS)
    return SourceResource(*(_text(said.required(name)) for name in SOURCE_KEYS))


class _Mapping:
    """A mapping of the file, with its keys in their order."""

    def __init__(self, node: yaml.Node, what: str, known: tuple[str, ...] | None) -> None:
        """Read a mapping whose keys are all known, or may be anything.

        Raises:
            BlueprintError: it is none, or has a key twice, or one that is not known.
        """
        self._what = what
        self._node = node
        self._values: dict[str, yaml.Node] = {}
        if _is_nothing(node):
            return
        if not isinstance(node, yaml.MappingNode):
            raise _refused(node, what, "it is not a mapping of names to values")
        for key, value in node.value:
            name = _text(key)
            if name in self._values:
                raise _refused(key, f"{name!r} of {what}", "it is there twice")
            if known is not None and name not in known:
                meant = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {meant[0]!r}?" if meant else f"; there are {', '.join(known)}"
                raise _refused(key, f"{name!r} of {what}", f"there is no such key{hint}")
            self._values[name] = value

    def items(self) -> list[tuple[str, yaml.Node]]:
        """Give names and values."""
        return list(self._values.items())

    def get(self, name: str, read: Callable[[yaml.Node], T], default: T) -> T:
        """Read a value, or give what it is by default."""
        return read(self._values[name]) if name in self._values else default

    def required(self, name: str) -> yaml.Node:
        """Give a value that has to be there."""
        if name not in self._values:
            raise _refused(self._node, self._what, f"it has no {name!r}")
        return self._values[name]


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _refused(node: yaml.Node, said: str, why: str) -> BlueprintError:
    return BlueprintError(str(_place(node)), said, why)


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _text(node: yaml.Node) -> str:
    """Read a text. A number is one as well where a name or a tag is written without quotes."""
    if not isinstance(node, yaml.ScalarNode) or _is_nothing(node):
        raise _refused(node, "a value", "it is not a text")
    text = cast("str", node.value)
    if not text.isprintable():
        raise _refused(node, repr(text[:40]), "it has a control character")
    return text


def _description(node: yaml.Node) -> str:
    text = _text(node)
    if len(text) > MAX_TEXT:
        raise _refused(node, shown(text), f"it has {len(text)} characters, and {MAX_TEXT} are allowed")
    return text


def _number(node: yaml.Node) -> int:
    text = _text(node)
    if re.fullmatch(r"0|[1-9][0-9]{0,17}", text) is None:
        raise _refused(node, repr(text), "it is not a whole number from 0")
    return int(text)


def _flag(node: yaml.Node) -> bool:
    text = _text(node)
    if text not in {"true", "false"}:
        raise _refused(node, repr(text), "it is neither true nor false")
    return text == "true"


def _choice(words: tuple[T, ...]) -> Callable[[yaml.Node], T]:
    def read(node: yaml.Node) -> T:
        text = _text(node)
        found = next((word for word in words if word == text), None)
        if found is None:
            raise _refused(node, repr(text), f"it is none of {', '.join(map(str, words))}")
        return found

    return read


def _list(read: Callable[[yaml.Node], T]) -> Callable[[yaml.Node], tuple[T, ...]]:
    def read_all(node: yaml.Node) -> tuple[T, ...]:
        if not isinstance(node, yaml.SequenceNode):
            raise _refused(node, "a value", "it is not a list")
        return tuple(read(each) for each in node.value)

    return read_all


def _tags(node: yaml.Node) -> tuple[Tag, ...]:
    return tuple((key, _text(value)) for key, value in _Mapping(node, "tags", None).items())


def _principal(node: yaml.Node) -> str:
    text = _text(node)
    if PRINCIPAL.fullmatch(text) is None:
        raise _refused(node, repr(text), "it is no account, and no id of an organisational unit or organisation")
    return text


def _cidr(node: yaml.Node) -> Cidr:
    text = _text(node)
    try:
        return Cidr.parse(text)
    except MalformedCidrError as error:
        meant = f"; write {error.canonical}" if error.canonical else ""
        raise _refused(node, repr(text), f"it is not a canonical CIDR{meant}") from None


def _cidr_or_length(node: yaml.Node) -> Cidr | int:
    size = LENGTH.fullmatch(_text(node))
    return int(size[1]) if size else _cidr(node)


def write_plan(plan: Plan) -> str:
    """Write a plan as a file that, applied to it, changes nothing."""
    scopes = sorted(plan.scopes.values(), key=lambda scope: scope.name)
    said = {
        scope.name: _without_empty(
            type=scope.scope_type,
            description=scope.description,
            tags=dict(scope.tags),
            pools=_written_pools(plan, scope.scope_id, 4),
        )
        for scope in scopes
    }
    return yaml.safe_dump({"scopes": said}, sort_keys=False, allow_unicode=True, width=120)


def _written_pools(plan: Plan, parent_id: str, inherited: Family) -> dict[str, Any]:
    return {pool.name: _written_pool(plan, pool, inherited) for pool in plan.children(parent_id)}


def _written_pool(plan: Plan, pool: Pool, inherited: Family) -> dict[str, Any]:
    """Write a pool and those below it."""
    rules, source = pool.rules, pool.source_resource
    types = sorted(pool.allocation_types)
    return _without_empty(
        address_family="" if pool.family == inherited else f"ipv{pool.family}",
        locale=pool.locale,
        description=pool.description,
        allocation_types=[] if types == sorted(TYPES) else types,
        cidrs=[str(block.cidr) for block in sorted(plan.provisioned(pool.pool_id), key=lambda each: each.cidr)],
        rules=_without_empty(
            min_netmask_length=rules.min_netmask_length,
            max_netmask_length=rules.max_netmask_length,
            default_netmask_length=rules.default_netmask_length,
            required_tags=dict(rules.required_tags),
            allowed_cidrs=[str(block) for block in rules.allowed_cidrs],
            disallowed_cidrs=[str(block) for block in rules.disallowed_cidrs],
            approval_netmask_length=rules.approval_netmask_length,
            lease_seconds=rules.lease_seconds,
            strategy="" if rules.strategy == NO_RULES.strategy else rules.strategy,
        ),
        quota=_without_empty(max_allocations=pool.quota.allocations, max_units=pool.quota.units),
        cooling_seconds=pool.cooling_seconds or None,
        tags=dict(pool.tags),
        shared_with=list(pool.shared_with),
        source_resource={} if source is None else {name: getattr(source, name) for name in SOURCE_KEYS},
        vpc_ipam_pool_id=pool.vpc_ipam_pool_id,
        auto_import=pool.auto_import or None,
        sticky=pool.sticky or None,
        pools=_written_pools(plan, pool.pool_id, pool.family),
    )


def _without_empty(**said: Any) -> dict[str, Any]:
    """Leave out what is not said. 0 is said, where it is a number of the rules."""
    return {name: value for name, value in said.items() if value is not None and value not in ("", [], {})}
