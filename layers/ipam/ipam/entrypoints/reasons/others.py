"""Of others than the request and the pool: who may order, what administrators say, and what does not answer now."""

from __future__ import annotations

from ipam.domain.errors import (
    ApprovalPendingError,
    ContendedError,
    DeniedError,
    NoSuchApprovalError,
    NoSuchTenantError,
    OutOfTimeError,
    PoolNotSharedError,
    QuotaExceededError,
    RotationUnfinishedError,
    ServiceRefusedError,
    ServiceUnavailableError,
    StoreUnavailableError,
    UnknownAccountError,
    VpcIpamRefusedError,
)
from ipam.entrypoints.errors import WrongKeyError
from ipam.entrypoints.properties import shown
from ipam.entrypoints.reasons.words import bare, say, time_of


@say.register(WrongKeyError)
def _(error: WrongKeyError) -> str:
    return (
        f"Authorizationkey is not the key of account {error.account}. Ask the network team for the account's current "
        "key and pass it in a NoEcho parameter."
    )


@say.register(NoSuchTenantError)
def _(error: NoSuchTenantError) -> str:
    return (
        f"Account {bare(error.account)} may not order addresses. Ask the network team to let it in "
        "(`ipam tenant add`), and deploy again."
    )


@say.register(RotationUnfinishedError)
def _(error: RotationUnfinishedError) -> str:
    return (
        f"Account {bare(error.account)} was given another key lately, and the one before is good until "
        f"{time_of(error.until)}: a rotation now would end it. Wait, or end all others at once (`--no-grace`)."
    )


@say.register(PoolNotSharedError)
def _(error: PoolNotSharedError) -> str:
    return (
        f"Pool {shown(error.pool)} is not shared with account {bare(error.account)}. "
        "Name another pool, or ask the network team to share it with the account."
    )


@say.register(UnknownAccountError)
def _(error: UnknownAccountError) -> str:
    return (
        f"The organisation has no account {bare(error.account)}, and the pool is shared with parts of it only. "
        "Name another pool, or ask the network team to share it with the account itself."
    )


@say.register(QuotaExceededError)
def _(error: QuotaExceededError) -> str:
    what = "address units" if error.what == "units" else error.what
    return (
        f"Account {bare(error.account)} would exceed its quota of {error.limit} {what} in pool {shown(error.pool)}. "
        "Give back what is not needed, or ask the network team for more."
    )


@say.register(ApprovalPendingError)
def _(error: ApprovalPendingError) -> str:
    return (
        f"A /{error.asked} of pool {shown(error.pool)} waits for approval until {time_of(error.until)}. "
        f"Ask the network team to decide with `ipam approve {bare(error.approval_id, 60)}`."
    )


@say.register(DeniedError)
def _(error: DeniedError) -> str:
    pool = shown(error.pool)
    if not error.waits:
        return (
            f"A /{error.asked} of pool {pool} needs an administrator's approval, and this request has no time to wait "
            "for one. Raise ServiceTimeout to 3600, or ask for a smaller block."
        )
    if not error.by:
        return (
            f"A /{error.asked} of pool {pool} needs an administrator's approval, and none was given in time. "
            "Ask for a smaller block, or agree on it with the network team and deploy again."
        )
    note = f", saying {shown(error.note)}" if error.note else ""
    return f"{bare(error.by)} has refused a /{error.asked} of pool {pool}{note}. Ask for a smaller block."


@say.register(NoSuchApprovalError)
def _(error: NoSuchApprovalError) -> str:
    if error.why == "unknown":
        return f"There is no request {shown(error.approval_id)} to decide. `ipam approve` lists those that wait."
    if error.why == "too late":
        return f"{bare(error.approval_id, 60)} waited too long; its stack is told. Ask the requester to deploy again."
    return f"{bare(error.approval_id, 60)} is {bare(error.why)} already. Ask the requester to deploy again."


@say.register(VpcIpamRefusedError)
def _(error: VpcIpamRefusedError) -> str:
    return (
        f"Amazon VPC IPAM refuses what is asked of its pool {bare(error.vpc_ipam_pool_id)}: "
        f"{bare(error.message, 70)} ({bare(error.code)}). Ask the network team."
    )


@say.register(ServiceRefusedError)
def _(error: ServiceRefusedError) -> str:
    return f"{bare(error.service)} refuses {bare(error.what)} ({bare(error.code)}). Ask the network team."


@say.register(ServiceUnavailableError)
def _(error: ServiceUnavailableError) -> str:
    return (
        f"{bare(error.service)} did not answer ({bare(error.code)}). It is safe to retry: deploy again in some minutes."
    )


@say.register(StoreUnavailableError)
def _(error: StoreUnavailableError) -> str:
    return f"The address store did not answer ({bare(error.code)}). It is safe to retry: deploy again in some minutes."


@say.register(ContendedError)
def _(error: ContendedError) -> str:
    return (
        f"Too many requests at once for {shown(error.pool)} ({error.attempts} attempts). "
        "It is safe to retry: deploy again."
    )


@say.register(OutOfTimeError)
def _(_error: OutOfTimeError) -> str:
    return "There was no time left to make a change that could still be answered. It is safe to retry: deploy again."
