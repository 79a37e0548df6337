"""`ipam import`: what each source says, what a bad row is told, and that files of all kinds are read or refused."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, get_args

import pytest

from ipam.domain.errors import StoreUnavailableError
from ipam.entrypoints.cli import context
from ipam.entrypoints.cli.read_csv import Sheet, read_csv
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.cli.render_import import SENTENCES
from ipam.services.import_rows import Bad, Problem
from ipam.services.import_source import VpcIpamAllocation, VpcIpamPool
from ipam.services.pools import NewPool
from tests.builders import ACCOUNT, REGION
from tests.faults import Around
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard

AWS_POOL = "ipam-pool-0fedcba9876543210"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write a file of these lines, and give its path."""

    def writing(*lines: str, encoding: str = "utf-8", end: str = "\n") -> str:
        path = tmp_path / "networks.csv"
        path.write_bytes("".join(f"{line}{end}" for line in lines).encode(encoding))
        return str(path)

    return writing


def listed(ipam: Keyboard, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """Run an import; give its exit code and what it lists."""
    done = ipam.run("import", *words, "--output", "json")
    return done.exit_code, json.loads(done.stdout)


def bad_rows(ipam: Keyboard, *words: str) -> list[tuple[int, str]]:
    """Run an import that has to be refused; give the bad lines with their problems."""
    code, found = listed(ipam, *words)
    assert code == 1
    return [(row["line"], row["problem"]) for row in found if row["outcome"] == "bad"]


def test_a_file_is_imported(ipam: Keyboard, vpcs: Pool, desk: Desk, write: Callable[..., str]) -> None:
    """The summary is on standard output; holders, tags and history are as the file says, and as nobody else can."""
    file = write(
        "cidr,account,description,holder_id,tags",
        f'10.0.0.0/24,{ACCOUNT},"shop, ""old""",vpc-0abc,"env=prod \'name=my shop\'"',
        "10.0.9.0/24,,,,",
    )
    told = ipam("import", file)
    assert told == "2 imported.\n"
    first, second = ipam.json("allocation", "list", "vpcs")
    assert (first["holder_type"], first["holder"], first["resource"]) == ("resource", "vpc-0abc", "10.0.0.0/24")
    assert (first["description"], first["account"]) == ('shop, "old"', ACCOUNT)
    assert first["tags"] == ["env=prod", "name=my shop"]
    assert (second["holder_type"], second["resource"]) == ("import", "10.0.9.0/24")
    (record,) = ipam.json("history", "vpcs", "10.0.0.0/24")
    assert record["event"] == "imported"
    assert record["cause"].startswith("ipam command line, arn:aws:")
    assert record["cause"].endswith(": import of networks.csv, line 2")
    assert ipam("import", file) == "2 kept, imported before.\n"
    assert vpcs.pool_id == first["pool_id"]
    check(desk.store, canonical=True)


def test_of_ten_thousand_rows_seven_are_bad(ipam: Keyboard, vpcs: Pool, desk: Desk, write: Callable[..., str]) -> None:
    """All seven are listed with their lines and reasons, and nothing is imported; with --skip-bad, all others are."""
    large = desk.pool(NewPool("large", vpcs.scope_id, locale=REGION), "172.16.0.0/12")
    desk.allocate(desk.request("Net", cidr="172.31.0.0/24", pool=large))
    rows = [
        f"172.{16 + third // 256}.{third % 256}.{part * 16}/28,{ACCOUNT}" for third in range(625) for part in range(16)
    ]
    rows[1000] = "172.16.0.300/28,"
    rows[2000] = "172.20.0.1/28,"
    rows[3000] = "172.21.0.0/28,1234"
    rows[4000] = "192.168.0.0/28,"
    rows[5000] = rows[0]
    rows[6000] = "172.16.0.16/29,"
    rows[7000] = "172.31.0.128/25,"
    file = write("cidr,account", *rows)
    done = ipam.run("import", file)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        'line 1002: "172.16.0.300/28" is not a canonical CIDR',
        'line 2002: "172.20.0.1/28" is not a canonical CIDR; write 172.20.0.0/28',
        'line 3002: account "1234" is not an AWS account id of twelve digits',
        "line 4002: 192.168.0.0/28 is in the space of no pool; provision it to one, or correct it",
        "line 5002: 172.16.0.0/28 stands in line 2 already",
        "line 6002: 172.16.0.16/29 overlaps 172.16.0.16/28 of line 3",
        "line 7002: 172.31.0.128/25 is not free in pool large: 172.31.0.0/24 is held by stack net",
        "9,993 could be imported; 7 bad. Nothing was imported: correct them, or add --skip-bad to leave them out.",
    ]
    assert "commit" not in ipam.calls
    assert len(desk.held(large.pool_id)) == 1
    assert ipam("import", file, "--skip-bad").splitlines()[-1] == "9,993 imported; 7 bad."
    assert len(desk.held(large.pool_id)) == 9_994
    assert ipam.json("doctor") == []


def test_a_trial_changes_nothing(ipam: Keyboard, vpcs: Pool, desk: Desk, write: Callable[..., str]) -> None:
    """--dry-run says what would be done; its exit code is that of the import."""
    file = write("cidr", "10.0.0.0/24")
    assert ipam("import", file, "--dry-run") == "1 could be imported.\n"
    assert "commit" not in ipam.calls
    file = write("cidr", "10.0.0.0/24", "10.0.0.1/24")
    assert ipam.run("import", file, "--dry-run").exit_code == 1
    assert ipam.run("import", file, "--dry-run", "--skip-bad").exit_code == 0
    assert desk.held(vpcs.pool_id) == []


def test_programs_are_told_every_row(ipam: Keyboard, vpcs: Pool, write: Callable[..., str]) -> None:
    """JSON and CSV list each row with what became of it, by line; the summary goes to standard error."""
    ipam("import", write("cidr", "10.0.3.0/24"))
    file = write("cidr,account", "10.0.3.0/24,", f"10.0.1.0/24,{ACCOUNT}", "x,", "10.0.2.0/24,")
    done = ipam.run("import", file, "--skip-bad", "-o", "json")
    assert (done.exit_code, done.stderr) == (0, "2 imported; 1 kept, imported before; 1 bad.\n")
    found = json.loads(done.stdout)
    assert [(row["line"], row["outcome"], row["value"]) for row in found] == [
        (2, "kept", "10.0.3.0/24"),
        (3, "imported", "10.0.1.0/24"),
        (4, "bad", "x"),
        (5, "imported", "10.0.2.0/24"),
    ]
    held = ipam.json("allocation", "list", vpcs.pool_id)
    assert [found[1]["allocation_id"], found[3]["allocation_id"]] == [each["allocation_id"] for each in held[:2]]
    assert (found[2]["problem"], found[2]["reason"]) == ("cidr", '"x" is not a canonical CIDR')
    refused = listed(ipam, write("cidr", "10.0.4.0/24", "x"))
    assert (refused[0], [row["outcome"] for row in refused[1]]) == (1, ["good", "bad"])
    assert ipam.csv("import", write("cidr", "10.0.4.0/24"), "--dry-run")[0]["outcome"] == "good"


def test_an_export_is_imported_again(ipam: Keyboard, vpcs: Pool, desk: Desk, tmp_path: Path) -> None:
    """What `ipam export` writes is kept here as it is, and brought over to another plan of the same names whole."""
    desk.allocate(desk.request("Net", cidr="10.0.1.0/24", pool=vpcs, description='=1+1 "x",\nsecond line'))
    desk.allocate(desk.request("Other", cidr="10.0.2.0/24", pool=vpcs))
    lines = tmp_path / "more.csv"
    lines.write_text("cidr,tags,holder_id\n10.0.3.0/24,\"a=b c='' 'd=e f=g'\",\n10.0.4.0/25,,vpc-0abc\n")
    ipam("import", str(lines))
    exported = tmp_path / "export.csv"
    exported.write_text(ipam("export"))
    assert ipam("import", str(exported)) == "4 kept, imported before; 2 left out, levels of the plan.\n"
    assert "commit" not in ipam.calls

    there = type(desk)(clock=desk.clock, chance=desk.chance)
    scope = there.scope("private")
    top = there.pool(NewPool("corporate", scope), "10.0.0.0/8")
    there.pool(NewPool("vpcs", scope, source_pool_id=top.pool_id, locale=REGION), "10.0.0.0/16")
    before = ipam.json("allocation", "list", "vpcs")
    ipam.desk = there
    assert ipam("import", str(exported)) == "4 imported; 2 left out, levels of the plan.\n"
    after = ipam.json("allocation", "list", "vpcs")
    assert after[2]["tags"] == ["a=b", "c=", "d=e f=g"]
    own = {"allocation_id", "created", "pool_id", "expires"}
    assert [{**row, **dict.fromkeys(own)} for row in after] == [{**row, **dict.fromkeys(own)} for row in before]
    check(there.store, canonical=True)


def test_an_interrupted_import_goes_on(ipam: Keyboard, vpcs: Pool, desk: Desk, write: Callable[..., str]) -> None:
    """Ctrl-C between two transactions: it is said how far it came, nothing is half done, and the next run ends it."""

    class Cut(Around):
        left = 2

        def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            """See the parent."""
            if name == "commit":
                self.left -= 1
                if self.left < 0:
                    raise KeyboardInterrupt
            return super().call(name, do, args)

    file = write("cidr", *(f"10.0.{third}.0/24" for third in range(200)))
    store = desk.store
    desk.store = Cut(store)
    told = ipam.refused("import", file)
    assert told.startswith("refused: Interrupted: ") and "of 200 networks are imported and whole" in told
    desk.store = store
    done = len(desk.held(vpcs.pool_id))
    assert 0 < done < 200
    check(store, canonical=True)
    assert ipam("import", file) == f"{200 - done} imported; {done} kept, imported before.\n"
    check(store, canonical=True)


def test_a_silent_table_ends_it_with_a_word(ipam: Keyboard, vpcs: Pool, desk: Desk, write: Callable[..., str]) -> None:
    """How far it came is said before the refusal."""

    class Silent(Around):
        def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            """See the parent."""
            if name == "commit":
                raise StoreUnavailableError("ThrottlingException")
            return super().call(name, do, args)

    del vpcs
    desk.store = Silent(desk.store)
    told = ipam.run("import", write("cidr", "10.0.0.0/24")).stderr.splitlines()
    assert told[0].startswith("0 of 1 networks are imported") and "again in a minute" in told[1]


def test_every_problem_has_a_sentence() -> None:
    """No bad row is without words."""
    assert set(SENTENCES) == set(get_args(Problem))


def test_bad_cells_are_told_by_their_columns(ipam: Keyboard, vpcs: Pool, write: Callable[..., str]) -> None:
    """One reason a row: the column, its value, and what would be right; nothing that a terminal obeys is printed."""
    header = "cidr,pool,scope,allocation_type,account,description,tags,holder_id,resource"
    rows = {
        "10.0.0.0/33,,,,,,,,": "cidr",
        "10.0.0.0,,,,,,,,": "cidr",
        "=10.0.0.0/24,,,,,,,,": "cidr",
        "010.0.0.0/24,,,,,,,,": "cidr",
        "10.0.0.0/24,nix,,,,,,,": "no-such-pool",
        "10.0.0.0/24,,nix,,,,,,": "no-such-scope",
        "10.0.0.0/24,,,network,,,,,": "type",
        "10.0.0.0/24,,,,11112222333,,,,": "account",
        "10.0.0.0/24,,,,١١١١٢٢٢٢٣٣٣٣,,,,": "account",
        "10.0.0.0/24,,,,,a\x1b[31mb,,,": "text",
        f"10.0.0.0/24,,,,,{'x' * 256},,,": "text",
        "10.0.0.0/24,,,,,,novalue,,": "tags",
        "10.0.0.0/24,,,,,,a=1 a=2,,": "tags",
        "10.0.0.0/24,,,,,,'a=1,,": "tags",
        f"10.0.0.0/24,,,,,,a={'x' * 257},,": "text",
        f"10.0.0.0/24,,,,,,,{'x' * 401},": "text",
        "10.0.0.0/24,,,,,,,x,a\x07b": "text",
        "10.0.0.0/24,,,,,,,ipam-pool-0123,": "holder",
        "10.0.0.0/24,,,,": "cells",
        "10.0.0.0/24,,,,,,,,,": "cells",
    }
    file = write(header, *rows)
    assert bad_rows(ipam, file) == list(enumerate(rows.values(), 2))
    done = ipam.run("import", file)
    assert "\x1b" not in done.output and "\x07" not in done.output
    assert all(line.startswith("line ") and len(line) < 300 for line in done.stdout.splitlines()[:-1])
    assert "line 11: account" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"{len(rows)} bad. Nothing was imported")
    del vpcs


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_files_of_all_tools_are_read(  # noqa: PLR0913, PLR0917 - what may differ
    ipam: Keyboard, vpcs: Pool, write: Callable[..., str], delimiter: str, encoding: str, end: str
) -> None:
    """Line ends, byte order mark and delimiter may be any; empty lines are none, and the others keep their numbers."""
    lines = ["", "CIDR ,Description", " 10.0.0.0/24 ,Köln", "", ",", "  ", "10.0.0.0/24,again"]
    file = write(*(line.replace(",", delimiter) for line in lines), encoding=encoding, end=end)
    assert bad_rows(ipam, file) == [(7, "twice")]
    ipam("import", file, "--skip-bad")
    assert ipam.json("allocation", "list", vpcs.name)[0]["description"] == "Köln"


def test_one_line_that_cannot_be_read_spoils_no_other(ipam: Keyboard, vpcs: Pool, tmp_path: Path, desk: Desk) -> None:
    """A quote in the wrong place, a cell beyond all measure, bytes that are no UTF-8: bad rows with their lines."""
    path = tmp_path / "odd.csv"
    path.write_bytes(
        b"cidr,description\n"
        b'10.0.0.0/24,"a"b\n'
        b"10.0.1.0/24,\xff\xfe\n"
        b"10.0.2.0/24,two\x00\n"
        b"10.0.3.0/24," + b"x" * 200_000 + b"\n"
        b'10.0.4.0/24,"two\nlines"\n'
        b"10.0.5.0/24,good\n"
        b"10.0.5.0/24,twice\n"
    )
    found = [(2, "unreadable"), (3, "text"), (4, "text"), (5, "unreadable"), (9, "twice")]
    assert bad_rows(ipam, str(path)) == found
    ipam("import", str(path), "--skip-bad")
    assert desk.held(vpcs.pool_id) == ["10.0.4.0/24", "10.0.5.0/24"]
    assert ipam.json("allocation", "list", "vpcs")[0]["description"] == "two\nlines"


def test_a_quote_that_is_never_closed(ipam: Keyboard, vpcs: Pool, tmp_path: Path) -> None:
    """The lines that it has swallowed are named: none of them is silently left out."""
    path = tmp_path / "open.csv"
    path.write_text('cidr,description\n10.0.0.0/24,a\n10.0.1.0/24,"b\n10.0.2.0/24,c\n')
    done = ipam.run("import", str(path))
    assert "line 3: cannot be read, to line 4: " in done.stdout and done.exit_code == 1
    del vpcs


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "The file is empty"),
        (b"\n\n", "The file is empty"),
        (b"10.0.0.0/24,x\n", 'Line 1: unknown columns: "10.0.0.0/24"'),
        (b"\ncidr,acount\n", 'Line 2: unknown columns: "acount" (did you mean account?)'),
        (b"prefix,status\n", "(for NetBox's export, add --netbox)"),
        (b"cidr,cidr\n", "columns that stand twice: cidr"),
        (b"pool,account\n", "the column cidr is missing"),
        (",".join(["cidr", *map(str, range(9))]).encode(), "and 4 more"),
        ("cidr,pool\n".encode("utf-16"), "not UTF-8"),
        (b"\xff\xfecidr\n", "not UTF-8"),
    ],
)
def test_a_header_has_to_be_right(ipam: Keyboard, tmp_path: Path, content: bytes, told: str) -> None:
    """Otherwise no row is read: the line, what is wrong with it, and what may be meant."""
    path = tmp_path / "wrong.csv"
    path.write_bytes(content)
    assert told in ipam.refused("import", str(path))


def test_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is too long is refused, not read into memory for ever."""
    monkeypatch.setattr("ipam.entrypoints.cli.read_csv.MAX_ROWS", 3)
    assert len(list(read_csv(b"cidr\n" + b"10.0.0.0/24\n" * 3, ""))) == 3
    with pytest.raises(RefusedError, match="more than 3 rows"):
        list(read_csv(b"cidr\n" + b"10.0.0.0/24\n" * 4, ""))
    assert isinstance(next(Sheet(b"cidr\nx,y\n").lines()), Bad)


def test_standard_input_is_a_file(ipam: Keyboard, vpcs: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads it; a file that is not there is refused by name."""
    monkeypatch.setattr("ipam.entrypoints.cli.imports.stdin", lambda: io.BytesIO(b"cidr\n10.0.0.0/24\n"))
    assert ipam("import", "-") == "1 imported.\n"
    assert "nowhere.csv cannot be read: No such file" in ipam.refused("import", "nowhere.csv")
    del vpcs


def test_wrong_use_is_told(ipam: Keyboard) -> None:
    """A file or an Amazon VPC IPAM, and options that belong together."""
    assert "not both" in ipam.misused("import")
    assert "not both" in ipam.misused("import", "x.csv", "--from-vpc-ipam", AWS_POOL)
    assert "has a Region" in ipam.misused("import", "x.csv", "--region", REGION)
    assert "name one scope" in ipam.misused("import", "x.csv", "--scope", "a", "--scope", "b")
    assert "name one scope" in ipam.misused("import", "x.csv", "--scope", "Blue=a")
    assert "is not the id" in ipam.misused("import", "--from-vpc-ipam", "pool-1")


NETBOX = (
    "Prefix,Status,VRF,Utilization,Tenant,Scope,VLAN,Role,Description,Tags,Rack Owner\n"
    "10.0.0.0/16,Container,Global,40,,,,,all of it,,\n"
    f'10.0.1.0/24,Active,Global,,Shop ({ACCOUNT}),Cologne,web (100),Production,front,"a,b",me\n'
    "10.0.2.0/24,Reserved,Global,,Ops,,,,,,\n"
    "10.0.2.0/24,Active,Blue (65000:1),,,,,,,,\n"
    "10.0.3.0/24,Active,Red,,,,,,,,\n"
)


def test_an_export_of_netbox_is_imported(ipam: Keyboard, vpcs: Pool, desk: Desk, tmp_path: Path) -> None:
    """Containers are levels, a VRF is a scope, and what NetBox knows besides becomes tags."""
    blue = desk.pool(NewPool("laboratory", desk.scope("lab")), "10.0.0.0/8")
    path = tmp_path / "netbox_prefixes.csv"
    path.write_text(NETBOX)
    words = (str(path), "--netbox", "--scope", "private", "--scope", "Blue=lab")
    assert bad_rows(ipam, *words) == [(6, "vrf")]
    told = ipam.run("import", *words).stdout
    assert "line 6: VRF \"Red\" has no scope; add --scope 'VRF=SCOPE'" in told
    ipam("import", *words, "--skip-bad")
    front, ops = ipam.json("allocation", "list", "vpcs")
    assert (front["cidr"], front["account"], front["description"]) == ("10.0.1.0/24", ACCOUNT, "front")
    assert front["tags"] == [
        "netbox:role=Production",
        "netbox:scope=Cologne",
        "netbox:status=Active",
        "netbox:tags=a,b",
        f"netbox:tenant=Shop ({ACCOUNT})",
        "netbox:vlan=web (100)",
    ]
    assert (ops["cidr"], ops["account"]) == ("10.0.2.0/24", None)
    assert desk.held(blue.pool_id) == ["10.0.2.0/24"]
    assert vpcs.name == front["pool"]


def test_older_exports_of_netbox_are_read(ipam: Keyboard, vpcs: Pool, desk: Desk, tmp_path: Path) -> None:
    """With marks of the depth before the prefix, over several lines, and with the names of fields as a header."""
    path = tmp_path / "old.csv"
    path.write_text(
        "prefix,vrf,tenant,site,vlan_group,vlan,status,role,is_pool,description\n"
        '"•\n        \n10.0.16.0/24",,,,,,active,,False,\n'
        '"••10.0.17.0/24",,,,,,active,,False,\n'
        "10.0.16.0/20,,,,,,container,,False,\n"
    )
    assert ipam("import", str(path), "--netbox") == "2 imported; 1 left out, levels of the plan.\n"
    assert desk.held(vpcs.pool_id) == ["10.0.16.0/24", "10.0.17.0/24"]
    path.write_text("cidr\n10.0.0.0/24\n")
    assert "the column Prefix is missing" in ipam.refused("import", str(path), "--netbox")


class Amazon:
    """`ipam.services.import_source.VpcIpam` with one pool."""

    def __init__(self, *held: VpcIpamAllocation) -> None:
        self.held = held

    def pool(self, pool_id: str) -> VpcIpamPool | None:
        """See the port."""
        return VpcIpamPool(pool_id, "theirs", REGION, ("10.0.0.0/16",)) if pool_id == AWS_POOL else None

    def allocations(self, pool: VpcIpamPool) -> Iterator[VpcIpamAllocation]:
        """See the port."""
        assert pool.pool_id == AWS_POOL
        return iter(self.held)


def there(cidr: str, kind: str, resource: str = "", owner: str = ACCOUNT) -> VpcIpamAllocation:
    """Make an allocation of Amazon's."""
    return VpcIpamAllocation(f"ipam-pool-alloc-{cidr}", cidr, f"a {kind}", resource, kind, owner, (("env", "prod"),))


def test_an_amazon_vpc_ipam_is_imported(
    ipam: Keyboard, vpcs: Pool, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Types are mapped, a resource is its own holder, its owner's account counts; the pool's space is told."""
    amazon = Amazon(
        there("10.0.1.0/24", "vpc", "vpc-0abc"),
        there("10.0.2.0/24", "vpc", "vpc-0abc"),
        there("10.0.3.0/24", "custom"),
        there("10.0.4.0/28", "ec2-public-ipv4-pool", "ipv4pool-ec2-0abc"),
        there("10.0.5.0/24", "ipam-pool", "ipam-pool-0abc"),
        there("10.0.6.0/24", "moon-base", "moon-1"),
    )
    regions = {"eu-west-1": amazon, None: Amazon()}
    monkeypatch.setattr(context, "vpc_ipam", regions.__getitem__)
    words = ("--from-vpc-ipam", AWS_POOL, "--pool", "vpcs", "--region", "eu-west-1")
    assert bad_rows(ipam, *words) == [(5, "no-level"), (6, "type")]
    told = ipam.run("import", *words, "--skip-bad")
    assert told.stderr.strip() == f"{AWS_POOL} theirs {REGION} has 10.0.0.0/16"
    assert told.stdout.startswith("allocation 5: 10.0.5.0/24 is a pool's, and no pool has it here; create the pool")
    held = ipam.json("allocation", "list", "vpcs")
    assert [(each["allocation_type"], each["holder_type"], each["holder"]) for each in held] == [
        ("vpc", "resource", "vpc-0abc"),
        ("vpc", "resource", "vpc-0abc"),
        ("custom", "import", "10.0.3.0/24"),
        ("custom", "resource", "ipv4pool-ec2-0abc"),
    ]
    assert {each["account"] for each in held} == {ACCOUNT}
    assert ipam.run("import", *words, "--skip-bad").stdout.splitlines()[-1] == "4 kept, imported before; 2 bad."
    check(desk.store, canonical=True)
    assert "has no pool" in ipam.refused("import", "--from-vpc-ipam", "ipam-pool-00000000000000000")
    assert vpcs.name == held[0]["pool"]


def test_what_breaks_the_rules_is_counted(ipam: Keyboard, vpcs: Pool, desk: Desk, write: Callable[..., str]) -> None:
    """Existing networks are imported as they are; how many the pool would not give is said, and which in the list."""
    del vpcs
    ipam("pool", "create", "small", "--scope", "private", "--min", "26", "--locale", REGION)
    desk.provision(desk.store.plan().named("small").pool_id, "192.168.0.0/16")
    file = write("cidr", "192.168.0.0/24", "192.168.1.0/27")
    assert ipam("import", file).endswith("2 imported. Not compliant with the rules of their pools: 1.\n")
    code, found = listed(ipam, file)
    assert (code, [row["compliant"] for row in found]) == (0, [False, True])
