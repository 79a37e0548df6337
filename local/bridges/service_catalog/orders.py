"""Orders: a product becomes a stack in the account that orders it, and each request leaves a record.

A record's state is read off the stack whenever somebody asks, so nothing has to watch it. How the service fails is not
all documented: here what is wrong with the request itself is refused at once, and what turns out at the launch (the
role, a constraint, the stack) is the error of a record.
"""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any, Final

from ministack.core.responses import get_account_id, get_region
from ministack.services import iam
from ministack.services.cloudformation import _stack_events, _stacks, engine, handlers

from local.bridges.service_catalog.catalog import Catalog, CatalogError, invalid, missing, new_id, now

if TYPE_CHECKING:
    Record = dict[str, Any]

_SERVICE: Final = "servicecatalog.amazonaws.com"
_CAPABILITIES: Final = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
_STACK_OUTPUT: Final = {
    "OutputKey": "CloudformationStackARN",
    "Description": "The ARN of the launched Cloudformation Stack",
}
_TYPE: Final = "CFN_STACK"
# What an update changes only when it succeeds.
_LAUNCHED: Final = ("PathId", "ProvisioningArtifactId", "LaunchRoleArn")

# What the state that a stack comes to rest in makes of the record and of the provisioned product; any other: _ERROR.
_ENDS: Final = {
    "PROVISION_PRODUCT": {"CREATE_COMPLETE": ("SUCCEEDED", "AVAILABLE")},
    "UPDATE_PROVISIONED_PRODUCT": {
        "UPDATE_COMPLETE": ("SUCCEEDED", "AVAILABLE"),
        "UPDATE_ROLLBACK_COMPLETE": ("FAILED", "TAINTED"),
    },
    "TERMINATE_PROVISIONED_PRODUCT": {"DELETE_COMPLETE": ("SUCCEEDED", "")},
}
_ERROR: Final = ("FAILED", "ERROR")


class LaunchError(Exception):
    """An order that failed when it was launched: what its record says."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.error = {"Code": code, "Description": description}


class Orders:
    """What is ordered, changed and given back."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    # ------------------------------------------------------------------------------------------------------- requests

    def provision(self, given: Record) -> Record:
        """Order a product."""
        catalog, name = self._catalog, given["ProvisionedProductName"]
        product = catalog.offered(given)
        path, artifact = catalog.path(product, given), catalog.artifact(product, given)
        if any(each["Name"] == name for each in self.mine()):
            raise CatalogError("DuplicateResourceException", f"A provisioned product named {name} already exists.")
        tags = _choose(catalog.tag_options(path, product["ProductId"]), given.get("Tags") or [])
        identifier = new_id("pp")
        account = get_account_id()
        order = {
            "Id": identifier,
            "Arn": f"arn:aws:servicecatalog:{get_region()}:{account}:stack/{name}/{identifier}",
            "Name": name,
            "Account": account,
            "Region": get_region(),
            "CreatedTime": now(),
            "ProductId": product["ProductId"],
            "StackName": f"SC-{account}-{identifier}",
            "StackId": "",
            "Tags": tags,
        }
        catalog.state["provisioned"][identifier] = order
        parameters = [{"ParameterKey": each["Key"], "ParameterValue": each["Value"]} for each in _parameters(given)]
        return self._launch("PROVISION_PRODUCT", order, (product, path, artifact), parameters)

    def update(self, given: Record) -> Record:
        """Change what was ordered: its parameters, its version, or both."""
        catalog, order = self._catalog, self._ready(given)
        product = catalog.offered({"ProductId": order["ProductId"]})
        if not order["StackId"]:
            raise invalid(f"Provisioned product {order['Id']} has no stack: terminate it.")
        if given.get("ProductId", order["ProductId"]) != order["ProductId"]:
            raise invalid("The local twin does not change a provisioned product to another product")
        if not given.get("ProvisioningArtifactId") and not given.get("ProvisioningArtifactName"):
            given = given | {"ProvisioningArtifactId": order["ProvisioningArtifactId"]}
        path = catalog.path(product, given if _names_path(given) else {"PathId": order["PathId"]})
        artifact = catalog.artifact(product, given)
        if "Tags" in given:
            order["Tags"] = _choose(catalog.tag_options(path, product["ProductId"]), given["Tags"])
        parameters = [
            {"ParameterKey": each["Key"], "UsePreviousValue": "true"}
            if each.get("UsePreviousValue")
            else {"ParameterKey": each["Key"], "ParameterValue": each.get("Value", "")}
            for each in _parameters(given)
        ]
        return self._launch("UPDATE_PROVISIONED_PRODUCT", order, (product, path, artifact), parameters)

    def terminate(self, given: Record) -> Record:
        """Give back what was ordered."""
        for name in ("IgnoreErrors", "RetainPhysicalResources"):
            if given.get(name):
                raise invalid(f"The local twin does not know {name}: true")
        order = self._ready(given)
        record = self._record("TERMINATE_PROVISIONED_PRODUCT", order, order)
        if order["StackId"]:
            try:
                _check_role(order["LaunchRoleArn"])
                _accepted(handlers._delete_stack({"StackName": order["StackId"]}))  # noqa: SLF001
            except LaunchError as error:
                self._end(record, order, _ERROR, [error.error])
        else:
            self._end(record, order, ("SUCCEEDED", ""), [])
        return record

    def _ready(self, given: Record) -> Record:
        order = self.find(given.get("ProvisionedProductId"), given.get("ProvisionedProductName"))
        if order["Status"] == "UNDER_CHANGE":
            raise invalid(f"Provisioned product {order['Id']} is under change.")
        return order

    def _launch(
        self, kind: str, order: Record, offer: tuple[Record, Record, Record], parameters: list[dict[str, str]]
    ) -> Record:
        product, path, artifact = offer
        constraints = self._catalog.constraints(path["Id"], product["ProductId"])
        launched = {"PathId": path["Id"], "ProvisioningArtifactId": artifact["Id"], "LaunchRoleArn": _role(constraints)}
        update = kind != "PROVISION_PRODUCT"
        if not update:
            order |= launched
        record = self._record(kind, order, launched)
        try:
            _check_role(launched["LaunchRoleArn"])
            request = _request(order, _with_rules(artifact["Template"], constraints), parameters)
            if update:
                _accepted(handlers._update_stack(request))  # noqa: SLF001
            else:
                _accepted(handlers._create_stack(request))  # noqa: SLF001
                order["StackId"] = _stacks[order["StackName"]]["StackId"]
        except LaunchError as error:
            self._end(record, order, ("FAILED", "TAINTED") if update else _ERROR, [error.error])
        return record

    # -------------------------------------------------------------------------------------------------------- records

    def _record(self, kind: str, order: Record, launched: Record) -> Record:
        record = {
            **{name: launched[name] for name in _LAUNCHED},
            "RecordId": new_id("rec"),
            "RecordType": kind,
            "ProvisionedProductType": _TYPE,
            "ProvisionedProductName": order["Name"],
            "ProvisionedProductId": order["Id"],
            "ProductId": order["ProductId"],
            "Status": "CREATED",
            "RecordErrors": [],
            "RecordTags": order["Tags"],
            "RecordOutputs": [],
            "CreatedTime": now(),
            "UpdatedTime": now(),
            "Account": order["Account"],
            "Region": order["Region"],
        }
        self._catalog.state["records"][record["RecordId"]] = record
        order |= {"Status": "UNDER_CHANGE", "StatusMessage": "", "LastRecordId": record["RecordId"]}
        if kind != "TERMINATE_PROVISIONED_PRODUCT":
            order["LastProvisioningRecordId"] = record["RecordId"]
        return record

    def record(self, identifier: str) -> Record:
        """Give a record as it is now."""
        record = self._catalog.own("records", "Record", identifier)
        order = self._catalog.state["provisioned"].get(record["ProvisionedProductId"])
        if order is not None and order["LastRecordId"] == identifier:
            self._settle(order)
        return record

    def _settle(self, order: Record) -> None:
        """Bring a provisioned product and its last record to where its stack is."""
        record = self._catalog.state["records"][order["LastRecordId"]]
        if record["Status"] not in {"CREATED", "IN_PROGRESS", "IN_PROGRESS_IN_ERROR"}:
            return
        stack = _stacks[order["StackName"]]
        status, kind = str(stack["StackStatus"]), record["RecordType"]
        # A deletion that was asked for has not begun while the stack still shows what it was before.
        if kind == "TERMINATE_PROVISIONED_PRODUCT" and not status.startswith("DELETE_"):
            return
        if status.endswith("_IN_PROGRESS"):
            record["Status"] = "IN_PROGRESS_IN_ERROR" if "ROLLBACK" in status else "IN_PROGRESS"
            return
        end = _ENDS[kind].get(status, _ERROR)
        errors = [] if end[0] == "SUCCEEDED" else [{"Code": status, "Description": _reasons(stack)}]
        self._end(record, order, end, errors)

    def _end(self, record: Record, order: Record, end: tuple[str, str], errors: list[dict[str, str]]) -> None:
        outcome, state = end
        order["Status"], order["StatusMessage"] = state, "; ".join(error["Description"] for error in errors)
        record |= {"Status": outcome, "RecordErrors": errors, "UpdatedTime": now()}
        if not state:
            del self._catalog.state["provisioned"][order["Id"]]
            return
        record["RecordOutputs"] = outputs(order)
        if outcome == "SUCCEEDED":
            order["LastSuccessfulProvisioningRecordId"] = record["RecordId"]
            order |= {name: record[name] for name in _LAUNCHED}

    # ------------------------------------------------------------------------------------------------------- answers

    def mine(self) -> list[Record]:
        """Give what the caller's account has ordered in this Region, as it is now."""
        orders = self._catalog.state["provisioned"]
        own = [
            each for each in orders.values() if (each["Account"], each["Region"]) == (get_account_id(), get_region())
        ]
        for order in own:
            self._settle(order)
        return [order for order in own if order["Id"] in orders]

    def find(self, identifier: str | None, name: str | None) -> Record:
        """Find a provisioned product of the caller's account by its id or its name."""
        for order in self.mine():
            if order["Id"] == identifier or (not identifier and order["Name"] == name):
                return order
        raise missing("Provisioned product", identifier or name)


def outputs(order: Record) -> list[dict[str, str]]:
    """Give the outputs of the stack, and the stack itself as one of them."""
    stack = _stacks.get(order["StackName"])
    if stack is None:
        return []
    shown = [
        {
            "OutputKey": each["OutputKey"],
            "OutputValue": each["OutputValue"],
            "Description": each.get("Description", ""),
        }
        for each in stack.get("Outputs", [])
    ]
    return [*shown, {**_STACK_OUTPUT, "OutputValue": order["StackId"]}]


def _names_path(given: Record) -> bool:
    return bool(given.get("PathId") or given.get("PathName"))


def _parameters(given: Record) -> list[Record]:
    return list(given.get("ProvisioningParameters") or [])


def _choose(offered: dict[str, list[str]], tags: list[dict[str, str]]) -> list[dict[str, str]]:
    """Join the caller's tags and the TagOptions: one value is taken, of several the caller names one."""
    chosen = {tag["Key"]: tag["Value"] for tag in tags}
    for key, values in offered.items():
        if len(values) == 1:
            chosen.setdefault(key, values[0])
        if chosen.get(key) not in values:
            raise invalid(f"Tag {key} must be one of the TagOptions: {', '.join(values)}.")
    return [{"Key": key, "Value": value} for key, value in chosen.items()]


def _role(constraints: list[Record]) -> str:
    for constraint in constraints:
        if constraint["Type"] == "LAUNCH":
            name = json.loads(constraint["Parameters"])["LocalRoleName"]
            return f"arn:aws:iam::{get_account_id()}:role/{name}"
    return ""


def _check_role(arn: str) -> None:
    """See that the launch role is there and trusts Service Catalog; without one, the caller's own rights count."""
    if not arn:
        return
    role = iam._roles.get(arn.rpartition("/")[2])  # noqa: SLF001
    trust = (role or {}).get("AssumeRolePolicyDocument") or "{}"
    document = trust if isinstance(trust, dict) else json.loads(trust)
    statements = document.get("Statement") or []
    for statement in statements if isinstance(statements, list) else [statements]:
        services = (statement.get("Principal") or {}).get("Service", [])
        if statement.get("Effect") == "Allow" and _SERVICE in ([services] if isinstance(services, str) else services):
            return
    raise LaunchError("AccessDenied", f"Access denied while assuming the role {arn}.")


def _with_rules(template: str, constraints: list[Record]) -> str:
    """Give the template with the rules of its template constraints, which CloudFormation then checks."""
    body = engine._parse_template(template)  # noqa: SLF001
    rules = dict(body.get("Rules") or {})
    for constraint in constraints:
        if constraint["Type"] == "TEMPLATE":
            for name, rule in json.loads(constraint["Parameters"])["Rules"].items():
                rules[name if name not in rules else f"{name}{len(rules)}"] = rule
    return json.dumps({**body, "Rules": rules} if rules else body, default=str)


def _request(order: Record, template: str, parameters: list[dict[str, str]]) -> dict[str, str]:
    """Give the arguments of CreateStack or UpdateStack as the query protocol writes them."""
    request = {"StackName": order["StackId"] or order["StackName"], "TemplateBody": template}
    request |= {f"Capabilities.member.{number}": name for number, name in enumerate(_CAPABILITIES, 1)}
    for prefix, members in (("Parameters", parameters), ("Tags", order["Tags"])):
        for number, member in enumerate(members, 1):
            request |= {f"{prefix}.member.{number}.{name}": str(value) for name, value in member.items()}
    return request


def _accepted(reply: tuple[int, Any, bytes | str]) -> None:
    """Go on only if CloudFormation took the request."""
    status, _, body = reply
    if status < 300:  # noqa: PLR2004
        return
    text = body.decode() if isinstance(body, bytes) else body
    found = {
        name: html.unescape(match.group(1))
        if (match := re.search(f"<{name}>(.*?)</{name}>", text, re.DOTALL))
        else text
        for name in ("Code", "Message")
    }
    raise LaunchError(found["Code"], found["Message"])


def _reasons(stack: Record) -> str:
    """Say what failed in a stack's last operation, the first failure first."""
    reasons: list[str] = []
    for event in reversed(_stack_events.get(stack["StackId"], [])):
        own = event["LogicalResourceId"] == stack["StackName"]
        if own and event["ResourceStatus"] in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}:
            break
        reason = event.get("ResourceStatusReason") or ""
        if event["ResourceStatus"].endswith("_FAILED") and not own and "cancelled" not in reason:
            reasons.append(f"{event['LogicalResourceId']}: {reason}")
    return "; ".join(reversed(reasons)) or str(stack.get("StackStatusReason") or stack["StackStatus"])
