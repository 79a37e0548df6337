from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.domain import errors
from ipam.domain.cidr import WIDTHS, Cidr
from ipam.domain.errors import refusal_name
from ipam.domain.free_space import pack
from ipam.domain.owner import Grant
from ipam.entrypoints.answers import MAX_BODY, Answer, encode, ended, ends_up_to, fitted, room, unmade_id
from ipam.entrypoints.cn_cidr.get_cn_cidr import MAX_POOL_NAME, GetCnCidr
from ipam.entrypoints.cn_cidr.order import MAX_SUBNETS
from ipam.entrypoints.events import MAX_PHYSICAL_ID, parse
from ipam.entrypoints.explanations import MAX_EXPLANATION, OTHERWISE, WHY, explanation
from ipam.entrypoints.reasons import MAX_REASON
from ipam.services.allocate import PASSED_OVER_KEPT
from tests.unit.entrypoints.stage import ACCOUNT, PLACE, Stage, allocation_id, at, event, readdressed

if TYPE_CHECKING:
    from ipam.domain.cidr import Family
    from ipam.entrypoints.events import Request

LONGEST = {
    "StackId": f"arn:aws-us-gov:cloudformation:us-gov-central-1:111111111111:stack/{'n' * 128}/{'g' * 64}",
    "LogicalResourceId": "L" * 255,
    "RequestId": "r" * 128,
}
FAR = dataclasses.replace(PLACE, region="us-gov-central-1", partition="aws-us-gov")
FAR_HOST = "cloudformation-custom-resource-response-usgovcentral1.s3.us-gov-central-1.amazonaws.com"

LAST: dict[Family, Cidr] = {4: Cidr.parse("255.255.255.0/24"), 6: Cidr.parse(f"{'ffff:' * 7}ff00/120")}
"""The block whose subnets take the most characters to write."""


def longest_request() -> Request:
    """A Create with the longest names that CloudFormation can send."""
    return parse(readdressed(event("create"), host=FAR_HOST, **LONGEST), FAR, at(9))


def answered(request: Request, grant: Grant, subnets: list[int], name: str = "") -> Answer:
    """What a request is answered with that got a grant, from a pool of that name."""
    stage = Stage()
    edited = {pool_id: pool for pool_id, pool in stage.desk.store.plan().pools.items() if pool_id == grant.pool_id}
    plan = stage.desk.store.plan()
    plan.pools |= {pool_id: dataclasses.replace(pool, name=name or pool.name) for pool_id, pool in edited.items()}
    stage.desk.ports.memory.see_plan(stage.clock.now(), plan)
    return GetCnCidr(stage.desk.ports, ACCOUNT, stage.desk.deadline)._answer(request, "allocated", grant, subnets)


def grant_of(block: Cidr, **facts: object) -> Grant:
    """A grant from the pool of the stage."""
    pool_id = Stage().vpcs.pool_id
    grant = Grant(allocation_id(1), ("a",), pool_id, block, at(8), at(8), by_create=True)
    return dataclasses.replace(grant, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["vpcs", "n" * 255, '"' * 255, "\U0001f600" * 255], ids=["short", "long", "quotes", "emoji"]
)
@pytest.mark.parametrize("family", [4, 6])
def test_the_longest_answer_fits(family: Family, name: str) -> None:
    """With the longest names, all subnets that are allowed and much to explain, an answer is below 4096 bytes."""
    block = LAST[family]
    longest = WIDTHS[family]
    subnets = [longest - 1] * (MAX_SUBNETS[family] // 2) + [longest] * (MAX_SUBNETS[family] // 2)
    assert len(pack(block, subnets)) == MAX_SUBNETS[family]
    passed_over = ((name, "UnknownAccount"),) * PASSED_OVER_KEPT
    grant = grant_of(block, preview=True, expires=at(9), passed_over=passed_over)
    answer = answered(longest_request(), grant, subnets, name)
    assert len(encode(longest_request(), answer)) <= MAX_BODY
    assert answer.data["PreviewToken"] and answer.data["ExpiresAt"]
    # Even so there is room for the pool's name, and for where the block is from.
    assert answer.data["IpamPoolName"] == name or len(name.encode()) >= MAX_POOL_NAME
    assert answer.data["Explanation"].startswith("From pool ")


def test_an_ordinary_answer_explains_all() -> None:
    """Where names are short nothing is cut off, whatever was passed over."""
    passed_over = tuple((f"pool-{number}", why) for number, why in zip(range(PASSED_OVER_KEPT), WHY, strict=False))
    request = parse(event("create"), PLACE, at(9))
    answer = answered(request, grant_of(LAST[4], passed_over=passed_over), [28] * 8)
    assert answer.data["Explanation"] == explanation("vpcs", passed_over)
    assert answer.data["Explanation"].endswith(".")


def test_what_is_left_out_is_empty() -> None:
    """A reference to an attribute resolves though there is no lease, no preview and no subnet."""
    answer = answered(parse(event("create"), PLACE, at(9)), grant_of(LAST[4]), [])
    assert {name for name, value in answer.data.items() if not value} == {"PreviewToken", "ExpiresAt", "SubnetCidrs"}


def test_a_pool_that_is_gone_has_its_id_for_a_name() -> None:
    """An administrator may delete a pool with all that it has while a request is being answered."""
    gone = grant_of(LAST[4], pool_id="ipam-pool-0123456789abcdef0")
    answer = answered(parse(event("create"), PLACE, at(9)), gone, [])
    assert answer.data["IpamPoolName"] == "ipam-pool-0123456789abcdef0"


def test_an_explanation_is_one_sentence() -> None:
    """From which pool, and what each of the pools before it did."""
    assert explanation("c", ()) == 'From pool "c".'
    assert explanation("c", [("a", "PoolExhausted")]) == 'From pool "c", because "a" has no room.'
    several = [("a", "PoolExhausted"), ("b", "PoolNotShared"), ("d", "SomethingNew")]
    assert explanation("c", several) == (
        f'From pool "c", because "a" has no room, "b" is not shared with the account and "d" {OTHERWISE}.'
    )


def test_an_explanation_is_short_and_on_one_line() -> None:
    """With the longest names, and with what a name should not have in it."""
    said = explanation("n" * 255, [("a\nb\u202e" * 90, "UnknownAccount")] * PASSED_OVER_KEPT)
    assert len(said) <= MAX_EXPLANATION
    assert said.isprintable()


def test_every_refusal_of_a_pool_has_words() -> None:
    """A refusal that names its pool is one after which another pool is tried."""
    kinds = {
        refusal_name(kind.__new__(kind))
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.PermanentError) and "pool" in kind.__annotations__
    }
    assert kinds | {"UnknownAccount", "VpcIpamRefused"} == WHY.keys()


@given(st.text(), st.integers(0, 40))
def test_a_text_is_cut_to_its_bytes(text: str, size: int) -> None:
    """What is kept is a beginning of it, fits, and is as long as can be; only an ellipsis says that there was more."""
    text = text.encode(errors="ignore").decode()
    kept = fitted(text, size)

    def written(said: str) -> int:
        return len(json.dumps(said, ensure_ascii=False).encode()) - 2

    assert written(kept) <= size
    if kept != text:
        assert text.startswith(kept.removesuffix("…")) and (kept.endswith("…") or not kept)
        more = text[: len(kept.removesuffix("…")) + 1]
        assert written(text) > size and written(f"{more}…") > size


def test_the_room_that_is_left_is_used_to_the_last_byte() -> None:
    """An attribute that is as long as there is room for makes an answer of exactly what CloudFormation reads."""
    request = parse(event("create"), PLACE, at(8))
    answer = Answer("allocated", "x", data={"Cidr": "10.0.0.0/24", "Explanation": ""})
    full = dataclasses.replace(answer, data={"Cidr": "10.0.0.0/24", "Explanation": "x" * room(request, answer)})
    assert len(encode(request, full)) == MAX_BODY


def test_the_longest_refusal_fits() -> None:
    """A Reason of characters of four bytes, and an id of a whole kilobyte, fit as well."""
    delete = event("delete", PhysicalResourceId="p" * MAX_PHYSICAL_ID)
    request = parse(readdressed(delete, host=FAR_HOST, **LONGEST), FAR, at(11))
    body = encode(request, Answer("refused", request.physical_resource_id, "\U0001f600" * MAX_REASON))
    assert len(body) < MAX_BODY


def test_an_answer_that_is_too_long_is_a_fault() -> None:
    """It is noticed here and not by CloudFormation, which would wait for another one."""
    request = parse(event("create"), PLACE, at(8))
    with pytest.raises(AssertionError):
        encode(request, Answer("allocated", "x", data={"Cidr": "x" * MAX_BODY}))


def test_a_failed_creates_id_is_stable_and_its_own() -> None:
    """The same resource gets the same id in every delivery, another resource another one, and none is an allocation."""
    one = parse(event("create"), PLACE, at(8))
    other = parse(event("create_other_account"), PLACE, at(8))
    assert unmade_id("not-allocated", one) == unmade_id("not-allocated", dataclasses.replace(one, request_id="r"))
    assert unmade_id("not-allocated", one) != unmade_id("not-allocated", other)


def test_the_delete_of_a_failed_create_is_as_old_as_that() -> None:
    """Its id says when the Create was made; of any other id, and of a time that is yet to come, nothing is believed."""
    create = parse(event("bad_mask"), PLACE, at(8))
    url = dataclasses.replace(create.response_url, signed=None)
    ids = {
        unmade_id("not-allocated", create): at(8),
        unmade_id("not-allocated", dataclasses.replace(create, response_url=url)): at(9),
        unmade_id("not-allocated", parse(event("create_other_account"), PLACE, at(8))): at(9),
        f"{unmade_id('not-allocated', create)}0": at(9),
        "network-GetCnCIDR-1ABCDEFGHIJKL": at(9),
    }
    for physical_id, ends in ids.items():
        sent = event("delete_failed_create", PhysicalResourceId=physical_id)
        sent["ResponseURL"] = sent["ResponseURL"].replace("T080005Z", "T090000Z")
        delete = parse(sent, PLACE, at(9))
        assert ends_up_to(delete) == ends, physical_id
        assert ended(delete, "unverified-delete") == ("unverified-delete" if ends == at(9) else "nothing-to-release")
        assert ended(delete, "released") == "released"
