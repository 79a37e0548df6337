"""The keys of the table; no other file spells them.

Items and their keys (`PK` and `SK`, both strings):

| item        | PK               | SK                                      |
|-------------|------------------|-----------------------------------------|
| Scope       | PLAN             | SCOPE#<scope id>                        |
| Pool        | PLAN             | POOL#<pool id>                          |
| Provisioned | PLAN             | CIDR#<pool id>#<block>                  |
| Name        | PLAN             | NAME#<name>                             |
| Tenant      | PLAN             | TENANT#<account>                        |
| Free        | FREE#<pool id>   | <family>#<host bits>#<first>            |
| Allocation  | USED#<pool id>   | <block>                                 |
| Cooling     | COOL#<pool id>   | <until>#<block>                         |
| Sticky      | STICKY#<pool id> | <holder>#<until>#<block>                |
| Owner       | OWNER#<party>    | <name>                                  |
| Quota       | QUOTA#<account>  | <pool id>                               |
| Audit       | AUDIT#<subject>  | <block>#<at>#<serial>                   |
| Lease       | LEASE#<pool id>  | <block>                                 |
| Approval    | APPROVAL         | <approval id>                           |
| Order       | ORDER#<pool id>  | <token>                                 |
| Round       | ROUND            | ORPHANS                                 |
| Tally       | TALLY#<day>      | <account>                               |
| Attempt     | ATTEMPT#<day>    | <account>#<slot>                        |

<block> is <family>#<first>#<length>; <first> is the lowest address in hexadecimal, padded to the width of its family,
so that keys sort as addresses; <host bits> and <length> have three digits; <until> and <at> are milliseconds of the
epoch with fourteen digits; <day> is a date; <slot> has three digits; <holder> is a digest (`ipam.domain.stack`). A
scope's id stands where a pool's does. <block> is `-` in audit records that concern none, and so is <account> where
nothing proves one.

Access patterns and what serves each (all by the table's own key; there is no index):

| pattern                                       | served by                                                           |
|-----------------------------------------------|---------------------------------------------------------------------|
| the whole plan                                | Query PLAN                                                          |
| best fit for a netmask length                 | Query FREE, SK from <family>#<host bits asked> to <family>#~, Limit |
| largest free block                            | Query FREE, SK from <family>#000 to <family>#~, backwards, Limit    |
| is one of these exact blocks free             | BatchGetItem FREE                                                   |
| all free blocks of a family                   | Query FREE, SK from <family>#000 to <family>#~                      |
| what is cooling, next to be free first        | Query COOL, with a time: SK to <time>#~; Limit                      |
| what cools that a holder had                  | Query STICKY, SK from <holder>#<now> to <holder>#~; Limit           |
| one allocation by its block                   | GetItem USED                                                        |
| allocations by address, or those in a block   | Query USED, with a block: SK from it to <family>#<its last>#~       |
| allocations beyond a block                    | Query USED, SK from <block># to ~                                   |
| how far the search for orphans is             | GetItem ROUND                                                       |
| the lease of a block                          | GetItem LEASE                                                       |
| the leases of a pool by address               | Query LEASE                                                         |
| one request that waits for approval           | GetItem APPROVAL                                                    |
| all that wait for approval                    | Query APPROVAL                                                      |
| what was ordered at Amazon VPC IPAM           | Query ORDER                                                         |
| what a resource holds                         | GetItem OWNER, also eventually consistent                           |
| what a stack holds                            | Query OWNER, also eventually consistent                             |
| what an account holds of a pool               | GetItem QUOTA                                                       |
| what an account holds of each pool            | Query QUOTA                                                         |
| history of a pool or a stack, or of one block | Query AUDIT, with a block: SK from <block># to <block>#~            |
| what was tried on a day                       | Query ATTEMPT, with an account: SK from <account># to <account>#~   |

Conditions, as they are sent, and the invariant that each guards:

| condition                                                      | on          | guards                               |
|----------------------------------------------------------------|-------------|--------------------------------------|
| attribute_exists(PK)                                           | Free        | I1 a block is taken once             |
| attribute_not_exists(PK)                                       | Free        | I1 no address is free twice          |
| attribute_not_exists(PK)                                       | Allocation  | I1 one holder                        |
| allocation_id = :id                                            | Allocation  | I5 exactly this allocation           |
| allocation_id = :id AND attribute_not_exists(divided_by)       | Allocation  | I5, I3 a VPC that is divided is kept |
| allocation_id = :id AND divided_by = :pool                     | Allocation  | I3 by the pool that divides it       |
| attribute_not_exists(PK)                                       | Cooling     | I1 no address cools twice            |
| allocation_id = :id                                            | Cooling     | I1, I7 exactly this cooling ends     |
| attribute_not_exists(PK)                                       | Sticky      | I7 a block that cools was somebody's |
| attribute_exists(PK)                                           | Sticky      | I7 it is given back once             |
| attribute_not_exists(PK)                                       | Owner       | I4 no decision on an old record      |
| version = :version                                             | Owner       | I4 no decision on an old record      |
| (attribute_not_exists(PK) OR allocations <= :allocations_room) | Quota       | an account's quota                   |
| (attribute_not_exists(PK) OR units <= :units_room)             | Quota       | an account's quota                   |
| attribute_not_exists(PK) OR allocation_id = :id                | Lease       | a lease is its allocation's          |
| allocation_id = :id                                            | Lease       | a lease is its allocation's          |
| allocation_id = :id AND #until = :until                        | Lease       | what was renewed does not end        |
| attribute_not_exists(PK)                                       | Approval    | asked for once                       |
| decision = :decision                                           | Approval    | decided once, used once              |
| attribute_not_exists(PK)                                       | Round       | no decision on an old record         |
| version = :version                                             | Round       | no decision on an old record         |
| attribute_not_exists(PK)                                       | Order       | I4 ordered once                      |
| attribute_exists(PK)                                           | Order       | I4 an order has one allocation       |
| version = :version                                             | Scope, Pool | I3 what is deleted is empty          |
| attribute_exists(PK)                                           | Scope, Pool | I3 what is attached to is there      |
| allocation_id = :id                                            | Provisioned | I3 what goes back is what came       |
| holder_id = :id                                                | Name        | a name is given back by its holder   |
| attribute_not_exists(PK)                                       | Scope, Pool | ids are unique                       |
| attribute_not_exists(PK)                                       | Tenant      | an account is a tenant once          |
| version = :version                                             | Tenant      | no decision on an old record         |
| attribute_not_exists(PK)                                       | Provisioned | I3 what is provisioned is so once    |
| attribute_not_exists(PK)                                       | Name        | names are unique                     |
| attribute_not_exists(PK)                                       | Audit       | I6 what is written down stays        |
| attribute_not_exists(PK) OR nth < :nth                         | Attempt     | the last ones are kept               |

What a quota is counted on by has a condition for each limit that is set, both of them joined by AND. Where an order
exceeds a limit by itself, the half for an account that holds nothing yet is left out. A tally has no condition: it only
counts on, and tells the number that an attempt is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ipam.domain.cidr import WIDTHS, Cidr

if TYPE_CHECKING:
    from ipam.domain.cidr import Family
    from ipam.domain.owner import OwnerKey

PARTITION_KEY: Final = "PK"
SORT_KEY: Final = "SK"
TIME_TO_LIVE: Final = "expires"
"""Attribute after which the table forgets an item, in seconds of the epoch; owners that hold nothing have it,
approvals, attempts with their tallies, and what says whose a cooling block was."""

PLAN: Final = "PLAN"
APPROVALS: Final = "APPROVAL"
ROUNDS: Final = "ROUND"
NOBODY: Final = "-"
"""Stands for the account of an attempt, where nothing proves one."""

_TIME_DIGITS: Final = 14


class Key(NamedTuple):
    """A primary key."""

    partition: str
    sort: str


def scope(scope_id: str) -> Key:
    """Key of a scope."""
    return Key(PLAN, f"SCOPE#{scope_id}")


def pool(pool_id: str) -> Key:
    """Key of a pool."""
    return Key(PLAN, f"POOL#{pool_id}")


def provisioned(pool_id: str, cidr: Cidr) -> Key:
    """Key of a provisioned CIDR."""
    return Key(PLAN, f"CIDR#{pool_id}#{block(cidr)}")


def tenant(account: str) -> Key:
    """Key of a tenant."""
    return Key(PLAN, f"TENANT#{account}")


def name(text: str) -> Key:
    """Key of a reserved name."""
    return Key(PLAN, f"NAME#{text}")


def free(pool_id: str, cidr: Cidr) -> Key:
    """Key of a free block."""
    return Key(free_partition(pool_id), f"{free_from(cidr.family, cidr.host_bits)}#{_first(cidr)}")


def free_partition(pool_id: str) -> str:
    """Partition of a pool's free blocks."""
    return f"FREE#{pool_id}"


def free_from(family: Family, host_bits: int) -> str:
    """Where the free blocks of that size begin; what sorts after it in the family is as large or larger."""
    return f"{family}#{host_bits:03d}"


def free_until(family: Family) -> str:
    """Sorts after every free block of the family."""
    return f"{family}#~"


def parse_free(sort: str) -> Cidr:
    """Read a free block from its key."""
    family, host_bits, first = sort.split("#")
    return _cidr(family, first, WIDTHS[_family(family)] - int(host_bits))


def allocation(pool_id: str, cidr: Cidr) -> Key:
    """Key of an allocation."""
    return Key(used_partition(pool_id), block(cidr))


def used_partition(pool_id: str) -> str:
    """Partition of a pool's allocations."""
    return f"USED#{pool_id}"


def cooling(pool_id: str, cidr: Cidr, until: int) -> Key:
    """Key of a cooling block."""
    return Key(cooling_partition(pool_id), f"{_time(until)}#{block(cidr)}")


def cooling_partition(pool_id: str) -> str:
    """Partition of a pool's cooling blocks."""
    return f"COOL#{pool_id}"


def cooling_until(until: int) -> str:
    """Sorts after every cooling block that is due by then, and before the others."""
    return f"{_time(until)}#~"


def sticky(pool_id: str, holder: str, cidr: Cidr, until: int) -> Key:
    """Key of what says whose a cooling block was."""
    return Key(sticky_partition(pool_id), f"{holder}#{_time(until)}#{block(cidr)}")


def sticky_partition(pool_id: str) -> str:
    """Partition of what says whose the cooling blocks of a pool were."""
    return f"STICKY#{pool_id}"


def sticky_after(holder: str, now: int) -> tuple[str, str]:
    """Between which the blocks sort that a holder had and that cool beyond a time."""
    return f"{holder}#{_time(now)}#~", f"{holder}#~"


def owner(key: OwnerKey) -> Key:
    """Key of an owner's record."""
    return Key(owner_partition(key.party), key.name)


def owner_partition(party: str) -> str:
    """Partition of the owners of a stack or a pool."""
    return f"OWNER#{party}"


def quota(account: str, pool_id: str) -> Key:
    """Key of what an account holds of a pool."""
    return Key(quota_partition(account), pool_id)


def audit(subject: str, cidr: Cidr | None, at: int, serial: str) -> Key:
    """Key of an audit record."""
    return Key(audit_partition(subject), f"{'-' if cidr is None else block(cidr)}#{_time(at)}#{serial}")


def audit_partition(subject: str) -> str:
    """Partition of the audit records of a pool, scope or stack."""
    return f"AUDIT#{subject}"


def lease(pool_id: str, cidr: Cidr) -> Key:
    """Key of a lease."""
    return Key(lease_partition(pool_id), block(cidr))


def lease_partition(pool_id: str) -> str:
    """Partition of a pool's leases."""
    return f"LEASE#{pool_id}"


def approval(approval_id: str) -> Key:
    """Key of an approval."""
    return Key(APPROVALS, approval_id)


def order(pool_id: str, token: str) -> Key:
    """Key of an order that is on its way to Amazon VPC IPAM."""
    return Key(order_partition(pool_id), token)


def order_partition(pool_id: str) -> str:
    """Partition of the orders of a pool."""
    return f"ORDER#{pool_id}"


def orphans_round() -> Key:
    """Key of how far the search for orphans is."""
    return Key(ROUNDS, "ORPHANS")


def tally(day: str, account: str) -> Key:
    """Key of how many attempts there were of an account on a day."""
    return Key(f"TALLY#{day}", account or NOBODY)


def attempt(day: str, account: str, slot: int) -> Key:
    """Key of an attempt that is kept."""
    return Key(attempt_partition(day), f"{account or NOBODY}#{slot:03d}")


def attempt_partition(day: str) -> str:
    """Partition of the attempts of a day."""
    return f"ATTEMPT#{day}"


def attempts_of(account: str) -> tuple[str, str]:
    """Between which the attempts of an account sort."""
    return f"{account or NOBODY}#", f"{account or NOBODY}#~"


def quota_partition(account: str) -> str:
    """Partition of what an account holds."""
    return f"QUOTA#{account}"


def blocks_from(cidr: Cidr) -> str:
    """Where the blocks inside of a block begin, itself among them."""
    return block(cidr)


def blocks_until(cidr: Cidr) -> str:
    """Sorts after every block inside of a block."""
    return f"{cidr.family}#{_hexadecimal(cidr.last, cidr.family)}#~"


def blocks_beyond(cidr: Cidr) -> tuple[str, str]:
    """Between which the blocks sort that come after a block, those inside of it among them."""
    return f"{block(cidr)}#", "~"


def audit_of(cidr: Cidr) -> tuple[str, str]:
    """Between which the audit records of exactly this block sort."""
    return f"{block(cidr)}#", f"{block(cidr)}#~"


def block(cidr: Cidr) -> str:
    """Write a block so that it sorts by address, larger blocks before the smaller ones that start with them."""
    return f"{cidr.family}#{_first(cidr)}#{cidr.length:03d}"


def parse_block(text: str) -> Cidr:
    """Read a block from a key."""
    family, first, length = text.split("#")
    return _cidr(family, first, int(length))


def _first(cidr: Cidr) -> str:
    return _hexadecimal(cidr.first, cidr.family)


def _hexadecimal(address: int, family: Family) -> str:
    return f"{address:0{WIDTHS[family] // 4}x}"


def _time(milliseconds: int) -> str:
    return f"{milliseconds:0{_TIME_DIGITS}d}"


def _family(text: str) -> Family:
    return 4 if text == "4" else 6


def _cidr(family: str, first: str, length: int) -> Cidr:
    return Cidr(_family(family), int(first, 16), length)
