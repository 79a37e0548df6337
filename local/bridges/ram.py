"""Resource shares of AWS RAM: which subnets an account lends to which others.

Gap: the emulator has no RAM. Restored: a share of subnets that are there and the account's own, with accounts of the
organisation only where external principals are not allowed; and the two calls that show it:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ram-resourceshare.html
https://docs.aws.amazon.com/ram/latest/APIReference/API_GetResourceShares.html
https://docs.aws.amazon.com/ram/latest/APIReference/API_GetResourceShareAssociations.html
https://docs.aws.amazon.com/vpc/latest/userguide/vpc-sharing.html
Not there: other resources than subnets, organisational units as principals, and the other side: a subnet does not show
in the account that it is shared with. Any other call is refused by its name.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from ministack import app
from ministack.core.responses import get_account_id, get_region
from ministack.services import ec2

from local.bridges import ec2_api
from local.bridges.resource_types import ResourceType, truth
from local.settings import Organization

if TYPE_CHECKING:
    from local.bridges.resource_types import Made, Properties
    from local.settings import BridgeSettings

    Record = dict[str, Any]
    Reply = tuple[int, dict[str, str], bytes]

_shares = ec2_api.kept("resource_shares")


class RamError(Exception):
    """A share that RAM refuses: its code and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} (Service: Ram, Status Code: 400, Error Code: {code})")
        self.code, self.message = code, message


# ------------------------------------------------------------------------------------------------- CloudFormation type


class _Shares:
    """The type, which has to know who belongs to the organisation."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization

    def create(self, props: Properties) -> Made:
        arn = f"arn:aws:ram:{get_region()}:{get_account_id()}:resource-share/{uuid.uuid4()}"
        return self.change(arn, {}, props)

    def change(self, arn: str, _old: Properties, new: Properties) -> Made:
        external = truth(new.get("AllowExternalPrincipals", True))
        principals, resources = list(new.get("Principals", [])), list(new.get("ResourceArns", []))
        for principal in principals:
            self._check_principal(principal, external=external)
        for resource in resources:
            _check_resource(resource)
        _shares[arn] = {
            "resourceShareArn": arn,
            "name": new.get("Name", ""),
            "owningAccountId": get_account_id(),
            "allowExternalPrincipals": external,
            "status": "ACTIVE",
            "tags": [{"key": each["Key"], "value": each["Value"]} for each in new.get("Tags", [])],
            "_associations": {"PRINCIPAL": principals, "RESOURCE": resources},
        }
        return arn, {"Arn": arn, "OwningAccountId": get_account_id(), "Status": "ACTIVE"}

    def _check_principal(self, principal: str, *, external: bool) -> None:
        if principal == get_account_id():
            raise RamError("InvalidParameterException", f"The account {principal} owns the resources already")
        if not external and principal not in self._organization.accounts:
            message = (
                f"The resource you are attempting to share can only be shared within your AWS Organization: {principal}"
            )
            raise RamError("OperationNotPermittedException", message)


def _check_resource(arn: str) -> None:
    prefix = f"arn:aws:ec2:{get_region()}:{get_account_id()}:subnet/"
    if not arn.startswith(prefix):
        raise RamError("MalformedArnException", f"The local twin shares the account's own subnets only: {arn}")
    if arn.removeprefix(prefix) not in ec2._subnets:  # noqa: SLF001
        raise RamError("UnknownResourceException", f"The resource {arn} could not be found")


def _delete(arn: str, _props: Properties) -> None:
    _shares.pop(arn, None)


# ------------------------------------------------------------------------------------------------------------ the calls


def _get_shares(request: Record) -> Record:
    if request.get("resourceOwner") != "SELF":
        raise RamError("InvalidParameterException", "The local twin shows an account its own shares (SELF) only")
    wanted = request.get("resourceShareArns")
    shares = [share for arn, share in _shares.items() if not wanted or arn in wanted]
    shown = [{name: value for name, value in share.items() if not name.startswith("_")} for share in shares]
    return {"resourceShares": shown}


def _get_associations(request: Record) -> Record:
    kind, wanted = request.get("associationType", ""), request.get("resourceShareArns")
    associations = [
        {
            "resourceShareArn": arn,
            "resourceShareName": share["name"],
            "associatedEntity": entity,
            "associationType": kind,
            "status": "ASSOCIATED",
            "external": False,
        }
        for arn, share in _shares.items()
        if not wanted or arn in wanted
        for entity in share["_associations"].get(kind, [])
    ]
    return {"resourceShareAssociations": associations}


_CALLS = {"/getresourceshares": _get_shares, "/getresourceshareassociations": _get_associations}


async def _handle(_method: str, path: str, _headers: Any, body: bytes, _query: Any) -> Reply:
    function = _CALLS.get(path.rstrip("/"))
    if function is None:
        return _refusal("InvalidParameterException", f"The local twin does not know the RAM call {path}")
    try:
        return 200, {"Content-Type": "application/json"}, json.dumps(function(json.loads(body or b"{}"))).encode()
    except RamError as error:
        return _refusal(error.code, error.message)


def _refusal(code: str, message: str) -> Reply:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return 400, headers, json.dumps({"message": message}).encode()


def register(settings: BridgeSettings) -> None:
    """Add the service and the type."""
    shares = _Shares(Organization.parse(settings.organization))
    changing = ("AllowExternalPrincipals", "Name", "Principals", "ResourceArns", "Tags")
    ResourceType("AWS::RAM::ResourceShare", shares.create, _delete, (), changing, shares.change).register()
    app.SERVICE_HANDLERS["ram"] = _handle
