from __future__ import annotations

import inspect

import pytest

from ipam.domain import errors as domain
from ipam.domain.cidr import Cidr
from ipam.domain.errors import IpamError
from ipam.entrypoints import errors as door
from ipam.entrypoints.answers import MAX_BODY
from ipam.entrypoints.reasons import MAX_REASON, MAX_REASONS, cut, internal_error, reason
from tests.unit.entrypoints.stage import at

LONG = "x" * 255
IPV6 = Cidr.parse(f"{'ffff:' * 7}fff0/124")
SLASH24 = Cidr.parse("10.0.0.0/24")

KINDS = {IpamError, domain.PermanentError, domain.TemporaryError}
"""What errors are told apart by; none of these is ever raised itself."""

EXAMPLES: list[tuple[IpamError, list[str]]] = [
    (domain.MalformedCidrError("10.0.0.1/24", "10.0.0.0/24"), ["10.0.0.1/24", "Write 10.0.0.0/24"]),
    (domain.MalformedCidrError(LONG, None), ["canonical", "Write"]),
    (domain.SubnetsDoNotFitError(24, (25,) * 48), ["/24", "48 of /25", "Ask for a /19 or larger (CnCidrMask)"]),
    (
        domain.SubnetsDoNotFitError(25, (26, 26, 28, 28)),
        [
            "A /25 has no room",
            "(SubnetMasks): 2 of /26, 2 of /28.",
            "/24 or larger (CnCidrMask), or for fewer or smaller",
        ],
    ),
    (domain.SubnetsDoNotFitError(0, (0, 0)), ["/0", "2 of /0", "Ask for fewer or smaller ones"]),
    (domain.SubnetsDoNotFitError(56, tuple(range(57, 81))), ["A /56 has no room", "fewer or smaller ones"]),
    (
        domain.NoSuchPoolError("reserved"),
        ['no pool "reserved"', "with PoolName (where that is empty, a product asks for its default pool)"],
    ),
    (domain.NoSuchPoolError(LONG), ["no pool", "PoolName"]),
    (
        domain.SeveralScopesError("eu-central-1", "vpc", 4, ("company", "lab")),
        ["IPv4", "VPCs in eu-central-1", "Name the pool with PoolName.", '"company", "lab".'],
    ),
    (domain.SeveralScopesError("eu-central-1", "vpc", 4, tuple("abcd")), ['"c" and 1 more.']),
    (domain.SeveralScopesError(LONG, LONG, 6, (LONG, LONG, LONG, LONG)), ["Name the pool with PoolName."]),
    (domain.NoSuchScopeError("lab"), ['no scope "lab"', "IpamScopeId", "`ipam scope list`"]),
    (domain.NoSuchScopeError(LONG), ["no scope"]),
    (domain.NoPoolForRequestError("eu-central-1", "vpc", 4), ["IPv4", "VPCs", "eu-central-1", "network team"]),
    (domain.NoPoolForRequestError("eu-central-1", "vpc", 4, (("stage", "prod"), ("b", ""))), ['with "stage=prod, b="']),
    (domain.NoPoolForRequestError(LONG, LONG, 6, ((LONG, LONG),)), ["IPv6"]),
    (domain.PoolMismatchError("vpcs", "locale", "eu-west-1", "eu-central-1"), ["the Region", "eu-west-1"]),
    (domain.PoolMismatchError(LONG, "allocation_type", LONG, LONG), ["allocation type"]),
    (domain.PoolMismatchError("vpcs", "tags", "lab", "stage=prod"), ["the tag", 'is "stage=prod"', 'pool\'s is "lab"']),
    (domain.PoolMismatchError("vpcs", "tags", "\n", "odd=\u2028"), ['"odd=\\u2028"', '"\\n"']),
    (domain.PoolMismatchError("vpcs", "tags", "", f"{LONG}={LONG}"), ["the pool's is none", "Name another"]),
    (
        domain.NetmaskLengthError("vpcs", 8, "AllocationMinNetmaskLength", 16),
        ["/8", "larger", "CnCidrMask 16 or above"],
    ),
    (domain.NetmaskLengthError("vpcs", 30, "AllocationMaxNetmaskLength", 28), ["/30", "smaller", "28 or below"]),
    (domain.NetmaskLengthError(LONG, None, "AllocationDefaultNetmaskLength", None), ["missing", "Add CnCidrMask"]),
    (domain.NetmaskLengthError(LONG, 128, LONG[:60], 128), ["/128"]),
    (domain.NetmaskLengthError("vpcs", 99, "AddressFamily", 32), ['Pool "vpcs" has no /99', "end at 32", "CnCidrMask"]),
    (domain.NetmaskLengthError(LONG, 999, "AddressFamily", 128), ["Ask for another CnCidrMask."]),
    (
        domain.MissingTagError("vpcs", "stage", "prod", None),
        ['"vpcs"', '"stage"', '"prod"', "none of that key", "Add it to Tags"],
    ),
    (domain.MissingTagError("vpcs", "stage", "prod", "lab"), ['has "lab"']),
    (domain.MissingTagError("vpcs", "stage", "prod", ""), ['has ""']),
    (domain.MissingTagError(LONG, LONG, LONG, LONG), ["requires the tag"]),
    (
        domain.AllocationRuleError("vpcs", "DisallowedCidrs", "10.0.0.0/24", "10.0.0.0/25"),
        ["Cidr 10.0.0.0/24", "DisallowedCidrs 10.0.0.0/25", '"vpcs"', "another block", "CnCidrMask"],
    ),
    (
        domain.AllocationRuleError(LONG, "AllowedCidrs", str(IPV6), f"{IPV6}, {IPV6}"),
        ["AllowedCidrs ffff:", "CnCidrMask"],
    ),
    (
        domain.PoolNotSharedError("vpcs", "111111111111"),
        ['"vpcs"', "not shared", "111111111111", "Name another pool", "network team"],
    ),
    (domain.PoolNotSharedError(LONG, LONG), ["not shared", "network team"]),
    (domain.UnknownAccountError("111111111111"), ["no account 111111111111", "the account itself"]),
    (domain.UnknownAccountError(LONG), ["the account itself"]),
    (
        domain.DeniedError("vpcs", 12, "arn:aws:iam::111111111111:user/ann", "too large"),
        ["user/ann", "/12", '"vpcs"', '"too large"', "smaller block"],
    ),
    (domain.DeniedError("vpcs", 12, "ann", ""), ['refused a /12 of pool "vpcs". Ask']),
    (domain.DeniedError("vpcs", 12, "", ""), ["/12", '"vpcs"', "in time", "smaller block", "deploy again"]),
    (
        domain.DeniedError("vpcs", 12, "", "", waits=False),
        ["A /12", '"vpcs"', "no time to wait", "Raise ServiceTimeout to 3600", "smaller block"],
    ),
    (domain.DeniedError(LONG, 124, "", "", waits=False), ["Raise ServiceTimeout to 3600"]),
    (domain.DeniedError(LONG, 124, LONG, LONG), ["refused a /124", "smaller block"]),
    (domain.DeniedError(LONG, 124, "", ""), ["deploy again"]),
    (domain.ReplacementRefusedError(SLASH24), ["10.0.0.0/24", "Replaceable is false", "another one, move over"]),
    (domain.ReplacementRefusedError(IPV6), ["terminate this one."]),
    (domain.OnlyPreviewedError(IPV6), ["IpamPoolAllocationId", "Preview:", "PreviewToken"]),
    (domain.NoSuchPreviewError(LONG), ["PreviewToken", "Preview,", "leave PreviewToken out"]),
    (
        domain.PoolExhaustedError(
            "vpcs", 24, Cidr.parse("10.0.0.0/26"), 3, 768, at(9, 30, 1), provisioned=True, room_at=at(9, 30, 1)
        ),
        [
            '"vpcs"',
            "no free /24",
            "10.0.0.0/26",
            "3 cooling",
            "768",
            "2026-11-20 09:31 UTC",
            "/26 or smaller",
            "retry then",
        ],
    ),
    (
        domain.PoolExhaustedError(
            "vpcs", 24, Cidr.parse("10.0.0.0/26"), 3, 768, at(9), provisioned=True, room_at=at(9, 40)
        ),
        ["next free 2026-11-20 09:00 UTC", "or retry 2026-11-20 09:40 UTC."],
    ),
    (
        domain.PoolExhaustedError("vpcs", 16, Cidr.parse("10.0.0.0/17"), 2, 512, at(9), provisioned=True),
        ["2 cooling (512 addresses)", "Ask for a /17 or smaller, or more space."],
    ),
    (
        domain.PoolExhaustedError(
            "vpcs", 24, Cidr.parse("10.0.0.0/26"), 0, 0, None, provisioned=True, limited_by=("request", "pool")
        ),
        [
            "no free /24 within AllowedCidrs and DisallowedCidrs of this resource and the pool: the largest",
            "Change them, or ask for a /26",
        ],
    ),
    (
        domain.PoolExhaustedError(
            "vpcs", 24, None, 0, 0, None, provisioned=True, limited_by=("request",), permitted=False
        ),
        ['"vpcs"', "of this resource leave none", "Change them, ask for a smaller block, or name another pool."],
    ),
    (
        domain.PoolExhaustedError(LONG, 24, None, 0, 0, None, provisioned=True, limited_by=("pool",), permitted=False),
        ["of the pool leave none", "Ask the network team to change them, ask for a smaller"],
    ),
    (
        domain.PoolExhaustedError(LONG, 124, IPV6, 100, 1 << 39, at(9), provisioned=True),
        ["no free /124", "100 cooling"],
    ),
    (
        domain.PoolExhaustedError(LONG, 128, IPV6, 100, 1 << 99, at(9), provisioned=True, room_at=at(9)),
        ["no free /128", "retry"],
    ),
    (
        domain.PoolExhaustedError("vpcs", 24, None, 0, 0, None, provisioned=True),
        ["nothing is free", "nothing is cooling"],
    ),
    (
        domain.PoolExhaustedError(LONG, 24, None, 0, 0, None, provisioned=False),
        ["no CIDR is provisioned", "network team"],
    ),
    (domain.CidrNotInPoolError(LONG, IPV6), ["not in the space", "CnCidrMask"]),
    (domain.CidrNotFreeError("vpcs", SLASH24, None), ["10.0.0.0/24", "in use", "another block"]),
    (domain.CidrNotFreeError(LONG, IPV6, at(9)), ["cooling until 2026-11-20 09:00 UTC", "Retry"]),
    (
        domain.QuotaExceededError("vpcs", "111111111111", "allocations", 5),
        ["111111111111", "5 allocations", "Give back"],
    ),
    (domain.QuotaExceededError(LONG, LONG, "units", 1 << 64), ["address units"]),
    (domain.SupersededError(), ["later request", "deploy again"]),
    (domain.NoSuchAllocationError(LONG), ["no allocation", "!GetAtt"]),
    (domain.NameTakenError(LONG), ["taken"]),
    (domain.InvalidPoolError(LONG, LONG, LONG), ["refused"]),
    (domain.DefaultScopeError("private"), ['"private"', "default scope", "leave it"]),
    (
        domain.InUseError("vpcs", ("10.0.0.0/24 of stack net", "pool subnets"), 14),
        ['"vpcs"', "10.0.0.0/24 of stack net, pool subnets and 12 more", "first"],
    ),
    (domain.InUseError("10.0.0.0/24", ("pool subnets",), 1), ['"10.0.0.0/24"', "by pool subnets. End"]),
    (domain.InUseError(LONG, (LONG, LONG), 10_000), ["and 9998 more", "End that first"]),
    (
        domain.NetworkInUseError(Cidr.parse("10.0.0.0/24"), ("vpc-0a1b", "subnet-0c"), 2, "222222222222", "eu-west-1"),
        ["10.0.0.0/24 is in use by vpc-0a1b, subnet-0c, account 222222222222, eu-west-1.", "delete the stack again"],
    ),
    (
        domain.NetworkInUseError(Cidr.parse("2600:1f14:abc:d000::/56"), (LONG,), 9, "2" * 12, "ap-southeast-2"),
        ["and 8 more", "delete the stack again"],
    ),
    (
        domain.ApprovalPendingError("approval-0123456789abcdef0", "vpcs", 12, at(9, 30)),
        ["/12", '"vpcs"', "until 2026-11-20 09:30 UTC", "`ipam approve approval-0123456789abcdef0`"],
    ),
    (domain.ApprovalPendingError(LONG, LONG, 124, at(9)), ["`ipam approve"]),
    (
        domain.ServiceUnavailableError("AWS Organizations", "TooManyRequestsException"),
        ["AWS Organizations", "TooManyRequestsException", "safe to retry"],
    ),
    (domain.ServiceRefusedError("AWS Lambda", LONG, "X"), ["AWS Lambda refuses", "network team"]),
    (domain.NotSetUpError("AWS Lambda", "IPAM_CN_CIDR_FUNCTION is not set"), ["AWS Lambda", "is not set"]),
    (domain.ServiceUnavailableError(LONG, LONG), ["safe to retry"]),
    (domain.NoSuchApprovalError("approval-0", "unknown"), ['"approval-0"', "`ipam approve`"]),
    (domain.NoSuchApprovalError("approval-0", "too late"), ["approval-0", "too long", "deploy again"]),
    (domain.NoSuchApprovalError("approval-0", "denied"), ["approval-0 is denied already", "deploy again"]),
    (domain.NoSuchApprovalError(LONG, LONG), ["deploy again"]),
    (
        domain.BlueprintError("plan.yaml, line 3, column 5", '"colour"', "no such key"),
        ["line 3", '"colour"', "no such key"],
    ),
    (domain.BlueprintError(LONG[:60], LONG, LONG), ["is refused"]),
    (
        domain.VpcIpamRefusedError(
            "ipam-pool-0123456789abcdef0", "InvalidParameterValue", "The CIDR is not in the pool"
        ),
        ["ipam-pool-0123456789abcdef0", "The CIDR is not in the pool (InvalidParameterValue)", "network team"],
    ),
    (domain.VpcIpamRefusedError(LONG, LONG, LONG), ["network team"]),
    (
        domain.NoSuchTenantError("111111111111"),
        ["Account 111111111111 may not order", "`ipam tenant add`", "deploy again"],
    ),
    (domain.NoSuchTenantError(LONG), ["may not order", "deploy again"]),
    (
        domain.RotationUnfinishedError("111111111111", at(9)),
        ["111111111111", "good until 2026-11-20 09:00 UTC", "`--no-grace`"],
    ),
    (domain.RotationUnfinishedError(LONG, at(9)), ["`--no-grace`"]),
    (domain.ContendedError(LONG, 10), ["10 attempts", "safe to retry"]),
    (domain.OutOfTimeError(), ["safe to retry"]),
    (domain.StoreUnavailableError(LONG), ["safe to retry"]),
    (door.InvalidPropertyError("CnCidrMask", '"/24"', "it is odd", "Write 24"), ['CnCidrMask "/24"', "Write 24."]),
    (door.InvalidPropertyError(LONG, "", LONG, LONG), ["is refused"]),
    (door.UnknownPropertyError("Mask", "Custom::GetCnCIDR", "CnCidrMask"), ['"Mask"', "mean CnCidrMask?"]),
    (door.UnknownPropertyError(LONG, LONG[:68], ""), ["Take it out"]),
    (door.WrongKeyError("111111111111"), ["Authorizationkey", "111111111111", "NoEcho"]),
    (door.UnservedTypeError(LONG[:68], ("Custom::GetCnCIDR", "Custom::DeleteCnCIDR")), ["Use Custom::GetCnCIDR or"]),
]


@pytest.mark.parametrize(("error", "parts"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_reason_says_what_why_and_what_next_in_240_characters(error: IpamError, parts: list[str]) -> None:
    """Each holds its facts and its next step, stays short with the longest values, and is one printable line."""
    said = reason(error)
    assert [part for part in parts if part not in said] == []
    assert len(said) <= MAX_REASON
    assert said.isprintable()
    if all(len(str(value)) < 60 for value in vars(error).values()):
        assert said.endswith((".", "?"))


def test_the_refusals_of_other_pools_stand_behind_the_first() -> None:
    """Each with its name and its reason; however many there are, an answer has room for what is said."""
    error = domain.CidrNotFreeError("a", SLASH24, None)
    alone = reason(error)
    error.beside = (("b", "PoolExhausted"), ("c", "PoolNotShared"), ("d", "Odd"))
    assert (
        reason(error) == f'{alone} As to the others: "b" has no room; "c" is not shared with the account; "d" refused.'
    )
    error.beside = (("\u4e2d" * 255, "PoolMismatch"),) * 8
    said = reason(error)
    assert said.startswith(alone)
    assert len(said) == MAX_REASONS
    assert len(said.encode()) < MAX_BODY // 2 + 512


def test_a_preview_token_is_not_repeated() -> None:
    """It is a right to a block, and a Reason is read by whoever may see the stack."""
    assert "secret" not in reason(domain.NoSuchPreviewError("secret"))


def test_every_error_has_an_example_here() -> None:
    """A new error cannot be forgotten: its Reason is missing here first."""
    classes = {
        member
        for module in (domain, door)
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, IpamError) and member not in KINDS
    }
    assert classes == {type(error) for error, _ in EXAMPLES}


def test_an_error_without_a_sentence_is_a_fault() -> None:
    """Nothing is said rather than something empty."""

    class NewError(IpamError):
        pass

    with pytest.raises(TypeError):
        reason(NewError())


def test_what_is_long_keeps_its_beginning() -> None:
    """The beginning says what was asked and why not; the end is what can be missed."""
    assert cut("y" * 300) == "y" * 239 + "…"
    assert cut("y" * 240) == "y" * 240


def test_a_fault_of_ours_names_its_reference() -> None:
    """The person can find the line in the log."""
    assert "abc-123" in internal_error("abc-123")
