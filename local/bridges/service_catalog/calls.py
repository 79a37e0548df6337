"""The API's calls: which there are, which parameters each takes, and how they answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ministack.core.responses import get_account_id
from ministack.services.cloudformation import engine

from local.bridges.service_catalog.catalog import CatalogError, invalid
from local.bridges.service_catalog.orders import outputs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from local.bridges.service_catalog.catalog import Catalog
    from local.bridges.service_catalog.orders import Orders

    Record = dict[str, Any]
    Call = Callable[[Record], Record]
    Reply = tuple[int, dict[str, str], bytes]

TARGET: Final = "AWS242ServiceCatalogService"
_JSON: Final = "application/x-amz-json-1.1"
# Every call takes these; what is described is English here, and everything fits one page.
_ALWAYS: Final = ("AcceptLanguage", "PageSize")
_TOKENS: Final = ("IdempotencyToken", "ProvisionToken", "UpdateToken", "TerminateToken")

_PORTFOLIO: Final = ("Id", "ARN", "DisplayName", "Description", "CreatedTime", "ProviderName")
_ARTIFACT: Final = ("Id", "Name", "Description", "Type", "CreatedTime", "Active", "Guidance")
_CONSTRAINT: Final = ("ConstraintId", "Type", "Description", "ProductId", "PortfolioId")
_OPTION: Final = ("Id", "Key", "Value", "Active")
_RECORD: Final = (
    "RecordId",
    "ProvisionedProductName",
    "Status",
    "CreatedTime",
    "UpdatedTime",
    "ProvisionedProductType",
    "RecordType",
    "ProvisionedProductId",
    "ProductId",
    "ProvisioningArtifactId",
    "PathId",
    "RecordErrors",
    "RecordTags",
    "LaunchRoleArn",
)
_ORDER: Final = (
    "Name",
    "Arn",
    "Id",
    "Status",
    "StatusMessage",
    "CreatedTime",
    "LastRecordId",
    "LastProvisioningRecordId",
    "LastSuccessfulProvisioningRecordId",
    "ProductId",
    "ProvisioningArtifactId",
    "LaunchRoleArn",
)


def handler(catalog: Catalog, orders: Orders) -> Callable[..., Awaitable[Reply]]:
    """Give what serves the API's requests."""
    calls = {**Administration(catalog).table, **Ordering(catalog, orders).table}

    async def serve(_method: str, _path: str, headers: dict[str, str], body: bytes, _query: Any) -> Reply:
        target = next((value for name, value in headers.items() if name.lower() == "x-amz-target"), "")
        name = target.rpartition(".")[2]
        try:
            answer = _answer(catalog, calls, name, json.loads(body or b"{}"))
        except CatalogError as error:
            return 400, {"Content-Type": _JSON}, json.dumps({"__type": error.code, "Message": error.message}).encode()
        return 200, {"Content-Type": _JSON}, json.dumps(answer).encode()

    return serve


def _answer(catalog: Catalog, calls: dict[str, tuple[Call, tuple[str, ...]]], name: str, given: Record) -> Record:
    if name not in calls:
        raise CatalogError("UnknownOperationException", f"The local twin does not know the call {name}")
    call, known = calls[name]
    for parameter in given:
        if parameter not in {*known, *_ALWAYS}:
            raise invalid(f"The local twin does not know the parameter {parameter} of {name}")
    token = next((given[each] for each in _TOKENS if each in given), None)
    key = f"{get_account_id()}/{name}/{token}"
    answers = catalog.state["answers"]
    # A request sent again is answered as before, and not done again.
    if token is None or key not in answers:
        answer = call(given)
        if token is None:
            return answer
        answers[key] = answer
    return answers[key]


class Administration:
    """The calls of those who make a portfolio."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @property
    def table(self) -> dict[str, tuple[Call, tuple[str, ...]]]:
        """The calls by name, with the parameters that each takes."""
        node = ("PortfolioId", "AccountId", "OrganizationNode")
        described = ("Name", "Owner", "Description", "Distributor", "SupportDescription", "SupportEmail", "SupportUrl")
        artifact = ("ProvisioningArtifactParameters", "ProductType", "IdempotencyToken")
        return {
            "CreatePortfolio": (
                self._create_portfolio,
                ("DisplayName", "ProviderName", "Description", "IdempotencyToken"),
            ),
            "CreateProduct": (self._create_product, (*described, *artifact)),
            "CreateProvisioningArtifact": (
                self._create_provisioning_artifact,
                ("ProductId", "Parameters", "IdempotencyToken"),
            ),
            "AssociateProductWithPortfolio": (self._associate_product, ("ProductId", "PortfolioId")),
            "CreateConstraint": (
                self._create_constraint,
                ("PortfolioId", "ProductId", "Type", "Parameters", "Description", "IdempotencyToken"),
            ),
            "AssociatePrincipalWithPortfolio": (
                self._associate_principal,
                ("PortfolioId", "PrincipalARN", "PrincipalType"),
            ),
            "DisassociatePrincipalFromPortfolio": (
                self._disassociate_principal,
                ("PortfolioId", "PrincipalARN", "PrincipalType"),
            ),
            "CreatePortfolioShare": (self._create_share, (*node, "ShareTagOptions", "SharePrincipals")),
            "DeletePortfolioShare": (self._delete_share, node),
            "DescribePortfolioShares": (self._describe_shares, ("PortfolioId", "Type")),
            "AcceptPortfolioShare": (self._accept_share, ("PortfolioId", "PortfolioShareType")),
            "ListAcceptedPortfolioShares": (self._accepted_shares, ("PortfolioShareType",)),
            "CreateTagOption": (self._create_tag_option, ("Key", "Value")),
            "ListTagOptions": (self._list_tag_options, ("Filters",)),
            "AssociateTagOptionWithResource": (self._associate_tag_option, ("ResourceId", "TagOptionId")),
        }

    def _create_portfolio(self, given: Record) -> Record:
        return {"PortfolioDetail": _shown(self._catalog.create_portfolio(given), _PORTFOLIO), "Tags": []}

    def _create_product(self, given: Record) -> Record:
        if given["ProductType"] != "CLOUD_FORMATION_TEMPLATE":
            raise invalid(f"The local twin does not know products of type {given['ProductType']}")
        product = self._catalog.create_product(given, [given.get("ProvisioningArtifactParameters") or {}])
        (artifact,) = product["Artifacts"].values()
        view = {
            "ProductViewSummary": _summary(self._catalog, product),
            "Status": "AVAILABLE",
            "ProductARN": product["ProductARN"],
            "CreatedTime": product["CreatedTime"],
        }
        return {"ProductViewDetail": view, "ProvisioningArtifactDetail": _shown(artifact, _ARTIFACT), "Tags": []}

    def _create_provisioning_artifact(self, given: Record) -> Record:
        product = self._catalog.own("products", "Product", given["ProductId"])
        artifact = self._catalog.add_artifact(product, given["Parameters"])
        info = {"TemplateUrl": artifact["Url"]}
        return {"ProvisioningArtifactDetail": _shown(artifact, _ARTIFACT), "Info": info, "Status": "AVAILABLE"}

    def _create_constraint(self, given: Record) -> Record:
        constraint = self._catalog.create_constraint(given["Type"], given)
        detail = _shown(constraint, _CONSTRAINT) | {"Owner": constraint["Account"]}
        return {"ConstraintDetail": detail, "ConstraintParameters": constraint["Parameters"], "Status": "AVAILABLE"}

    def _associate_product(self, given: Record) -> Record:
        self._catalog.associate_product(given["ProductId"], given["PortfolioId"])
        return {}

    def _associate_principal(self, given: Record) -> Record:
        self._catalog.associate_principal(given["PortfolioId"], given["PrincipalARN"], given["PrincipalType"])
        return {}

    def _disassociate_principal(self, given: Record) -> Record:
        self._catalog.disassociate_principal(given["PortfolioId"], given["PrincipalARN"])
        return {}

    def _create_share(self, given: Record) -> Record:
        share = self._catalog.share(given["PortfolioId"], _node(given), given)
        return {} if share["Type"] == "ACCOUNT" else {"PortfolioShareToken": f"share-{share['PrincipalId']}"}

    def _delete_share(self, given: Record) -> Record:
        self._catalog.unshare(given["PortfolioId"], _node(given))
        return {}

    def _describe_shares(self, given: Record) -> Record:
        shares = self._catalog.own("portfolios", "Portfolio", given["PortfolioId"])["Shares"].values()
        return {"PortfolioShareDetails": [share for share in shares if share["Type"] == given["Type"]]}

    def _accept_share(self, given: Record) -> Record:
        self._catalog.accept(given["PortfolioId"])
        return {}

    def _accepted_shares(self, _given: Record) -> Record:
        return {"PortfolioDetails": [_shown(each, _PORTFOLIO) for each in self._catalog.accepted()]}

    def _create_tag_option(self, given: Record) -> Record:
        option = self._catalog.create_tag_option(given["Key"], given["Value"])
        return {"TagOptionDetail": _shown(option, _OPTION) | {"Owner": option["Account"]}}

    def _list_tag_options(self, given: Record) -> Record:
        filters = given.get("Filters") or {}
        mine = (each for each in self._catalog.state["tag_options"].values() if each["Account"] == get_account_id())
        found = (each for each in mine if all(each.get(name) == value for name, value in filters.items()))
        return {"TagOptionDetails": [_shown(each, _OPTION) | {"Owner": each["Account"]} for each in found]}

    def _associate_tag_option(self, given: Record) -> Record:
        self._catalog.associate_tag_option(given["ResourceId"], given["TagOptionId"])
        return {}


class Ordering:
    """The calls of those who order."""

    def __init__(self, catalog: Catalog, orders: Orders) -> None:
        self._catalog, self._orders = catalog, orders

    @property
    def table(self) -> dict[str, tuple[Call, tuple[str, ...]]]:
        """The calls by name, with the parameters that each takes."""
        product = ("ProductId", "ProductName")
        offer = (*product, "ProvisioningArtifactId", "ProvisioningArtifactName", "PathId", "PathName")
        order = ("ProvisionedProductId", "ProvisionedProductName")
        return {
            "SearchProducts": (self._search, ("Filters",)),
            "DescribeProduct": (self._describe_product, ("Id", "Name")),
            "ListLaunchPaths": (self._list_paths, ("ProductId",)),
            "DescribeProvisioningParameters": (self._describe_parameters, offer),
            "ProvisionProduct": (
                self._provision,
                (*offer, "ProvisionedProductName", "ProvisioningParameters", "Tags", "ProvisionToken"),
            ),
            "UpdateProvisionedProduct": (
                self._update,
                (*offer, *order, "ProvisioningParameters", "Tags", "UpdateToken"),
            ),
            "TerminateProvisionedProduct": (
                self._terminate,
                (*order, "TerminateToken", "IgnoreErrors", "RetainPhysicalResources"),
            ),
            "DescribeRecord": (self._describe_record, ("Id",)),
            "DescribeProvisionedProduct": (self._describe_order, ("Id", "Name")),
            "ScanProvisionedProducts": (self._scan, ("AccessLevelFilter",)),
            "SearchProvisionedProducts": (self._search_orders, ("AccessLevelFilter",)),
            "GetProvisionedProductOutputs": (self._get_outputs, (*order, "OutputKeys")),
        }

    def _search(self, given: Record) -> Record:
        filters = given.get("Filters") or {}
        if filters.keys() - {"FullTextSearch"}:
            raise invalid(f"The local twin does not know the filters {', '.join(sorted(filters))} of SearchProducts")
        words = [word.lower() for word in filters.get("FullTextSearch", [])]
        found = [
            product
            for product in self._catalog.on_offer()
            if all(word in f"{product['Name']} {product['Description']}".lower() for word in words)
        ]
        return {"ProductViewSummaries": [_summary(self._catalog, product) for product in found]}

    def _describe_product(self, given: Record) -> Record:
        product = self._catalog.offered({"ProductId": given.get("Id"), "ProductName": given.get("Name")})
        paths = self._catalog.paths(product["ProductId"])
        names = ("Id", "Name", "Description", "CreatedTime", "Guidance")
        return {
            "ProductViewSummary": _summary(self._catalog, product),
            "ProvisioningArtifacts": [_shown(each, names) for each in product["Artifacts"].values()],
            "Budgets": [],
            "LaunchPaths": [{"Id": path["Id"], "Name": path["DisplayName"]} for path in paths],
        }

    def _list_paths(self, given: Record) -> Record:
        product = self._catalog.offered(given)
        return {
            "LaunchPathSummaries": [
                {
                    "Id": path["Id"],
                    "Name": path["DisplayName"],
                    "ConstraintSummaries": _summaries(self._catalog, path, product),
                    "Tags": [],
                }
                for path in self._catalog.paths(product["ProductId"])
            ]
        }

    def _describe_parameters(self, given: Record) -> Record:
        product = self._catalog.offered(given)
        path, artifact = self._catalog.path(product, given), self._catalog.artifact(product, given)
        template = engine._parse_template(artifact["Template"])  # noqa: SLF001
        options = self._catalog.tag_options(path, product["ProductId"])
        keys = [
            {"Key": name, "Description": output.get("Description", "")}
            for name, output in (template.get("Outputs") or {}).items()
        ]
        return {
            "ProvisioningArtifactParameters": [
                _parameter(*each) for each in (template.get("Parameters") or {}).items()
            ],
            "ConstraintSummaries": _summaries(self._catalog, path, product),
            "TagOptions": [{"Key": key, "Values": values} for key, values in options.items()],
            "ProvisioningArtifactOutputKeys": keys,
        }

    def _provision(self, given: Record) -> Record:
        return {"RecordDetail": _shown(self._orders.provision(given), _RECORD)}

    def _update(self, given: Record) -> Record:
        return {"RecordDetail": _shown(self._orders.update(given), _RECORD)}

    def _terminate(self, given: Record) -> Record:
        return {"RecordDetail": _shown(self._orders.terminate(given), _RECORD)}

    def _describe_record(self, given: Record) -> Record:
        record = self._orders.record(given["Id"])
        return {"RecordDetail": _shown(record, _RECORD), "RecordOutputs": record["RecordOutputs"]}

    def _describe_order(self, given: Record) -> Record:
        return {"ProvisionedProductDetail": _order(self._orders.find(given.get("Id"), given.get("Name")))}

    def _scan(self, given: Record) -> Record:
        _check_level(given)
        return {"ProvisionedProducts": [_order(each) for each in self._orders.mine()]}

    def _search_orders(self, given: Record) -> Record:
        _check_level(given)
        found = [_order(each) | {"PhysicalId": each["StackId"]} for each in self._orders.mine()]
        return {"ProvisionedProducts": found, "TotalResultsCount": len(found)}

    def _get_outputs(self, given: Record) -> Record:
        order = self._orders.find(given.get("ProvisionedProductId"), given.get("ProvisionedProductName"))
        keys = given.get("OutputKeys")
        return {"Outputs": [each for each in outputs(order) if not keys or each["OutputKey"] in keys]}


def _shown(record: Record, names: Iterable[str]) -> Record:
    return {name: record[name] for name in names if name in record}


def _order(order: Record) -> Record:
    return _shown(order, _ORDER) | {"Type": "CFN_STACK"}


def _summary(catalog: Catalog, product: Record) -> Record:
    names = ("ProductId", "Name", "Owner", "Distributor", "SupportEmail", "SupportDescription", "SupportUrl")
    return {
        **_shown(product, names),
        "Id": product["ProductId"].replace("prod-", "prodview-", 1),
        "ShortDescription": product["Description"],
        "Type": "CLOUD_FORMATION_TEMPLATE",
        "HasDefaultPath": len(catalog.paths(product["ProductId"])) == 1,
    }


def _summaries(catalog: Catalog, path: Record, product: Record) -> list[Record]:
    constraints = catalog.constraints(path["Id"], product["ProductId"])
    return [_shown(each, ("Type", "Description")) for each in constraints]


def _parameter(name: str, definition: Record) -> Record:
    limits = ("AllowedPattern", "ConstraintDescription", "MaxLength", "MinLength", "MaxValue", "MinValue")
    constraints: Record = {limit: str(definition[limit]) for limit in limits if limit in definition}
    if "AllowedValues" in definition:
        constraints["AllowedValues"] = [str(value) for value in definition["AllowedValues"]]
    shown = {
        "ParameterKey": name,
        "ParameterType": definition.get("Type", "String"),
        "IsNoEcho": str(definition.get("NoEcho", "false")).lower() == "true",
        "Description": definition.get("Description", ""),
        "ParameterConstraints": constraints,
    }
    return shown | ({"DefaultValue": str(definition["Default"])} if "Default" in definition else {})


def _node(given: Record) -> tuple[str, str]:
    """Give whom a share is for: an account, or a node of the organisation."""
    node = given.get("OrganizationNode")
    if bool(node) == bool(given.get("AccountId")):
        raise invalid("Give either AccountId or OrganizationNode.")
    if not node:
        return "ACCOUNT", str(given["AccountId"])
    # The service shows a share with a node that is an account under another name than one by AccountId.
    kind = "ORGANIZATION_MEMBER_ACCOUNT" if node["Type"] == "ACCOUNT" else node["Type"]
    return kind, node["Value"]


def _check_level(given: Record) -> None:
    level = given.get("AccessLevelFilter") or {"Key": "Account", "Value": "self"}
    if level != {"Key": "Account", "Value": "self"}:
        raise invalid(f"The local twin does not know the access level {level['Key']}")
