"""Check an import before anything is written: each row against the plan, the other rows, and what is held already.

What is free, held or cooling may change until the rows are written; the conditions of the changes decide then. Nothing
here writes.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain import ids
from ipam.domain.allocation import Allocation, CoolingBlock
from ipam.domain.errors import NoSuchPoolError, NoSuchScopeError, PermanentError
from ipam.domain.stack import StackId
from ipam.services.import_rows import Bad, Entry, Row, owner_of
from ipam.services.import_space import FreeSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ipam.domain.cidr import Cidr
    from ipam.domain.owner import OwnerKey
    from ipam.domain.plan import Plan
    from ipam.domain.pool import AllocationType, Pool, Space
    from ipam.services.import_rows import Problem
    from ipam.services.ports import Ports

    Watch = Callable[[str, int, int], None]

MAX_OWNED: Final = 16
"""Networks that the rows may give one holder under one name: its record is one item, and is read and written whole."""

MAX_COOLING: Final = 1_000_000
"""Cooling blocks of one pool that are looked at."""

STEP: Final = 500
"""Rows between two words to who watches."""

TYPES: Final[tuple[AllocationType, ...]] = ("custom", "vpc", "subnet", "eip")
"""What a network is taken to be where its row does not say: the first of these that its pool serves."""


@dataclass
class Intake:
    """What the check came to.

    Attributes:
        plan: the address plan that it was checked against.
        good: what there is to write, by pool, in address order.
        kept: what was imported before, and is as it was.
        left_out: levels of the plan, which hold nothing themselves.
        bad: what cannot be imported, in the order of the lines.
        noncompliant: of those that are good or kept, those that their pools' rules would not allow today.
        free: free space of the pools, as it was read.
    """

    plan: Plan
    good: dict[str, list[Entry]] = field(default_factory=dict)
    kept: list[Entry] = field(default_factory=list)
    left_out: list[Row] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    noncompliant: list[Entry] = field(default_factory=list)
    free: dict[str, FreeSpace] = field(default_factory=dict)

    @property
    def to_write(self) -> int:
        """How many networks there are to write."""
        return sum(len(entries) for entries in self.good.values())


def check(ports: Ports, plan: Plan, read: Iterable[Row | Bad], default_pool: str, watch: Watch) -> Intake:
    """Sort rows into what can be imported and what cannot.

    Args:
        ports: the collaborators.
        plan: the address plan, freshly read.
        read: the rows in their order; those that could not even be read are passed on.
        default_pool: id or name of the pool of rows that name none; "": the deepest that has the block.
        watch: is told what is being done, how much of it is done, and how much there is.
    """
    intake = Intake(plan)
    places = _Places(plan, default_pool)
    rows = list(read)
    placed: dict[str, list[Entry]] = {}
    for done, row in enumerate(rows):
        if done % STEP == 0:
            watch("checking", done, len(rows))
        match row if isinstance(row, Bad) else places.of(row):
            case Bad() as bad:
                intake.bad.append(bad)
            case Row() as level:
                intake.left_out.append(level)
            case Entry() as entry:
                placed.setdefault(entry.pool.pool_id, []).append(entry)
    owned: Counter[OwnerKey] = Counter()
    for done, (pool_id, entries) in enumerate(placed.items()):
        watch("reading what is held", done, len(placed))
        intake.free[pool_id] = free = FreeSpace(ports.store.all_free(pool_id, plan.pools[pool_id].family))
        good = list(_against_each_other(_not_held(ports, entries, free, intake), owned, intake))
        if good:
            intake.good[pool_id] = sorted(good, key=lambda entry: entry.row.cidr)
    intake.bad.sort(key=lambda bad: bad.line)
    settled = [*intake.kept, *(entry for good in intake.good.values() for entry in good)]
    intake.noncompliant = [entry for entry in settled if not _complies(entry)]
    return intake


class _Places:
    """Where rows belong in the plan."""

    def __init__(self, plan: Plan, default_pool: str) -> None:
        self._plan = plan
        self._default = default_pool
        self._spaces: dict[str, Space] = {pool_id: plan.space(pool_id) for pool_id in plan.pools}
        self._deepest: dict[tuple[str, Cidr], Pool] = {}
        for pool in sorted(plan.pools.values(), key=plan.depth):
            self._deepest |= {(pool.scope_id, block): pool for block in self._spaces[pool.pool_id].provisioned}
        self._lengths = sorted({block.length for _, block in self._deepest}, reverse=True)

    def of(self, row: Row) -> Entry | Bad | Row:
        """Find the place of a row, or say what is wrong with it; a level of the plan is given back as it is."""
        if row.kind == "container":
            return row
        scopes = self._scopes(row)
        if isinstance(scopes, Bad):
            return scopes
        if row.kind == "pool":
            known = any((scope_id, row.cidr) in self._deepest for scope_id in scopes)
            return row if known else _bad(row, "no-level")
        pool = self._named(row, scopes) if row.pool or self._default else self._found(row, scopes)
        return pool if isinstance(pool, Bad) else self._entry(row, pool)

    def _scopes(self, row: Row) -> list[str] | Bad:
        """Tell the scopes that a row may be in."""
        if not row.scope:
            return list(self._plan.scopes)
        try:
            return [self._plan.named_scope(row.scope).scope_id]
        except NoSuchScopeError:
            return Bad(row.line, row.scope, "no-such-scope")

    def _named(self, row: Row, scopes: list[str]) -> Pool | Bad:
        """Find the pool that is named for a row."""
        try:
            pool = self._plan.named(row.pool or self._default)
        except NoSuchPoolError as error:
            return Bad(row.line, error.selector, "no-such-pool")
        return pool if pool.scope_id in scopes else _bad(row, "other-scope", pool=pool.name, other=row.scope)

    def _found(self, row: Row, scopes: list[str]) -> Pool | Bad:
        """Find the deepest pool that has the block of a row."""
        lengths = [length for length in self._lengths if length <= row.cidr.length]
        around = [row.cidr.supernet(length) for length in lengths]
        found = [self._first(scope_id, around) for scope_id in scopes]
        match [pool for pool in found if pool is not None]:
            case []:
                return _bad(row, "no-pool")
            case [pool] if row.cidr in self._spaces[pool.pool_id].provisioned:
                return _bad(row, "all-of-pool", pool=pool.name)
            case [pool]:
                return pool
            case pools:
                return _bad(row, "several-pools", other=", ".join(sorted(pool.name for pool in pools)))

    def _first(self, scope_id: str, around: list[Cidr]) -> Pool | None:
        return next((pool for block in around if (pool := self._deepest.get((scope_id, block)))), None)

    def _entry(self, row: Row, pool: Pool) -> Entry | Bad:  # noqa: PLR0911 - each thing that can be wrong is one
        """Hold a row against its pool."""
        if pool.family != row.cidr.family:
            return _bad(row, "family", pool=pool.name, other=f"ipv{pool.family}")
        if self._spaces[pool.pool_id].around(row.cidr) is None:
            return _bad(row, "not-in-pool", pool=pool.name)
        if row.party.startswith((ids.POOL_PREFIX, ids.SCOPE_PREFIX)):
            return Bad(row.line, row.party, "holder")
        stack = StackId.parse(row.party)
        if stack is not None and row.account not in {"", stack.account}:
            return Bad(row.line, row.account, "account-of-stack", "account", other=stack.account)
        if stack is not None:
            # What the stack gives back counts on its own account.
            row = replace(row, account=stack.account)
        if pool.vpc_ipam_pool_id and pool.vpc_ipam_pool_id != row.vpc_ipam_pool_id:
            return _bad(row, "backed", pool=pool.name, other=pool.vpc_ipam_pool_id)
        kind = row.allocation_type or next((each for each in TYPES if each in pool.allocation_types), None)
        if kind not in pool.allocation_types:
            served = ", ".join(sorted(pool.allocation_types)) or "nothing"
            return Bad(row.line, kind or "", "type-not-served", "allocation_type", pool.name, served)
        return Entry(row, pool, owner_of(row, pool), kind)


class _Lines:
    """Blocks of a pool that earlier lines have; no two overlap."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, int, Entry]] = []

    def put(self, entry: Entry) -> Bad | None:
        """Take a line in, or say which earlier one has its block, or a part of it."""
        cidr = entry.row.cidr
        place = bisect_right(self._entries, cidr.last, key=lambda each: each[0]) - 1
        if place >= 0 and self._entries[place][1] >= cidr.first:
            other = self._entries[place][2].row
            problem: Problem = "twice" if other.cidr == cidr else "overlaps-line"
            return _bad(entry.row, problem, pool=entry.pool.name, other=str(other.cidr), other_line=other.line)
        insort(self._entries, (cidr.first, cidr.last, entry), key=lambda each: each[0])
        return None


def _not_held(
    ports: Ports, entries: list[Entry], free: FreeSpace, intake: Intake
) -> Iterator[tuple[Entry, Literal["free", "kept"]]]:
    """Hold the rows of a pool against what is in it; what is held is read only if something is not free."""
    held: _Held | None = None
    for entry in entries:
        if free.around(entry.row.cidr) is not None:
            yield entry, "free"
            continue
        held = held or _Held(ports, entry.pool.pool_id)
        judged = held.judge(entry)
        if isinstance(judged, Bad):
            intake.bad.append(judged)
        else:
            yield entry, judged


def _against_each_other(
    entries: Iterable[tuple[Entry, Literal["free", "kept"]]], owned: Counter[OwnerKey], intake: Intake
) -> Iterator[Entry]:
    """Hold the rows of a pool against the earlier ones, and give those that are to be written."""
    lines = _Lines()
    for entry, state in entries:
        other = lines.put(entry)
        if other is not None:
            intake.bad.append(other)
        elif state == "kept":
            intake.kept.append(entry)
        elif owned[entry.owner] >= MAX_OWNED:
            intake.bad.append(Bad(entry.row.line, entry.owner.name, "holds-too-much", other=str(MAX_OWNED)))
        else:
            owned[entry.owner] += 1
            yield entry


class _Held:
    """What is allocated and what cools in a pool; no two of these blocks overlap (I1)."""

    def __init__(self, ports: Ports, pool_id: str) -> None:
        now = ports.clock.now()
        cooling = [each for each in ports.store.cooling(pool_id, MAX_COOLING) if each.until > now]
        held: list[Allocation | CoolingBlock] = [*ports.store.allocations(pool_id), *cooling]
        self._blocks = sorted(held, key=lambda each: each.cidr)
        self._firsts = [each.cidr.first for each in self._blocks]

    def judge(self, entry: Entry) -> Literal["free", "kept"] | Bad:
        """Tell whether a row is held as it says already, or what is in its way.

        Where nothing is, it is free, in several parts perhaps, or cooled by now. If it is not, because it changed
        between two reads, the change that is to take it will tell.
        """
        match self._first_over(entry.row.cidr):
            case Allocation(cidr=cidr, owner=owner):
                if (cidr, owner) == (entry.row.cidr, entry.owner):
                    return "kept"
                return _bad(entry.row, "held", pool=entry.pool.name, other=str(cidr), holder=owner)
            case CoolingBlock(cidr=cidr, until=until):
                return _bad(entry.row, "cooling", pool=entry.pool.name, other=str(cidr), until=until)
            case None:
                return "free"

    def _first_over(self, cidr: Cidr) -> Allocation | CoolingBlock | None:
        """Give the first block that shares an address with one."""
        place = max(0, bisect_right(self._firsts, cidr.first) - 1)
        near = self._blocks[place : place + 2]
        return next((each for each in near if each.cidr.overlaps(cidr)), None)


def _complies(entry: Entry) -> bool:
    """Whether the rules of its pool would allow a network today."""
    pool, row = entry.pool, entry.row
    try:
        pool.rules.resolve(pool.name, row.cidr.length)
        pool.rules.check_tags(pool.name, row.tags)
        pool.rules.check_block(pool.name, row.cidr)
    except PermanentError:
        return False
    return True


def _bad(row: Row, problem: Problem, **facts: object) -> Bad:
    """Say what is wrong with the block of a row."""
    return Bad(row.line, str(row.cidr), problem, **facts)  # type: ignore[arg-type]
