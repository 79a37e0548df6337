"""Networks of member accounts, by the answers that EC2 gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from ipam.adapters.members import CLIENT_AGE, MAX_CLIENTS, REFUSAL_AGE, MemberClients
from ipam.adapters.networks import MAX_PAGES, MAX_VALUES, TOO_MANY, MemberNetworks
from ipam.domain.errors import ServiceUnavailableError
from ipam.domain.network import Network
from ipam.domain.stack import StackId
from tests.builders import ACCOUNT, STACK, block
from tests.unit.adapters.stubs import stubbed
from tests.unit.adapters.test_stacks import Accounts, stack

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from ipam.domain.cidr import Cidr
    from tests.builders import FixedClock

ROLE = "cn-ipam-discovery"
BLOCK = block("10.0.0.0/24")
MADE_BY_STACK = [{"Key": "Name", "Value": "shop"}, {"Key": "aws:cloudformation:stack-id", "Value": STACK}]


@pytest.fixture
def service() -> tuple[Any, Stubber]:
    return stubbed("ec2")


def vpc(vpc_id: str, *cidrs: str, state: str = "associated", **facts: Any) -> dict[str, Any]:
    """Describe a VPC, of which the first CIDR is the primary one."""
    four = [text for text in cidrs if ":" not in text]
    six = [text for text in cidrs if ":" in text]
    return {
        "VpcId": vpc_id,
        "OwnerId": ACCOUNT,
        "IsDefault": False,
        "CidrBlock": four[0] if four else "192.168.0.0/24",
        "CidrBlockAssociationSet": [{"CidrBlock": text, "CidrBlockState": {"State": state}} for text in four],
        "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": t, "Ipv6CidrBlockState": {"State": state}} for t in six],
    } | facts


def vpcs(stubber: Stubber, *described: dict[str, Any], **more: str) -> None:
    """Say which VPCs there are."""
    stubber.add_response("describe_vpcs", {"Vpcs": list(described), **more})


def using(clock: FixedClock, client: Any, cidr: Cidr = BLOCK) -> list[Network]:
    """Ask what uses a block."""
    return list(MemberNetworks(ROLE, clock, Accounts(client)).using(stack(), cidr))


def test_a_vpc_is_seen_by_every_cidr(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """The primary one, and those that were associated later; by the block or by a part of it."""
    client, stubber = service
    vpcs(
        stubber,
        vpc("vpc-1", "10.0.0.0/24", Tags=MADE_BY_STACK),
        vpc("vpc-2", "10.9.0.0/16", "10.0.0.64/26"),
        vpc("vpc-3", "10.0.1.0/24"),
    )
    assert using(clock, client) == [
        Network("vpc-1", BLOCK, STACK),
        Network("vpc-2", block("10.0.0.64/26")),
    ]


def test_ipv6_is_seen(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """However EC2 spells it."""
    client, stubber = service
    vpcs(stubber, vpc("vpc-6", "10.0.0.0/24", "2600:1F14:0abc:d000::/56"))
    six = block("2600:1f14:abc:d000::/56")
    assert using(clock, client, six) == [Network("vpc-6", six)]


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        ("associating", True),
        ("associated", True),
        ("disassociating", True),
        ("failing", True),
        ("disassociated", False),
        ("failed", False),
    ],
)
def test_a_cidr_counts_until_it_is_gone(
    service: tuple[Any, Stubber],
    clock: FixedClock,
    state: str,
    seen: bool,  # noqa: FBT001
) -> None:
    """Of both families."""
    client, stubber = service
    for cidr in ("10.0.0.0/24", "fd00::/56"):
        vpcs(stubber, vpc("vpc-1", cidr, state=state))
        assert bool(using(clock, client, block(cidr))) is seen


def test_what_aws_gives_everybody_is_nobodys_order(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """A default VPC's own CIDR does not count, another one that it was given does; nor do its own subnets."""
    client, stubber = service
    default = vpc("vpc-d", "172.31.0.0/16", "10.0.0.0/24", IsDefault=True)
    vpcs(stubber, default)
    assert using(clock, client, block("172.31.0.0/16")) == []
    vpcs(stubber, default)
    assert using(clock, client) == [Network("vpc-d", BLOCK)]
    vpcs(stubber, default)
    stubber.add_response(
        "describe_subnets",
        {
            "Subnets": [
                {"SubnetId": "subnet-d", "OwnerId": ACCOUNT, "CidrBlock": "172.31.0.0/20", "DefaultForAz": True},
                {"SubnetId": "subnet-1", "OwnerId": ACCOUNT, "CidrBlock": "172.31.0.0/24", "DefaultForAz": False},
            ]
        },
    )
    assert [each.network_id for each in using(clock, client, block("172.31.0.0/18"))] == ["subnet-1"]


def test_subnets_are_read_of_larger_vpcs_only(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """Those in the block, of IPv4 or IPv6, say that their VPC goes beyond it; one of IPv6 alone has no IPv4 CIDR."""
    client, stubber = service
    around = [vpc("vpc-1", "10.0.0.0/16", "fd00::/56"), vpc("vpc-2", "10.1.0.0/16")]
    subnets = [
        {"SubnetId": "subnet-1", "OwnerId": ACCOUNT, "CidrBlock": "10.0.0.0/26", "Tags": MADE_BY_STACK},
        {"SubnetId": "subnet-2", "OwnerId": ACCOUNT, "CidrBlock": "10.0.1.0/26"},
        {
            "SubnetId": "subnet-6",
            "OwnerId": ACCOUNT,
            "Ipv6CidrBlockAssociationSet": [
                {"Ipv6CidrBlock": "fd00:0:0:1::/64", "Ipv6CidrBlockState": {"State": "associated"}}
            ],
        },
    ]
    asked = {"Filters": [{"Name": "vpc-id", "Values": ["vpc-1"]}], "MaxResults": 1000}
    for cidr, found in (
        ("10.0.0.0/24", Network("subnet-1", block("10.0.0.0/26"), STACK, in_larger=True)),
        ("fd00:0:0:1::/64", Network("subnet-6", block("fd00:0:0:1::/64"), in_larger=True)),
    ):
        vpcs(stubber, *around)
        stubber.add_response("describe_subnets", {"Subnets": subnets}, asked)
        assert using(clock, client, block(cidr)) == [found]
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize("fault", ["UnauthorizedOperation", "pages"])
def test_what_was_seen_counts_although_the_rest_is_not_told(
    service: tuple[Any, Stubber], clock: FixedClock, fault: str
) -> None:
    """A VPC in the block is in use, whether or not its subnets, or those of others, may be read."""
    client, stubber = service
    vpcs(stubber, vpc("vpc-1", "10.0.0.0/24"), vpc("vpc-2", "10.0.0.0/16"))
    if fault == "pages":
        for number in range(MAX_PAGES + 1):
            stubber.add_response("describe_subnets", {"Subnets": [], "NextToken": f"{number}"})
    else:
        stubber.add_client_error("describe_subnets", fault)
    assert using(clock, client) == [Network("vpc-1", BLOCK)]


def test_subnets_are_asked_for_in_batches(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """A filter takes so many VPCs and no more."""
    client, stubber = service
    names = [f"vpc-{number}" for number in range(MAX_VALUES + 1)]
    vpcs(stubber, *(vpc(name, "10.0.0.0/16") for name in names))
    for batch in (names[:MAX_VALUES], names[MAX_VALUES:]):
        asked = {"Filters": [{"Name": "vpc-id", "Values": batch}], "MaxResults": 1000}
        stubber.add_response("describe_subnets", {"Subnets": []}, asked)
    assert using(clock, client) == []
    stubber.assert_no_pending_responses()


def test_the_oldest_rights_make_room(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """A client takes memory: so many are kept, and the one made longest ago goes for a new one."""
    client, _ = service
    accounts = Accounts(client)
    clients = MemberClients("Amazon EC2", ROLE, clock, accounts)
    stacks = [StackId.parse(STACK.replace(ACCOUNT, f"{number:012d}")) for number in range(MAX_CLIENTS + 1)]
    for each in (*stacks, stacks[1], stacks[0]):
        assert each is not None
        clients.of(each)
        assert len(clients) <= MAX_CLIENTS
    assert len(accounts.taken) == MAX_CLIENTS + 2


def test_what_others_share_is_left_out(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """A VPC or a subnet that another account lends is not the stack's to delete."""
    client, stubber = service
    vpcs(stubber, vpc("vpc-1", "10.0.0.0/24", OwnerId="444455556666"), vpc("vpc-2", "10.0.0.0/23"))
    lent = {"SubnetId": "subnet-1", "OwnerId": "444455556666", "CidrBlock": "10.0.0.0/26"}
    stubber.add_response("describe_subnets", {"Subnets": [lent]})
    assert using(clock, client) == []


def test_every_page_is_read_up_to_a_bound(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """What is beyond is as if nobody could be asked, and said so."""
    client, stubber = service
    vpcs(stubber, vpc("vpc-1", "10.0.1.0/24"), NextToken="2")
    vpcs(stubber, vpc("vpc-2", "10.0.0.0/24"))
    assert using(clock, client) == [Network("vpc-2", BLOCK)]
    for number in range(MAX_PAGES + 1):
        vpcs(stubber, NextToken=f"{number}")
    networks = MemberNetworks(ROLE, clock, Accounts(client))
    assert (networks.using(stack(), BLOCK), networks.unasked(), networks.unasked()) == ((), TOO_MANY, "")


@pytest.mark.parametrize("code", ["AccessDenied", "RegionDisabledException"])
def test_an_account_without_the_role_is_not_asked(service: tuple[Any, Stubber], clock: FixedClock, code: str) -> None:
    """That is told once a question, and the role is tried again after a minute."""
    client, stubber = service
    accounts = Accounts(client, ClientError({"Error": {"Code": code, "Message": ""}}, "AssumeRole"))
    networks = MemberNetworks(ROLE, clock, accounts)
    for _ in range(2):
        assert (networks.using(stack(), BLOCK), networks.unasked(), networks.unasked()) == ((), code, "")
    assert accounts.taken == [(f"arn:aws:iam::{ACCOUNT}:role/{ROLE}", "eu-central-1")]
    clock.sleep(REFUSAL_AGE)
    vpcs(stubber, vpc("vpc-1", "10.0.0.0/24"))
    assert len(networks.using(stack(), BLOCK)) == 1
    assert networks.unasked() == ""


def test_a_role_without_the_rights_is_not_asked(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """As where there is none."""
    client, stubber = service
    networks = MemberNetworks(ROLE, clock, Accounts(client))
    stubber.add_client_error("describe_vpcs", "UnauthorizedOperation")
    assert (networks.using(stack(), BLOCK), networks.unasked()) == ((), "UnauthorizedOperation")


@pytest.mark.parametrize(
    "code", ["RequestLimitExceeded", "InternalError", "Unavailable", "AuthFailure", "SomethingNew"]
)
def test_who_does_not_answer_is_asked_again(service: tuple[Any, Stubber], clock: FixedClock, code: str) -> None:
    """Whatever it is, with rights taken anew: they may have ended before their time."""
    client, stubber = service
    accounts = Accounts(client)
    networks = MemberNetworks(ROLE, clock, accounts)
    stubber.add_client_error("describe_vpcs", code)
    with pytest.raises(ServiceUnavailableError) as raised:
        networks.using(stack(), BLOCK)
    assert (raised.value.service, raised.value.code) == ("Amazon EC2", code)
    vpcs(stubber)
    assert (networks.using(stack(), BLOCK), networks.unasked()) == ((), "")
    assert len(accounts.taken) == 2


@pytest.mark.parametrize(
    "fault",
    [
        EndpointConnectionError(endpoint_url="x"),
        ConnectTimeoutError(endpoint_url="x"),
        ClientError({"Error": {"Code": "Throttling", "Message": ""}}, "AssumeRole"),
        ClientError({"Error": {"Code": "ExpiredToken", "Message": ""}}, "AssumeRole"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_role_that_cannot_be_asked_for_now_is_no_answer(
    service: tuple[Any, Stubber], clock: FixedClock, fault: Exception
) -> None:
    """Nor is it remembered as one."""
    client, stubber = service
    networks = MemberNetworks(ROLE, clock, Accounts(client, fault))
    with pytest.raises(ServiceUnavailableError):
        networks.using(stack(), BLOCK)
    vpcs(stubber)
    assert (networks.using(stack(), BLOCK), networks.unasked()) == ((), "")


def test_rights_are_kept_for_a_while(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """One role a account and Region, taken on anew before the hour of its rights is over."""
    client, stubber = service
    accounts = Accounts(client)
    networks = MemberNetworks(ROLE, clock, accounts)
    for wait, taken in ((0, 1), (CLIENT_AGE - 1, 1), (1, 2)):
        clock.sleep(wait)
        vpcs(stubber)
        networks.using(stack(), BLOCK)
        assert len(accounts.taken) == taken
