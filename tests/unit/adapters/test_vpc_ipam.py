from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from ipam.adapters import aws
from ipam.adapters.vpc_ipam import MAX_PAGES, SERVICE, VpcIpamPools
from ipam.domain.errors import ServiceUnavailableError, VpcIpamRefusedError
from ipam.services.ports.outside import Chosen, VpcIpam, VpcIpamOrder
from tests.builders import REGION, block, blocks
from tests.unit.adapters.stubs import Made, stubbed, unreachable
from tests.vpc_ipam import AmazonPool, ec2

if TYPE_CHECKING:
    from collections.abc import Callable

POOL = "ipam-pool-0123456789abcdef0"
THERE = "ipam-pool-alloc-0123456789abcdef0123456789abcdef0"
ORDER = VpcIpamOrder(REGION, POOL, "token", "cn-ipam order token", 26)

CALLS: dict[str, Callable[[VpcIpam], object]] = {
    "allocate_ipam_pool_cidr": lambda ipam: ipam.allocate(ORDER),
    "release_ipam_pool_allocation": lambda ipam: ipam.release(REGION, POOL, block("10.0.0.0/26"), THERE),
    "get_ipam_pool_allocations": lambda ipam: list(ipam.allocations(REGION, POOL)),
    "get_ipam_pool_cidrs": lambda ipam: ipam.cidrs(REGION, POOL),
}


def pools() -> tuple[VpcIpamPools, Any]:
    """Make the adapter, and what EC2 is told to answer."""
    client, stubber = stubbed("ec2")
    return VpcIpamPools(lambda _: client, REGION), stubber


def test_the_client_is_made_when_it_is_needed_and_once() -> None:
    """A process that has nothing to do with Amazon VPC IPAM does not pay for EC2's model."""
    amazon = AmazonPool("10.0.0.0/24")
    made = Made(ec2(REGION))
    ipam = VpcIpamPools(made, REGION)
    assert made.count == 0
    for _ in range(2):
        ipam.cidrs(REGION, amazon.pool_id)
    assert made.count == 1


@pytest.mark.parametrize("operation", list(CALLS))
def test_a_pool_is_asked_in_its_own_region(operation: str) -> None:
    """Whichever Region this process runs in: EC2 takes these calls in the pool's locale only."""
    client, stubber = stubbed("ec2")
    made = Made(client)
    stubber.add_client_error(operation, "Unavailable")
    with pytest.raises(ServiceUnavailableError):
        CALLS[operation](VpcIpamPools(made, "us-east-1"))
    assert made.regions == [REGION]


def test_a_pool_without_a_region_is_asked_in_the_home_region() -> None:
    """There by everybody, so that all mean the same pool."""
    client, stubber = stubbed("ec2")
    made = Made(client)
    stubber.add_response("get_ipam_pool_cidrs", {"IpamPoolCidrs": []})
    assert VpcIpamPools(made, "us-east-1").cidrs("", POOL) == ()
    assert made.regions == ["us-east-1"]


def test_a_block_of_a_size_is_asked_for_with_its_limits() -> None:
    """All of it is in the words of the API, and the answer is read."""
    ipam, stubber = pools()
    stubber.add_response(
        "allocate_ipam_pool_cidr",
        {"IpamPoolAllocation": {"IpamPoolAllocationId": THERE, "Cidr": "10.0.0.64/26", "Description": "said"}},
        {
            "IpamPoolId": POOL,
            "ClientToken": "token",
            "Description": "cn-ipam order token",
            "NetmaskLength": 26,
            "AllowedCidrs": ["10.0.0.0/25"],
            "DisallowedCidrs": ["10.0.0.0/27", "10.0.0.32/27"],
        },
    )
    allowed, disallowed = tuple(blocks("10.0.0.0/25")), tuple(blocks("10.0.0.0/27", "10.0.0.32/27"))
    order = VpcIpamOrder(REGION, POOL, "token", "cn-ipam order token", 26, None, allowed, disallowed)
    assert ipam.allocate(order) == Chosen(THERE, block("10.0.0.64/26"), "said")


def test_an_exact_block_is_asked_for_alone() -> None:
    """The API takes a length and limits only without it; an allocation may come back without a description."""
    ipam, stubber = pools()
    stubber.add_response(
        "allocate_ipam_pool_cidr",
        {"IpamPoolAllocation": {"IpamPoolAllocationId": THERE, "Cidr": "2001:db8::/56"}},
        {"IpamPoolId": POOL, "ClientToken": "t", "Description": "d", "Cidr": "2001:db8::/56"},
    )
    order = VpcIpamOrder(REGION, POOL, "t", "d", 56, block("2001:db8::/56"), tuple(blocks("2001:db8::/48")))
    assert ipam.allocate(order) == Chosen(THERE, block("2001:db8::/56"), "")


def test_exactly_one_allocation_is_released() -> None:
    """By pool, block and id: somebody else's is never meant."""
    ipam, stubber = pools()
    stubber.add_response(
        "release_ipam_pool_allocation",
        {"Success": True},
        {"IpamPoolId": POOL, "Cidr": "10.0.0.0/26", "IpamPoolAllocationId": THERE},
    )
    assert ipam.release(REGION, POOL, block("10.0.0.0/26"), THERE)


def test_an_allocation_that_is_not_there_is_not_released() -> None:
    """What that means is for others to say."""
    ipam, stubber = pools()
    stubber.add_client_error("release_ipam_pool_allocation", "InvalidIpamPoolAllocationId.NotFound", "no", 400)
    assert not ipam.release(REGION, POOL, block("10.0.0.0/26"), THERE)


def test_a_release_that_was_no_success_is_none() -> None:
    """The API may say so without an error."""
    ipam, stubber = pools()
    stubber.add_response("release_ipam_pool_allocation", {"Success": False})
    with pytest.raises(ServiceUnavailableError, match="Success is false"):
        ipam.release(REGION, POOL, block("10.0.0.0/26"), THERE)


def test_lists_are_read_page_by_page_and_not_before_they_are_needed() -> None:
    """Each page is asked for with the token of the one before it, and as few as the API allows at a time."""
    ipam, stubber = pools()
    asked = {"IpamPoolId": POOL, "MaxResults": 1000}
    first = {"IpamPoolAllocationId": "one", "Cidr": "10.0.0.0/26", "Description": "said", "ResourceType": "custom"}
    second = {"IpamPoolAllocationId": "two", "Cidr": "10.0.0.64/26", "ResourceType": "vpc"}
    stubber.add_response("get_ipam_pool_allocations", {"IpamPoolAllocations": [first], "NextToken": "next"}, asked)
    found = ipam.allocations(REGION, POOL)
    assert next(found) == Chosen("one", block("10.0.0.0/26"), "said")
    stubber.add_response("get_ipam_pool_allocations", {"IpamPoolAllocations": [second]}, asked | {"NextToken": "next"})
    assert list(found) == [Chosen("two", block("10.0.0.64/26"), "")]
    stubber.assert_no_pending_responses()


def test_only_what_is_provisioned_counts() -> None:
    """A CIDR on its way in or out gives nothing."""
    ipam, stubber = pools()
    states = ["provisioned", "pending-provision", "failed-provision", "pending-deprovision", "deprovisioned"]
    cidrs = [{"Cidr": f"10.{number}.0.0/16", "State": state} for number, state in enumerate(states)]
    stubber.add_response("get_ipam_pool_cidrs", {"IpamPoolCidrs": cidrs}, {"IpamPoolId": POOL, "MaxResults": 1000})
    assert ipam.cidrs(REGION, POOL) == (block("10.0.0.0/16"),)


def test_a_list_without_an_end_is_given_up() -> None:
    """Every loop is bounded."""
    amazon = AmazonPool("10.0.0.0/16")
    for third in range(5):
        for fourth in range(256):
            amazon.take(f"10.0.{third}.{fourth}/32")
    amazon.page = 1
    with pytest.raises(ServiceUnavailableError, match=f"more than {MAX_PAGES} pages"):
        list(VpcIpamPools(ec2, REGION).allocations(REGION, amazon.pool_id))


@pytest.mark.parametrize("operation", list(CALLS))
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("RequestLimitExceeded", 503),
        ("Unavailable", 503),
        ("InternalError", 500),
        ("SomethingNew", 502),
        ("ConcurrentMutationLimitExceeded", 400),
        ("UnauthorizedOperation", 403),
        ("AuthFailure", 401),
    ],
)
def test_a_service_that_is_busy_or_closed_to_us_may_do_it_later(operation: str, code: str, status: int) -> None:
    """It says nothing about the request; what it says of our rights is nobody else's business."""
    ipam, stubber = pools()
    stubber.add_client_error(operation, code, "arn:aws:sts::111111111111:assumed-role/secret", status)
    with pytest.raises(ServiceUnavailableError) as raised:
        CALLS[operation](ipam)
    assert raised.value == ServiceUnavailableError(SERVICE, code)


@pytest.mark.parametrize("operation", list(CALLS))
@pytest.mark.parametrize("code", ["InvalidParameterValue", "InvalidIpamPoolId.NotFound", "IdempotentParameterMismatch"])
def test_a_refusal_keeps_its_facts(operation: str, code: str) -> None:
    """The pool there, and Amazon's own words."""
    ipam, stubber = pools()
    stubber.add_client_error(operation, code, "The allocation size is too big for the pool.", 400)
    with pytest.raises(VpcIpamRefusedError) as raised:
        CALLS[operation](ipam)
    assert raised.value == VpcIpamRefusedError(POOL, code, "The allocation size is too big for the pool.")


@pytest.mark.parametrize("operation", list(CALLS))
@pytest.mark.parametrize(
    "fault",
    [
        ReadTimeoutError(endpoint_url="https://ec2"),
        ConnectTimeoutError(endpoint_url="https://ec2"),
        EndpointConnectionError(endpoint_url="https://ec2"),
    ],
)
def test_no_answer_is_the_services_absence(operation: str, fault: Exception) -> None:
    """By the name of what befell the call."""
    with pytest.raises(ServiceUnavailableError) as raised:
        CALLS[operation](VpcIpamPools(unreachable(fault), REGION))
    assert raised.value == ServiceUnavailableError(SERVICE, type(fault).__name__)


@pytest.mark.parametrize("operation", list(CALLS))
def test_what_is_our_own_fault_stays_it(operation: str) -> None:
    """An error that says that this process is set up wrongly passes untouched."""
    with pytest.raises(NoCredentialsError):
        CALLS[operation](VpcIpamPools(unreachable(NoCredentialsError()), REGION))


def test_the_fake_holds_requests_to_the_services_own_model() -> None:
    """What the service has no word for never reaches a pool of the tests."""
    with pytest.raises(ParamValidationError):
        ec2(REGION).allocate_ipam_pool_cidr(IpamPoolId=AmazonPool("10.0.0.0/24").pool_id, Length=26)
    with pytest.raises(VpcIpamRefusedError, match="InvalidIpamPoolId"):
        VpcIpamPools(ec2, REGION).cidrs(REGION, "ipam-pool-nowhere")


def test_a_call_that_is_tried_again_by_the_client_is_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the wire: after a throttle and a lost answer the client sends the very same token, and reads the third one."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "111111111111")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setattr("time.sleep", lambda _: None)
    client = aws.client("ec2", REGION)
    sent: list[dict[str, list[str]]] = []
    namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"
    throttle = (
        "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>busy</Message></Error></Errors>"
        "<RequestID>1</RequestID></Response>"
    )
    done = (
        f'<AllocateIpamPoolCidrResponse xmlns="{namespace}"><requestId>2</requestId><ipamPoolAllocation>'
        f"<cidr>10.0.0.64/26</cidr><ipamPoolAllocationId>{THERE}</ipamPoolAllocationId>"
        "<description>said</description></ipamPoolAllocation></AllocateIpamPoolCidrResponse>"
    )

    def send(request: Any, **_: Any) -> AWSResponse:
        sent.append(parse_qs(request.body if isinstance(request.body, str) else request.body.decode()))
        if len(sent) == 2:
            raise ReadTimeoutError(endpoint_url=request.url)
        status, text = (503, throttle) if len(sent) == 1 else (200, done)
        return AWSResponse(request.url, status, {}, Raw(text))  # type: ignore[arg-type]

    client.meta.events.register("before-send.ec2.AllocateIpamPoolCidr", send)
    order = VpcIpamOrder(REGION, POOL, "token", "d", 26, disallowed=tuple(blocks("10.0.0.0/27")))
    assert VpcIpamPools(lambda _: client, REGION).allocate(order) == Chosen(THERE, block("10.0.0.64/26"), "said")
    assert len(sent) == 3
    assert [each["ClientToken"] for each in sent] == [["token"]] * 3
    assert sent[0]["DisallowedCidr.1"] == ["10.0.0.0/27"]


class Raw(io.BytesIO):
    """An answer on the wire."""

    def __init__(self, text: str) -> None:
        super().__init__(text.encode())

    def stream(self) -> Any:
        """Give it."""
        yield self.read()
