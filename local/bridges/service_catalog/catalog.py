"""What administrators put into the catalogue, and what an account sees of it.

Facts are plain dictionaries of what JSON can say, because the emulator keeps them with its state.
"""

from __future__ import annotations

import json
import secrets
import string
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import iam, s3
from ministack.services.cloudformation import engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.settings import Organization

    Record = dict[str, Any]

_ALPHABET: Final = string.ascii_lowercase + string.digits
_KINDS: Final = (
    "portfolios",
    "products",
    "constraints",
    "tag_options",
    "tag_associations",
    "provisioned",
    "records",
    "answers",
)
CONSTRAINTS: Final = frozenset({"LAUNCH", "TEMPLATE"})


class CatalogError(Exception):
    """A call that Service Catalog refuses: its code and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} (Service: ServiceCatalog, Status Code: 400, Error Code: {code})")
        self.code, self.message = code, message


def missing(what: str, identifier: object) -> CatalogError:
    """Give the error about something that is not there, or is not the caller's: both look the same."""
    return CatalogError("ResourceNotFoundException", f"{what} {identifier} not found.")


def invalid(message: str) -> CatalogError:
    """Give the error about a parameter's value."""
    return CatalogError("InvalidParametersException", message)


def new_id(prefix: str) -> str:
    """Make an identifier as the service does."""
    return f"{prefix}-{''.join(secrets.choice(_ALPHABET) for _ in range(13))}"


def now() -> float:
    """Give the time as the protocol writes it: seconds since 1970."""
    return round(time.time(), 3)


class Catalog:
    """Portfolios, products and what joins them."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.state: dict[str, dict[str, Record]] = {}
        self.forget()

    def forget(self) -> None:
        """Begin anew, in the same dictionary."""
        self.state.clear()
        self.state.update({kind: {} for kind in _KINDS})

    # --------------------------------------------------------------------------------------------------- portfolios

    def create_portfolio(self, given: Record) -> Record:
        """Make an empty portfolio."""
        identifier = new_id("port")
        portfolio = {
            "Id": identifier,
            "ARN": _arn("catalog", f"portfolio/{identifier}"),
            "Account": get_account_id(),
            "Region": get_region(),
            "CreatedTime": now(),
            "DisplayName": given["DisplayName"],
            "ProviderName": given["ProviderName"],
            "Description": given.get("Description", ""),
            "Products": [],
            "Principals": {},
            "Shares": {},
            "Accepted": [],
        }
        self.state["portfolios"][identifier] = portfolio
        return portfolio

    def update_portfolio(self, identifier: str, given: Record) -> Record:
        """Change how a portfolio describes itself."""
        portfolio = self.own("portfolios", "Portfolio", identifier)
        portfolio |= {name: given[name] for name in ("DisplayName", "ProviderName", "Description") if name in given}
        return portfolio

    def delete_portfolio(self, identifier: str) -> None:
        """Delete a portfolio that nothing is in and nobody shares."""
        portfolio = self.own("portfolios", "Portfolio", identifier)
        if portfolio["Products"] or portfolio["Principals"] or portfolio["Shares"]:
            raise CatalogError("ResourceInUseException", f"Portfolio {identifier} has products, principals or shares.")
        del self.state["portfolios"][identifier]

    def own(self, kind: str, what: str, identifier: object) -> Record:
        """Give something of the caller's own account and Region."""
        found = self.state[kind].get(str(identifier))
        if found is None or (found["Account"], found["Region"]) != (get_account_id(), get_region()):
            raise missing(what, identifier)
        return found

    # ----------------------------------------------------------------------------------------------------- products

    def create_product(self, given: Record, artifacts: list[Record]) -> Record:
        """Make a product with its first versions."""
        identifier = new_id("prod")
        product = {
            "ProductId": identifier,
            "ProductARN": _arn("catalog", f"product/{identifier}"),
            "Account": get_account_id(),
            "Region": get_region(),
            "CreatedTime": now(),
            "Artifacts": {},
        }
        self.describe_as(product, given)
        for artifact in artifacts:
            self.add_artifact(product, artifact)
        self.state["products"][identifier] = product
        return product

    @staticmethod
    def describe_as(product: Record, given: Record) -> None:
        """Take over how a product describes itself."""
        names = ("Name", "Owner", "Description", "Distributor", "SupportDescription", "SupportEmail", "SupportUrl")
        product |= {name: given.get(name, "") for name in names}

    def delete_product(self, identifier: str) -> None:
        """Delete a product that is in no portfolio."""
        self.own("products", "Product", identifier)
        if any(identifier in portfolio["Products"] for portfolio in self.state["portfolios"].values()):
            raise CatalogError("ResourceInUseException", f"Product {identifier} is associated with a portfolio.")
        del self.state["products"][identifier]

    @staticmethod
    def add_artifact(product: Record, given: Record) -> Record:
        """Add a version: its template is read now, with the administrator's rights, and kept as it is."""
        if given.get("Type", "CLOUD_FORMATION_TEMPLATE") != "CLOUD_FORMATION_TEMPLATE":
            raise invalid(f"The local twin does not know provisioning artifacts of type {given['Type']}")
        url = (given.get("Info") or {}).get("LoadTemplateFromURL")
        if not url:
            raise invalid("Provisioning artifact info must have LoadTemplateFromURL.")
        body = _template(url)
        try:
            engine._parse_template(body)  # noqa: SLF001
        except Exception as error:
            raise invalid(f"Invalid templateBody. Please make sure that your template is valid: {error}") from error
        identifier = new_id("pa")
        artifact = {
            "Id": identifier,
            "Name": given.get("Name", ""),
            "Description": given.get("Description", ""),
            "Type": "CLOUD_FORMATION_TEMPLATE",
            "CreatedTime": now(),
            "Active": True,
            "Guidance": "DEFAULT",
            "Url": url,
            "Template": body,
        }
        product["Artifacts"][identifier] = artifact
        return artifact

    # ------------------------------------------------------------------------------------------------- associations

    def associate_product(self, product_id: str, portfolio_id: str) -> None:
        """Put a product into a portfolio."""
        self.own("products", "Product", product_id)
        portfolio = self.own("portfolios", "Portfolio", portfolio_id)
        if product_id not in portfolio["Products"]:
            portfolio["Products"].append(product_id)

    def disassociate_product(self, product_id: str, portfolio_id: str) -> None:
        """Take a product out of a portfolio, if no constraint of it is left there."""
        portfolio = self.own("portfolios", "Portfolio", portfolio_id)
        if product_id not in portfolio["Products"]:
            raise missing("Product", product_id)
        if self.constraints(portfolio_id, product_id):
            message = f"Product {product_id} has constraints in portfolio {portfolio_id}."
            raise CatalogError("ResourceInUseException", message)
        portfolio["Products"].remove(product_id)

    def create_constraint(self, kind: str, given: Record) -> Record:
        """Say how a product is launched from a portfolio, or what may be asked of it there."""
        if kind not in CONSTRAINTS:
            raise invalid(f"The local twin does not know constraints of type {kind}")
        portfolio = self.own("portfolios", "Portfolio", given["PortfolioId"])
        product_id = given["ProductId"]
        if product_id not in portfolio["Products"]:
            raise missing("Product", f"{product_id} in portfolio {portfolio['Id']}")
        _check_constraint(kind, given["Parameters"])
        others = [each["Type"] for each in self.constraints(portfolio["Id"], product_id)]
        if kind == "LAUNCH" and "LAUNCH" in others:
            raise CatalogError("DuplicateResourceException", f"Product {product_id} has a launch constraint already.")
        identifier = new_id("cons")
        constraint = {
            "ConstraintId": identifier,
            "Type": kind,
            "Description": given.get("Description", ""),
            "PortfolioId": portfolio["Id"],
            "ProductId": product_id,
            "Parameters": given["Parameters"],
            "Account": get_account_id(),
            "Region": get_region(),
        }
        self.state["constraints"][identifier] = constraint
        return constraint

    def change_constraint(self, identifier: str, given: Record) -> Record:
        """Change what a constraint says."""
        constraint = self.own("constraints", "Constraint", identifier)
        _check_constraint(constraint["Type"], given["Parameters"])
        constraint |= {"Parameters": given["Parameters"], "Description": given.get("Description", "")}
        return constraint

    def delete_constraint(self, identifier: str) -> None:
        """Take a constraint away."""
        self.own("constraints", "Constraint", identifier)
        del self.state["constraints"][identifier]

    def constraints(self, portfolio_id: str, product_id: str) -> list[Record]:
        """Give the constraints of a product in a portfolio."""
        return [
            each
            for each in self.state["constraints"].values()
            if (each["PortfolioId"], each["ProductId"]) == (portfolio_id, product_id)
        ]

    # --------------------------------------------------------------------------------------------------- who may use

    def associate_principal(self, portfolio_id: str, arn: str, kind: str) -> None:
        """Let a principal of the caller's account use a portfolio of it, or one that is shared with it."""
        if kind != "IAM":
            raise invalid(f"The local twin does not know principals of type {kind}")
        if arn.split(":")[4:5] != [get_account_id()]:
            raise invalid(f"Principal {arn} is not of account {get_account_id()}.")
        principals = self._visible(portfolio_id)["Principals"].setdefault(get_account_id(), [])
        if arn not in principals:
            principals.append(arn)

    def disassociate_principal(self, portfolio_id: str, arn: str) -> None:
        """Take that right back."""
        principals = self._visible(portfolio_id)["Principals"]
        mine = principals.get(get_account_id(), [])
        if arn not in mine:
            raise missing("Principal", arn)
        mine.remove(arn)
        if not mine:
            del principals[get_account_id()]

    def share(self, portfolio_id: str, node: tuple[str, str], given: Record) -> Record:
        """Share a portfolio with an account or with the organisation; a share that is there stays as it is."""
        portfolio = self.own("portfolios", "Portfolio", portfolio_id)
        kind, value = node
        if kind not in {"ACCOUNT", "ORGANIZATION", "ORGANIZATION_MEMBER_ACCOUNT"}:
            raise invalid(f"The local twin does not know shares with a node of type {kind}")
        if kind == "ORGANIZATION" and value != self.organization.id:
            raise missing("Organization", value)
        if kind == "ORGANIZATION_MEMBER_ACCOUNT" and value not in self.organization.accounts:
            raise missing("Account", value)
        if given.get("SharePrincipals"):
            raise invalid("The local twin does not know SharePrincipals: true")
        share = {
            "PrincipalId": value,
            "Type": kind,
            "Accepted": kind != "ACCOUNT",
            "ShareTagOptions": bool(given.get("ShareTagOptions")),
            "SharePrincipals": False,
        }
        return dict(portfolio["Shares"].setdefault(f"{kind}/{value}", share))

    def unshare(self, portfolio_id: str, node: tuple[str, str]) -> None:
        """End a share, and with it the principals' rights of those who have no other."""
        portfolio = self.own("portfolios", "Portfolio", portfolio_id)
        if portfolio["Shares"].pop("/".join(node), None) is None:
            raise missing("Portfolio share", "/".join(node))
        owner = portfolio["Account"]
        principals = portfolio["Principals"]
        for account in [each for each in principals if each != owner and not self._reaches(portfolio, each)]:
            del principals[account]

    def accept(self, portfolio_id: str, *, accepted: bool = True) -> None:
        """Accept a share with the caller's account, or reject it."""
        portfolio = self.state["portfolios"].get(portfolio_id)
        account = get_account_id()
        if portfolio is None or f"ACCOUNT/{account}" not in portfolio["Shares"]:
            raise missing("Portfolio", portfolio_id)
        portfolio["Shares"][f"ACCOUNT/{account}"]["Accepted"] = accepted

    def accepted(self) -> list[Record]:
        """Give the portfolios of other accounts that the caller's has."""
        return [each for each in self._all_visible() if each["Account"] != get_account_id()]

    def _visible(self, portfolio_id: str) -> Record:
        for portfolio in self._all_visible():
            if portfolio["Id"] == portfolio_id:
                return portfolio
        raise missing("Portfolio", portfolio_id)

    def _all_visible(self) -> Iterator[Record]:
        account, region = get_account_id(), get_region()
        for portfolio in self.state["portfolios"].values():
            if portfolio["Region"] == region and (portfolio["Account"] == account or self._reaches(portfolio, account)):
                yield portfolio

    def _reaches(self, portfolio: Record, account: str) -> bool:
        return any(True for _ in self._shares(portfolio, account))

    def _shares(self, portfolio: Record, account: str) -> Iterator[Record]:
        """Give the shares, accepted ones, that bring a portfolio to an account."""
        for share in portfolio["Shares"].values():
            everyone = share["Type"] == "ORGANIZATION" and account in self.organization.accounts
            if share["Accepted"] and (everyone or share["PrincipalId"] == account):
                yield share

    # ---------------------------------------------------------------------------------------------------- TagOptions

    def create_tag_option(self, key: str, value: str) -> Record:
        """Make a tag that portfolios and products may offer."""
        mine = (each for each in self.state["tag_options"].values() if each["Account"] == get_account_id())
        if any((each["Key"], each["Value"]) == (key, value) for each in mine):
            raise CatalogError("DuplicateResourceException", f"TagOption {key}={value} already exists.")
        identifier = new_id("tag")
        option = {
            "Id": identifier,
            "Key": key,
            "Value": value,
            "Active": True,
            "Account": get_account_id(),
            "Region": get_region(),
        }
        self.state["tag_options"][identifier] = option
        return option

    def delete_tag_option(self, identifier: str) -> None:
        """Delete a TagOption that nothing offers."""
        self.own("tag_options", "TagOption", identifier)
        if any(each["TagOptionId"] == identifier for each in self.state["tag_associations"].values()):
            raise CatalogError("ResourceInUseException", f"TagOption {identifier} is associated with a resource.")
        del self.state["tag_options"][identifier]

    def associate_tag_option(self, resource_id: str, identifier: str) -> None:
        """Offer a TagOption with a portfolio or a product."""
        self.own("tag_options", "TagOption", identifier)
        self.own("portfolios" if resource_id.startswith("port-") else "products", "Resource", resource_id)
        key = f"{resource_id}|{identifier}"
        if key in self.state["tag_associations"]:
            message = f"TagOption {identifier} is associated with {resource_id} already."
            raise CatalogError("DuplicateResourceException", message)
        self.state["tag_associations"][key] = {"ResourceId": resource_id, "TagOptionId": identifier}

    def disassociate_tag_option(self, resource_id: str, identifier: str) -> None:
        """Offer it no longer."""
        if self.state["tag_associations"].pop(f"{resource_id}|{identifier}", None) is None:
            raise missing("TagOption", f"{identifier} of {resource_id}")

    def tag_options(self, portfolio: Record, product_id: str) -> dict[str, list[str]]:
        """Give the values that an account may choose from, by key, as far as the share brings them along."""
        account = get_account_id()
        if portfolio["Account"] != account and not any(
            share["ShareTagOptions"] for share in self._shares(portfolio, account)
        ):
            return {}
        offered: dict[str, list[str]] = {}
        for association in self.state["tag_associations"].values():
            option = self.state["tag_options"][association["TagOptionId"]]
            if association["ResourceId"] in {portfolio["Id"], product_id} and option["Active"]:
                offered.setdefault(option["Key"], []).append(option["Value"])
        return {key: sorted(set(values)) for key, values in sorted(offered.items())}

    # --------------------------------------------------------------------------------------------- what is on offer

    def paths(self, product_id: str) -> list[Record]:
        """Give the portfolios that the caller may order a product from; each is a launch path of the same id."""
        account = get_account_id()
        return [
            portfolio
            for portfolio in self._all_visible()
            if product_id in portfolio["Products"] and portfolio["Principals"].get(account)
        ]

    def on_offer(self) -> list[Record]:
        """Give the products that the caller may order."""
        return [product for product in self.state["products"].values() if self.paths(product["ProductId"])]

    def offered(self, given: Record) -> Record:
        """Find a product that the caller may order, by its id or its name."""
        for product in self.on_offer():
            if product["ProductId"] == given.get("ProductId") or product["Name"] == given.get("ProductName"):
                return product
        raise missing("Product", given.get("ProductId") or given.get("ProductName"))

    def path(self, product: Record, given: Record) -> Record:
        """Find the portfolio that a product is ordered from: the one named, or the only one."""
        paths = self.paths(product["ProductId"])
        wanted_id, wanted_name = given.get("PathId"), given.get("PathName")
        if not wanted_id and not wanted_name:
            if len(paths) > 1:
                raise invalid(f"Product {product['ProductId']} has more than one launch path: name one.")
            return paths[0]
        for path in paths:
            if path["Id"] == wanted_id or path["DisplayName"] == wanted_name:
                return path
        raise missing("Launch path", wanted_id or wanted_name)

    @staticmethod
    def artifact(product: Record, given: Record) -> Record:
        """Find a version of a product by its id or its name."""
        wanted_id, name = given.get("ProvisioningArtifactId"), given.get("ProvisioningArtifactName")
        for artifact in product["Artifacts"].values():
            if artifact["Id"] == wanted_id or (not wanted_id and artifact["Name"] == name):
                return dict(artifact)
        raise missing("Provisioning artifact", wanted_id or name)


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{get_region()}:{get_account_id()}:{resource}"


def _check_constraint(kind: str, parameters: str) -> None:
    try:
        said = json.loads(parameters)
    except ValueError as error:
        raise invalid(f"Constraint parameters are no JSON: {error}") from error
    if kind == "LAUNCH":
        if not isinstance(said, dict) or set(said) != {"LocalRoleName"} or not said["LocalRoleName"]:
            raise invalid('The local twin does not know launch constraints other than {"LocalRoleName": "..."}')
        # The role has to be in this account too, and not only where something is launched.
        if iam._roles.get(said["LocalRoleName"]) is None:  # noqa: SLF001
            raise missing("Role", f"{said['LocalRoleName']} in account {get_account_id()}")
        return
    if not isinstance(said, dict) or set(said) != {"Rules"}:
        raise invalid("A template constraint has Rules and nothing else.")
    try:
        engine._check_rules_section(said)  # noqa: SLF001
    except ValueError as error:
        raise invalid(str(error)) from error


def _template(url: str) -> str:
    """Read a template from S3, in either form of an address: the bucket in the host, or before the key."""
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    host, _, rest = (parts.hostname or "").partition(".s3.")
    bucket, key = (host, path) if rest else (path.partition("/")[0], path.partition("/")[2])
    with request_scope(get_account_id(), get_region()):
        content = s3._get_object_data(bucket, key)  # noqa: SLF001
    if content is None:
        raise invalid(f"Template not found at {url}")
    return str(bytes(content).decode())
