"""The protocol of custom resources, the same for every type: check, dispatch, answer, deliver, write one line.

    event -> genuine? -> handled -> answer -> delivered -> line
              |            |                     |
              |            |                     +-- not taken: raised, so that Lambda delivers the event again
              |            +-- not now, or our fault: raised as well; at the last attempt FAILED, but never for a Delete
              |            +-- waits for an administrator: neither answered nor raised; it is stored, and comes again
              +-- no: nothing is done, nobody is told

What was forged, or reached for what is another's, is written down at the very end (`ipam.services.attempts`), if it can
be: that changes nothing of what was decided.

Lambda delivers an event again about one and three minutes after the first time (developer guide, "Error handling for
asynchronous invocation"); so it does with one that was put aside and is sent on its way again. Every handler gives the
same answer however often it is asked, so nothing is remembered here from one event to the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from ipam.domain.errors import (
    ApprovalPendingError,
    InUseError,
    IpamError,
    NetworkInUseError,
    PermanentError,
    TemporaryError,
)
from ipam.entrypoints.answers import Answer, Outcome, encode, unmade_id
from ipam.entrypoints.attempts import attempt_of, unrecorded
from ipam.entrypoints.custom_resource import Handlers, dispatch
from ipam.entrypoints.deadlines import LambdaDeadline
from ipam.entrypoints.errors import (
    BEYOND_ONES_OWN,
    NotGenuineError,
    UnansweredError,
    UndeliveredError,
    UnservedTypeError,
)
from ipam.entrypoints.events import claims, parse, unwrap
from ipam.entrypoints.logs import trace, write_line
from ipam.entrypoints.reasons import MASK, internal_error, reason
from ipam.entrypoints.response_url import Place
from ipam.services.ports.outside import NoHappenings, NoNetworks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.logging import Logger

    from ipam.domain.attempt import Attempt
    from ipam.entrypoints.delivery import Deliver
    from ipam.entrypoints.events import Request
    from ipam.services.ports import Clock, Deadline
    from ipam.services.ports.outside import Happenings, Networks
    from ipam.settings import Settings

LAST_ATTEMPT: Final = 150_000
"""Milliseconds after its signature, or after it was sent on its way again, at which a request is being delivered for
the last time: attempts start at about 0, 60 and 180 s. A request that has waited in Lambda's queue looks like one; it
fails early, which is safe."""

IN_USE: Final = (InUseError, NetworkInUseError)
"""Refusals that a Delete is told: everything else is answered with SUCCESS, or again later."""

ALIAS: Final = 7
"""Where a function's ARN has the alias, counted in colons."""

TENANT_ALIAS: Final = "tenant-"
"""How the name of an alias begins that is for one account alone; the account follows."""

TENANT: Final = re.compile(rf"{TENANT_ALIAS}([0-9]{{12}})")
"""Such an alias, with its account."""

LAMBDA_PARTITION: Final = 1
"""Where an ARN has its partition, counted in colons."""


class Context(Protocol):
    """What is used of Lambda's context."""

    @property
    def aws_request_id(self) -> str:
        """Lambda's name for the event."""
        ...

    @property
    def invoked_function_arn(self) -> str:
        """ARN by which the function was called, with the alias."""
        ...

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        ...


class NoteAttempt(Protocol):
    """How an attempt is written down."""

    def __call__(self, attempt: Attempt, deadline: Deadline) -> None:
        """Write it down, while there is time for that."""
        ...


class Resource(Handlers[Answer], Protocol):
    """A resource type, for one request."""

    def failed_id(self, request: Request) -> str:
        """Give the physical id that a FAILED carries: stable, and that of nothing that exists unless it is the old."""
        ...


class MakeResource(Protocol):
    """How a resource type is made ready for one request."""

    def __call__(self, account: str, deadline: Deadline) -> Resource:
        """Serve an account within a time."""
        ...


@dataclass
class Provider:
    """Serves resource types; one for the life of a process, and without a memory of events.

    Attributes:
        settings: the Region, and where answers may go.
        resources: the types by their names.
        clock: time.
        deliver: the way out.
        logger: for one line an event.
        note_attempt: for what was tried; it may fail.
        secret_properties: properties whose values must not appear anywhere.
        happenings: where the handlers tell what happens; what was not taken is told in the log.
        networks: where they ask what still uses an address; why nobody could be asked is told in the log.
        mask_property: what the types call the property with the netmask length.
    """

    settings: Settings
    resources: Mapping[str, MakeResource]
    clock: Clock
    deliver: Deliver
    logger: Logger
    note_attempt: NoteAttempt
    secret_properties: tuple[str, ...] = ()
    happenings: Happenings = field(default_factory=NoHappenings)
    networks: Networks = field(default_factory=NoNetworks)
    mask_property: str = MASK
    _cold: bool = field(default=True, init=False)

    def handle(self, event: object, context: Context) -> None:
        """Serve an event.

        Raises:
            UndeliveredError: the answer was not taken; what was done stays done, and is found again.
            UnansweredError: it cannot be served now.
        """
        line: dict[str, object] = {"cold_start": self._cold, "aws_request_id": context.aws_request_id}
        self._cold = False
        deadline = LambdaDeadline(context.get_remaining_time_in_millis)
        started = self.clock.now()
        outcome = "retried"
        try:
            outcome = self._serve(event, context, deadline, line)
        except UndeliveredError as undelivered:
            outcome = "undelivered"
            line["cause"] = str(undelivered)
            raise
        finally:
            line["attempt_unrecorded"] = self._record(outcome, context, line, deadline)
            line["happenings_untold"] = self.happenings.untold() or ""
            line["use_unchecked"] = self.networks.unasked()
            line["duration_ms"] = self.clock.now() - started
            write_line(self.logger, outcome, line)

    def _record(self, outcome: str, context: Context, line: Mapping[str, object], deadline: Deadline) -> str:
        """Write an attempt down, if the event was one; say why that could not be done, or ""."""
        account = proven_account(context.invoked_function_arn)
        attempt = attempt_of(outcome, line, account, self.clock.now())
        return "" if attempt is None else unrecorded(lambda: self.note_attempt(attempt, deadline))

    def _serve(self, event: object, context: Context, deadline: Deadline, line: dict[str, object]) -> str:
        """Check, handle and answer; note for the log what became known on the way."""
        try:
            event = unwrap(event)
            request = parse(event, self._place(context), self.clock.now())
            check_alias(request, context.invoked_function_arn)
        except NotGenuineError as forged:
            line.update(claims(event), reason=forged.why)
            return "forged"
        line.update(_known(request))
        try:
            answer = self._answer(request, context, deadline, line)
        except ApprovalPendingError as pending:
            # Stored with the event: to answer would end the wait, and to raise would have Lambda try in vain.
            line.update(approval_id=pending.approval_id, until=pending.until, reason=reason(pending))
            return "waiting"
        line.update(answer.facts, physical_resource_id=answer.physical_resource_id, reason=answer.reason)
        line["answer"] = answer.outcome
        self.deliver(request.response_url, encode(request, answer), context.get_remaining_time_in_millis)
        return answer.outcome if answer.afterwards is None else self._afterwards(answer.afterwards, request, line)

    def _afterwards(self, work: Callable[[], Outcome], request: Request, line: dict[str, object]) -> str:
        """Do what had to wait for the answer to be taken.

        Raises:
            UnansweredError: it could not be done now; the event is to be delivered again, and answered again.
        """
        try:
            return work()
        except Exception as fault:  # noqa: BLE001 - told in the log, and to Lambda
            if not isinstance(fault, IpamError):
                line["exception"] = trace(fault, self._secrets(request))
            line["cause"] = reason(fault) if isinstance(fault, IpamError) else type(fault).__name__
            raise UnansweredError(type(fault).__name__) from None

    def _place(self, context: Context) -> Place:
        """Tell where the function runs."""
        partition = context.invoked_function_arn.split(":")[LAMBDA_PARTITION]
        return Place(self.settings.region, partition, self.settings.response_endpoint)

    def _answer(self, request: Request, context: Context, deadline: Deadline, line: dict[str, object]) -> Answer:
        """Have a request handled, and make an answer of what is refused.

        Raises:
            ApprovalPendingError: it waits for an administrator, and is to be answered when that has decided.
            UnansweredError: it is to be delivered again.
        """
        make = self.resources.get(request.resource_type)
        resource = _Unserved(tuple(self.resources)) if make is None else make(request.account, deadline)
        try:
            return dispatch(request, context, resource)
        except ApprovalPendingError:
            raise
        except PermanentError as refusal:
            # What a subnet pool divides or a network has is in use, whatever the stack says: that Delete has to fail.
            if request.request_type != "Delete" or isinstance(refusal, IN_USE):
                outcome: Outcome = "denied" if isinstance(refusal, BEYOND_ONES_OWN) else "refused"
                return Answer(outcome, resource.failed_id(request), reason(refusal, self.mask_property))
            fault: Exception = refusal
        except TemporaryError as later:
            if self._is_last(request):
                return Answer("failed", resource.failed_id(request), reason(later, self.mask_property))
            fault = later
        except Exception as unknown:  # noqa: BLE001 - told in the log, and to Lambda or CloudFormation
            line["exception"] = trace(unknown, self._secrets(request))
            if self._is_last(request):
                return Answer("failed", resource.failed_id(request), internal_error(context.aws_request_id))
            fault = unknown
        line["cause"] = reason(fault) if isinstance(fault, IpamError) else type(fault).__name__
        raise UnansweredError(type(fault).__name__)

    def _is_last(self, request: Request) -> bool:
        """Whether nobody would try again after this attempt, and FAILED may be said.

        It never may for a Delete: that wedges the stack, and a dead-letter queue keeps the event. Elsewhere it is safe
        even if the change was committed without our learning of it: what a failed resource holds is released by the
        Delete or the rollback that follows.
        """
        age = self.clock.now() - max(request.requested, request.redelivered)
        return request.request_type != "Delete" and request.response_url.signed is not None and age >= LAST_ATTEMPT

    def _secrets(self, request: Request) -> list[str]:
        """Collect what must not be shown."""
        values: list[Any] = [
            properties.get(name)
            for properties in (request.properties, request.old_properties)
            for name in self.secret_properties
        ]
        return [*request.response_url.secrets(), *(value for value in values if isinstance(value, str))]


class _Unserved:
    """Stands in for a type that this function does not serve: nothing is made, so nothing is to be ended."""

    def __init__(self, served: tuple[str, ...]) -> None:
        self._served = served

    def create(self, request: Request) -> Answer:
        raise UnservedTypeError(request.resource_type, self._served)

    def update(self, request: Request) -> Answer:
        raise UnservedTypeError(request.resource_type, self._served)

    def delete(self, request: Request) -> Answer:
        return Answer("nothing-to-release", request.physical_resource_id)

    def failed_id(self, request: Request) -> str:
        return request.physical_resource_id or unmade_id("not-served", request)


def check_alias(request: Request, invoked: str) -> None:
    """Compare the stack's account with the alias that was invoked, where that alias is for one account alone.

    An alias `tenant-<account>` has a resource policy that lets in that account only, so it proves who invoked. What was
    put aside has been through here once; it comes again by an alias that is for no account.

    Raises:
        NotGenuineError: the stack is in another account.
    """
    alias = invoked.split(":")[ALIAS:]
    if alias and alias[0].startswith(TENANT_ALIAS) and alias[0] != TENANT_ALIAS + request.account:
        raise NotGenuineError("the stack is in another account than the alias is for")


def proven_account(invoked: str) -> str:
    """Tell the account that an event came from, as the alias that was invoked proves it; "" if that is for none."""
    found = TENANT.fullmatch(":".join(invoked.split(":")[ALIAS:]))
    return found[1] if found else ""


def _known(request: Request) -> dict[str, object]:
    """Tell what the log says of every request."""
    return {
        "request_type": request.request_type,
        "resource_type": request.resource_type,
        "stack_id": request.stack_id,
        "logical_resource_id": request.logical_resource_id,
        "request_id": request.request_id,
        "physical_resource_id": request.physical_resource_id,
        "account": request.account,
    }
