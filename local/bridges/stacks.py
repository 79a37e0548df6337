"""Stack operations as CloudFormation runs them.

Gap: the emulator makes one resource after the other, stops at the first failure as if nothing else were under way,
forgets the resource that failed, and deletes replaced resources before the update is complete. CloudFormation works on
everything whose dependencies are met at once; a failure cancels what is under way beside it; what failed or was
cancelled is deleted too, since its provider may have made something; what a resource depends on is deleted although
that resource's own deletion has failed; an update's old resources go in a clean-up phase of their own, which tries each
three times and then leaves it; and a rollback is an update back:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/852
https://repost.aws/knowledge-center/cloudformation-stack-cleanup-stuck
Templates, parameters, conditions, intrinsic functions, change sets and resource types stay the emulator's, and so do
imports, nested stacks (which are sequential still) and forced deletes.

An operation's facts are plain dictionaries and lists, because the emulator keeps them with the stack's state.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import random
from typing import TYPE_CHECKING, Any

from ministack.core.concurrency import run_reentrant
from ministack.core.responses import now_iso
from ministack.services.cloudformation import (
    _exports,
    _stacks,
    changesets,
    engine,
    handlers,
    provisioners,
    stacks,
)

from local.bridges.custom_resource import CustomResourceError, Driver, invented_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Record = dict[str, Any]
    Template = dict[str, Any]

logger = logging.getLogger("cloudformation")

_STACK = "AWS::CloudFormation::Stack"
_CUSTOM = "AWS::CloudFormation::CustomResource"
_CLEAN_UP_TRIES = 3
_REPLACING = "Requested update requires the creation of a new physical resource; hence creating one."


def is_custom(resource_type: str) -> bool:
    """Tell whether a function answers for resources of this type."""
    return resource_type.startswith("Custom::") or resource_type == _CUSTOM


async def in_order(names: list[str], needs: Mapping[str, set[str]], work: Callable[[str], Awaitable[None]]) -> None:
    """Run `work` for every name at once, each as soon as the names that it needs are done."""
    tasks: dict[str, asyncio.Task[None]] = {}

    async def after_needs(name: str) -> None:
        await asyncio.gather(*(tasks[need] for need in needs.get(name, set()) if need in tasks and need != name))
        await work(name)

    for name in names:
        # A task sees the tasks of the whole dictionary only once it runs, which is after this loop.
        tasks[name] = asyncio.get_running_loop().create_task(after_needs(name))
    await asyncio.gather(*tasks.values())


class Scene:
    """One operation on one stack: the names and facts that each of its steps needs."""

    def __init__(self, driver: Driver, stack_name: str, stack: Record, template: Template, params: Record) -> None:
        self.driver, self.name, self.stack, self.id = driver, stack_name, stack, str(stack["StackId"])
        self.template, self.params = template, params
        self.definitions: dict[str, Any] = template.get("Resources", {})
        self.conditions = engine._evaluate_conditions(template, params)  # noqa: SLF001
        self.mappings = template.get("Mappings", {})

    def event(self, logical_id: str, resource_type: str, status: str, reason: str = "", physical_id: str = "") -> None:
        """Write a stack event of a resource."""
        stacks._add_event(self.id, self.name, logical_id, resource_type, status, reason, physical_id)  # noqa: SLF001

    def status(self, status: str, reason: str = "") -> None:
        """Bring the stack into a status, with its event."""
        self.stack["StackStatus"], self.stack["StackStatusReason"] = status, reason
        self.event(self.name, _STACK, status, reason, self.id)

    def needs(self) -> dict[str, set[str]]:
        """Give what each resource of the template refers to or depends on."""
        names = set(self.definitions)
        return {
            name: engine._extract_deps(definition, names)  # noqa: SLF001
            for name, definition in self.definitions.items()
        }

    def policy(self, logical_id: str, attribute: str, resources: Record) -> str:
        """Give a resource's DeletionPolicy or UpdateReplacePolicy."""
        return str(
            stacks._resource_policy(  # noqa: SLF001
                self.definitions.get(logical_id),
                attribute,
                resources,
                self.params,
                self.conditions,
                self.mappings,
                self.name,
                self.id,
            )
        )

    def retains(self, logical_id: str, attribute: str, resources: Record) -> bool:
        """Tell whether the template keeps the resource."""
        return self.policy(logical_id, attribute, resources) in provisioners._RETAINING_POLICIES  # noqa: SLF001

    def tagged(self, logical_id: str, resource_type: str, props: Record, tags: list[Any]) -> Any:
        """Give the properties with the stack's tags, as the resource's type is called with them."""
        return provisioners._with_stack_tags(resource_type, props, tags, self.name, self.id, logical_id)  # noqa: SLF001

    async def delete(self, logical_id: str, record: Record) -> str | None:
        """Delete one resource; the reason, if it failed."""
        resource_type, physical_id = record["ResourceType"], record["PhysicalResourceId"]
        self.event(logical_id, resource_type, "DELETE_IN_PROGRESS", physical_id=physical_id)
        # In AWS a deletion takes what it takes, and what does not wait for it overtakes it.
        await asyncio.sleep(random.uniform(0, self.driver.jitter))
        try:
            if record.get("_unrequested"):
                pass  # no provider has heard of it
            elif pending := record.get("_predecessor"):
                for function, arguments, named in pending:
                    function(*arguments, **named)
            else:
                await _call(
                    resource_type,
                    provisioners._delete_resource,  # noqa: SLF001
                    resource_type,
                    physical_id,
                    record.get("Properties") or {},
                    self.name,
                    logical_id,
                )
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the reason that people read
            logger.warning("delete of %s failed: %s", logical_id, error)
            self.event(logical_id, resource_type, "DELETE_FAILED", str(error), physical_id)
            return str(error)
        self.event(logical_id, resource_type, "DELETE_COMPLETE", physical_id=physical_id)
        return None

    async def delete_all(
        self, victims: Mapping[str, Record], done: Callable[[str], object], tries: int = 1
    ) -> dict[str, str]:
        """Delete resources, dependents first and else at once; the reasons of those that failed.

        What a failed one depends on is deleted all the same.
        """
        needs, failed = self.needs(), dict[str, str]()
        users: dict[str, set[str]] = {name: set() for name in victims}
        for user, needed in needs.items():
            for name in needed & users.keys():
                users[name].add(user)

        async def delete(name: str) -> None:
            for _ in range(tries):
                reason = await self.delete(name, victims[name])
                if reason is None:
                    failed.pop(name, None)
                    done(name)
                    return
                failed[name] = reason

        await in_order(list(victims), users, delete)
        return failed


async def _call(resource_type: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a resource type's handler: on a thread of its own if it waits for somebody."""
    if stacks._runs_on_worker_thread(resource_type):  # noqa: SLF001
        return await run_reentrant(function, *arguments)
    return function(*arguments)


class Deployment:
    """A create or an update: every resource of the template, or the first failure and what it cancels."""

    def __init__(self, scene: Scene, previous: Record | None) -> None:
        self.scene, self.previous = scene, previous
        self.verb = "CREATE" if previous is None else "UPDATE"
        self.before: dict[str, Record] = (previous or {}).get("_resources", {})
        self.resources: dict[str, Record] = scene.stack.setdefault("_resources", {})
        self.touched: list[str] = []
        self.replaced: dict[str, Record] = {}
        self.failed: dict[str, Record] = {}
        self.reasons: dict[str, str] = {}
        self.cancelled = False
        self._under_way: set[str] = set()

    @property
    def stopped(self) -> bool:
        """Whether nothing more is begun."""
        return self.cancelled or bool(self.failed)

    async def run(self, order: list[str]) -> None:
        """Work through the template."""
        self.scene.stack.pop("_cancel_requested", None)
        await in_order(order, self.scene.needs(), self._provision)

    async def _provision(self, logical_id: str) -> None:
        if self.scene.stack.pop("_cancel_requested", False):
            stacks.CLIENT_REQUEST_TOKEN.set(self.scene.stack.pop("_cancel_token", ""))
            self.cancelled = True
            self._cancel_others()
        if self.stopped:
            return
        definition = self.scene.definitions[logical_id]
        resource_type = definition.get("Type", _CUSTOM)
        old = self.before.get(logical_id)
        fresh: Record = {"ResourceType": resource_type, "LogicalResourceId": logical_id, "Properties": {}}
        self._under_way.add(logical_id)
        try:
            props, dynamic = self._properties(logical_id, definition, old)
            fresh |= {"Properties": props, "_dynamic": dynamic}
            if old is None:
                await self._create(logical_id, fresh)
            else:
                await self._update(logical_id, old, fresh)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the reason that people read
            self._fail(logical_id, old, fresh, error)
        finally:
            self._under_way.discard(logical_id)

    def _properties(self, logical_id: str, definition: Record, old: Record | None) -> tuple[Record, Record]:
        scene, previous = self.scene, self.previous or {}
        resolved = engine._resolve_refs(  # noqa: SLF001
            copy.deepcopy(definition.get("Properties", {})),
            self.resources,
            scene.params,
            scene.conditions,
            scene.mappings,
            scene.name,
            scene.id,
        )
        given = {name: value for name, value in resolved.items() if value is not engine._NO_VALUE}  # noqa: SLF001
        unchanged_stack = scene.template == previous.get("_template") and scene.params == previous.get(
            "_resolved_params"
        )
        definitions = (previous.get("_template") or {}).get("Resources", {})
        return engine._resolve_dynamic_references(  # type: ignore[no-any-return]  # noqa: SLF001
            given,
            (old or {}).get("_dynamic"),
            reuse_ssm=old is not None and unchanged_stack,
            reuse_secrets=old is not None and definitions.get(logical_id) == definition,
        )

    async def _create(self, logical_id: str, fresh: Record) -> None:
        scene, resource_type = self.scene, fresh["ResourceType"]
        scene.event(logical_id, resource_type, "CREATE_IN_PROGRESS")
        tagged = scene.tagged(logical_id, resource_type, fresh["Properties"], scene.stack.get("Tags") or [])
        (physical_id, attributes), seed = await _call(
            resource_type,
            stacks._provision_keeping_seed,  # noqa: SLF001
            resource_type,
            logical_id,
            tagged,
            scene.name,
        )
        self._done(logical_id, fresh, physical_id, attributes, seed, "CREATE")

    async def _update(self, logical_id: str, old: Record, fresh: Record) -> None:
        scene, resource_type, old_id = self.scene, fresh["ResourceType"], old["PhysicalResourceId"]
        tags = (self.previous or {}).get("Tags") or []
        before = scene.tagged(logical_id, resource_type, old.get("Properties") or {}, tags)
        after = scene.tagged(logical_id, resource_type, fresh["Properties"], scene.stack.get("Tags") or [])
        if old["ResourceType"] != resource_type:
            raise CustomResourceError("Update of resource type is not permitted.", old_id, requested=False)
        if before == after:
            self.resources[logical_id] = old
            return
        scene.event(logical_id, resource_type, "UPDATE_IN_PROGRESS", physical_id=old_id)
        if is_custom(resource_type) and before.get("ServiceToken") != after.get("ServiceToken"):
            raise CustomResourceError("Modifying service token is not allowed.", old_id, requested=False)
        fresh["_applied"] = after
        pending: list[Any] = []
        (new_id, attributes), seed = await self._change(logical_id, old, before, after, pending)
        if new_id != old_id or pending:
            self.replaced[logical_id] = {**old, "_predecessor": pending or None}
        self._done(logical_id, fresh, new_id, attributes, seed, "UPDATE")

    async def _change(self, logical_id: str, old: Record, before: Record, after: Record, pending: list[Any]) -> Any:
        """Call the type's update; what it would delete of its own accord is put into `pending`."""
        scene, resource_type, old_id = self.scene, old["ResourceType"], old["PhysicalResourceId"]
        if provisioners._replacing_change(resource_type, before, after):  # noqa: SLF001
            scene.event(logical_id, resource_type, "UPDATE_IN_PROGRESS", _REPLACING, old_id)
        # Each resource is worked on by a task of its own, which has these variables to itself.
        provisioners._RETAIN_REPLACED.set(scene.retains(logical_id, "UpdateReplacePolicy", self.resources))  # noqa: SLF001
        provisioners._DEFERRED_PREDECESSOR_DELETES.set(pending)  # noqa: SLF001
        provisioners._NAME_SEED.set(old.get("_name_seed", ""))  # noqa: SLF001
        return await _call(
            resource_type,
            stacks._update_keeping_seed,  # noqa: SLF001
            resource_type,
            old_id,
            before,
            after,
            scene.name,
            logical_id,
            old.get("Attributes", {}),
        )

    def _done(  # noqa: PLR0913, PLR0917
        self, logical_id: str, fresh: Record, physical_id: str, attributes: Record, seed: str, verb: str
    ) -> None:
        done = {"PhysicalResourceId": physical_id, "Attributes": attributes, "Timestamp": now_iso()}
        self.resources[logical_id] = {**fresh, **done, "ResourceStatus": f"{verb}_COMPLETE", "_name_seed": seed}
        self.touched.append(logical_id)
        self.scene.event(logical_id, fresh["ResourceType"], f"{verb}_COMPLETE", physical_id=physical_id)

    def _fail(self, logical_id: str, old: Record | None, fresh: Record, error: Exception) -> None:
        scene, first = self.scene, not self.stopped
        requested = is_custom(fresh["ResourceType"]) and getattr(error, "requested", False)
        physical_id = getattr(error, "physical_id", None) or (old or {}).get("PhysicalResourceId")
        if physical_id is None and requested:
            physical_id = invented_id(scene.name, logical_id)
        verb = "CREATE" if old is None else "UPDATE"
        scene.event(logical_id, fresh["ResourceType"], f"{verb}_FAILED", str(error), physical_id or "")
        self.reasons[logical_id] = str(error)
        self.failed[logical_id] = {
            **fresh,
            "PhysicalResourceId": physical_id or "",
            "Attributes": (old or {}).get("Attributes", {}),
            "ResourceStatus": f"{verb}_FAILED",
            "ResourceStatusReason": str(error),
            "Timestamp": now_iso(),
            "_unrequested": not requested,
        }
        if first:
            self._cancel_others()

    def _cancel_others(self) -> None:
        for logical_id in self._under_way:
            self.scene.driver.cancel(self.scene.id, logical_id)

    def operation(self, *, retain_except_on_create: bool) -> Record:
        """Give what the rollback of this deployment needs to know, in the form that the emulator keeps."""
        return {
            "is_update": self.previous is not None,
            "previous_stack": self.previous,
            "template": self.scene.template,
            "param_values": self.scene.params,
            "stack_tags": self.scene.stack.get("Tags") or [],
            "touched": self.touched,
            "failed": self.failed,
            "replaced": sorted(self.replaced),
            "cancelled": self.cancelled,
            "retain_except_on_create": retain_except_on_create,
        }


async def deploy(  # noqa: PLR0913, PLR0917 -- the emulator's signature
    driver: Driver,
    stack_name: str,
    stack_id: str,
    template: Template,
    param_values: Record,
    disable_rollback: bool,  # noqa: FBT001
    is_update: bool,  # noqa: FBT001
    previous_stack: Record | None,
    retain_except_on_create: bool,  # noqa: FBT001
) -> None:
    """Create or update a stack."""
    scene = Scene(driver, stack_name, _stacks[stack_name], template, param_values)
    previous = (previous_stack or {}) if is_update else None
    order = engine._topological_sort(scene.definitions, scene.conditions)  # noqa: SLF001
    if not scene.stack.get("_disable_validation") and stacks._fail_property_validation(  # noqa: SLF001
        scene.stack,
        stack_id,
        stack_name,
        scene.definitions,
        order,
        param_values,
        scene.conditions,
        scene.mappings,
        disable_rollback,
        previous_stack=previous,
    ):
        return
    run = Deployment(scene, previous)
    await run.run(order)
    outputs, exports = _outputs(run, order)
    if not run.stopped:
        _publish(run, outputs, exports)
        if previous is not None:
            await _clean_up(run, previous, set(order))
        scene.status(f"{run.verb}_COMPLETE")
        return
    operation = run.operation(retain_except_on_create=retain_except_on_create)
    if not disable_rollback:
        await roll_back(driver, stack_name, scene.stack, operation)
        return
    run.resources.update({name: record for name, record in run.failed.items() if name not in run.before})
    scene.stack["_failed_operation"] = operation
    scene.status(f"{run.verb}_FAILED", _failure_reason(operation))


def _outputs(run: Deployment, order: list[str]) -> tuple[list[Any], Record]:
    if run.stopped:
        return [], {}
    scene = run.scene
    try:
        return stacks._resolve_stack_outputs(  # type: ignore[no-any-return]  # noqa: SLF001
            scene.template.get("Outputs", {}),
            scene.conditions,
            {name: record for name, record in run.resources.items() if name in order},
            scene.params,
            scene.mappings,
            scene.name,
            scene.id,
        )
    except ValueError as error:
        scene.event(scene.name, _STACK, f"{run.verb}_FAILED", str(error), scene.id)
        run.cancelled = True
        return [], {}


def _publish(run: Deployment, outputs: list[Any], exports: Record) -> None:
    stack = run.scene.stack
    stack["_resources"], stack["_template"], stack["_resolved_params"] = (
        run.resources,
        run.scene.template,
        run.scene.params,
    )
    for output in (run.previous or {}).get("Outputs", []):
        if output.get("ExportName") not in exports:
            _exports.pop(output.get("ExportName"), None)
    _exports.update(exports)
    stack["Outputs"] = outputs


async def _clean_up(run: Deployment, previous: Record, kept: set[str]) -> None:
    """Delete what the update replaced and what it left out; a failure here does not fail the update."""
    scene = run.scene
    scene.status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    old = Scene(scene.driver, scene.name, scene.stack, previous.get("_template") or {}, previous["_resolved_params"])
    left_out = {name: record for name, record in run.before.items() if name not in kept}
    victims = {}
    for name, record in (run.replaced | left_out).items():
        gone = name in left_out
        by, policy, resources = (
            (old, "DeletionPolicy", run.before) if gone else (scene, "UpdateReplacePolicy", run.resources)
        )
        if not by.retains(name, policy, resources):
            victims[name] = record
            continue
        if gone:
            run.resources.pop(name, None)
        scene.event(name, record["ResourceType"], "DELETE_SKIPPED", physical_id=record["PhysicalResourceId"])

    def forget(name: str) -> None:
        if name in left_out:
            run.resources.pop(name, None)

    for name, reason in (await old.delete_all(victims, forget, _CLEAN_UP_TRIES)).items():
        if name in left_out:
            run.resources[name] |= {"ResourceStatus": "DELETE_FAILED", "ResourceStatusReason": reason}


def _failure_reason(operation: Record) -> str:
    """Say what failed, as the event of the rollback does."""
    before = (operation["previous_stack"] or {}).get("_resources", {})
    sentences = []
    for verb, names in (
        ("create", [name for name in operation["failed"] if name not in before]),
        ("update", [name for name in operation["failed"] if name in before]),
    ):
        if names:
            sentences.append(f"The following resource(s) failed to {verb}: [{', '.join(names)}]. ")
    return "".join(sentences) or ("User Initiated" if operation["cancelled"] else "Rollback requested")


async def roll_back(driver: Driver, stack_name: str, stack: Record, operation: Record, reason: str = "") -> None:
    """Undo a failed deployment: an update by an update back, whatever is new by deleting it."""
    stack.pop("_failed_operation", None)
    previous = operation["previous_stack"] if operation.get("is_update") else None
    operation = {"touched": [], "failed": {}, "replaced": [], "cancelled": False, "stack_tags": [], **operation}
    scene = Scene(driver, stack_name, stack, operation.get("template") or {}, operation.get("param_values") or {})
    if previous is None:
        scene.status("ROLLBACK_IN_PROGRESS", reason or _failure_reason(operation) + "Rollback requested by user.")
        await _delete_new(scene, operation)
        return
    scene.status("UPDATE_ROLLBACK_IN_PROGRESS", reason or _failure_reason(operation))
    await UpdateRollback(scene, operation, previous).run()


async def _delete_new(scene: Scene, operation: Record) -> None:
    resources = scene.stack.setdefault("_resources", {})
    resources.update({name: record for name, record in operation["failed"].items() if name in scene.definitions})
    keep = not operation.get("retain_except_on_create")
    victims = {}
    for name, record in resources.items():
        if keep and name in operation["touched"] and scene.policy(name, "DeletionPolicy", resources) == "Retain":
            scene.event(name, record["ResourceType"], "DELETE_SKIPPED", physical_id=record["PhysicalResourceId"])
        else:
            victims[name] = record
    kept = {name: record for name, record in resources.items() if name not in victims}
    failed = await scene.delete_all(victims, resources.pop)
    for name in kept:
        resources.pop(name, None)
    if not failed:
        scene.status("ROLLBACK_COMPLETE")
        return
    scene.stack["_rollback_failed"] = {name: resources[name] for name in failed}
    scene.status("ROLLBACK_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. ")


class UpdateRollback:
    """The update back after an update that failed, and the clean-up of what it had made."""

    def __init__(self, scene: Scene, operation: Record, previous: Record) -> None:
        self.scene, self.operation, self.previous = scene, operation, previous
        self.before: dict[str, Record] = previous.get("_resources", {})
        self.victims: dict[str, Record] = {}
        self.stuck: dict[str, Record] = {}

    async def run(self) -> None:
        """Roll back."""
        scene, now = self.scene, self.scene.stack.get("_resources", {})
        changed = {**{name: now[name] for name in self.operation["touched"]}, **self.operation["failed"]}
        old = Scene(
            scene.driver,
            scene.name,
            scene.stack,
            self.previous.get("_template") or {},
            self.previous.get("_resolved_params") or {},
        )

        async def undo(name: str) -> None:
            await self._undo(name, changed[name])

        await in_order(list(changed), old.needs(), undo)
        self._restore()
        if self.stuck:
            scene.stack["_rollback_failed"] = self.stuck
            names = ", ".join(sorted(self.stuck))
            scene.status("UPDATE_ROLLBACK_FAILED", f"The following resource(s) failed to update: [{names}]. ")
            return
        scene.status("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        # A clean-up that fails leaves something behind, and does not fail the rollback.
        await scene.delete_all(self.victims, lambda _name: None, _CLEAN_UP_TRIES)
        scene.status("UPDATE_ROLLBACK_COMPLETE")

    async def _undo(self, name: str, record: Record) -> None:
        scene, old = self.scene, self.before.get(name)
        if old is None:
            if scene.policy(name, "DeletionPolicy", self.before) == "Retain" and name in self.operation["touched"]:
                physical_id = record["PhysicalResourceId"]
                scene.event(name, record["ResourceType"], "DELETE_SKIPPED", physical_id=physical_id)
            else:
                self.victims[name] = record
            return
        kind = record["ResourceType"]
        if not is_custom(kind) and (name in self.operation["replaced"] or name in self.operation["failed"]):
            # Its predecessor is still there, untouched; a handler that failed has changed nothing.
            if name in self.operation["replaced"]:
                self.victims[name] = record
            scene.event(name, kind, "UPDATE_COMPLETE", physical_id=old["PhysicalResourceId"])
            return
        if record.get("_unrequested") or "_applied" not in record:
            scene.event(name, kind, "UPDATE_COMPLETE", physical_id=old["PhysicalResourceId"])
            return
        await self._update_back(name, record, old)

    async def _update_back(self, name: str, record: Record, old: Record) -> None:
        scene, kind, current = self.scene, record["ResourceType"], record["PhysicalResourceId"]
        wanted = scene.tagged(name, kind, old.get("Properties") or {}, self.previous.get("Tags") or [])
        scene.event(name, kind, "UPDATE_IN_PROGRESS", physical_id=current)
        provisioners._NAME_SEED.set(old.get("_name_seed", ""))  # noqa: SLF001
        provisioners._DEFERRED_PREDECESSOR_DELETES.set([])  # noqa: SLF001
        arguments = (kind, current, record["_applied"], wanted, scene.name, name, record.get("Attributes", {}))
        try:
            physical_id, attributes = await _call(kind, provisioners._update_resource, *arguments)  # noqa: SLF001
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the reason that people read
            scene.event(name, kind, "UPDATE_FAILED", str(error), current)
            self.stuck[name] = {
                "PhysicalResourceId": current,
                "ResourceType": kind,
                "RevertFrom": record["_applied"],
                "RevertTo": wanted,
                "Attributes": record.get("Attributes", {}),
            }
            return
        if physical_id != current:
            self.victims[name] = record
        old["PhysicalResourceId"] = physical_id
        old["Attributes"] = {**old.get("Attributes", {}), **(attributes or {})}
        scene.event(name, kind, "UPDATE_COMPLETE", physical_id=physical_id)

    def _restore(self) -> None:
        stack = self.scene.stack
        stack["_resources"] = self.before
        for key in ("_template", "_template_body", "_resolved_params", "_conditions", "Parameters", "Tags", "Outputs"):
            if key in self.previous:
                stack[key] = self.previous[key]


async def delete_stack(driver: Driver, stack_name: str, retain: frozenset[str]) -> None:
    """Delete a stack: everything that nothing needs any more at once."""
    stack = _stacks[stack_name]
    scene = Scene(driver, stack_name, stack, stack.get("_template") or {}, stack.get("_resolved_params") or {})
    scene.status("DELETE_IN_PROGRESS", "User Initiated")
    resources = stack.get("_resources", {})
    for name, record in list(resources.items()):
        snapshot = scene.policy(name, "DeletionPolicy", resources) == "Snapshot"
        if name in retain or scene.retains(name, "DeletionPolicy", resources):
            scene.event(name, record["ResourceType"], "DELETE_SKIPPED", physical_id=record["PhysicalResourceId"])
            resources.pop(name)
        elif snapshot:
            provisioners._snapshot_resource(  # noqa: SLF001
                record["ResourceType"], record["PhysicalResourceId"], record.get("Properties") or {}
            )
    failed = await scene.delete_all(dict(resources), resources.pop)
    for name, reason in failed.items():
        resources[name] |= {"ResourceStatus": "DELETE_FAILED", "ResourceStatusReason": reason}
    if failed:
        names = ", ".join(sorted(failed))
        scene.status("DELETE_FAILED", f"The following resource(s) failed to delete: [{names}]. ")
        return
    for output in stack.get("Outputs", []):
        _exports.pop(output.get("ExportName"), None)
    scene.status("DELETE_COMPLETE")


def register(driver: Driver) -> None:
    """Put these operations in the emulator's place."""
    emulated_deploy = stacks._deploy_stack_async  # noqa: SLF001
    emulated_delete = stacks._delete_stack_async  # noqa: SLF001

    async def _deploy_stack_async(  # noqa: PLR0913, PLR0917
        stack_name: str,
        stack_id: str,
        template: Template,
        param_values: Record,
        disable_rollback: bool,  # noqa: FBT001
        tags: list[Any],
        is_update: bool = False,  # noqa: FBT001, FBT002
        previous_stack: Record | None = None,
        retain_except_on_create: bool = False,  # noqa: FBT001, FBT002
        imports: Record | None = None,
    ) -> None:
        arguments = (stack_name, stack_id, template, param_values, disable_rollback)
        later = (is_update, previous_stack, retain_except_on_create)
        if imports or not _can_be_ordered(template, param_values):
            await emulated_deploy(*arguments, tags, *later, imports)
        else:
            await deploy(driver, *arguments, *later)

    async def _delete_stack_async(
        stack_name: str,
        stack_id: str,
        retain_resources: frozenset[str] | tuple[str, ...] = (),
        force: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        if force:
            await emulated_delete(stack_name, stack_id, retain_resources, force)
        elif stack_name in _stacks:
            await delete_stack(driver, stack_name, frozenset(retain_resources))

    async def _roll_back_operation(
        stack_name: str, stack_id: str, stack: Record, operation: Record, reason_override: str = ""
    ) -> None:
        del stack_id
        await roll_back(driver, stack_name, stack, operation, reason_override)

    for replacement in (_deploy_stack_async, _delete_stack_async, _roll_back_operation):
        for module in (stacks, handlers, changesets):
            if hasattr(module, replacement.__name__):
                setattr(module, replacement.__name__, _guarded(replacement))


def _can_be_ordered(template: Template, params: Record) -> bool:
    conditions = engine._evaluate_conditions(template, params)  # noqa: SLF001
    try:
        engine._topological_sort(template.get("Resources", {}), conditions)  # noqa: SLF001
    except ValueError:
        return False
    return True


def _guarded(operation: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Run an operation so that a fault of this module ends the stack, in words, and does not leave it waiting."""

    async def run(stack_name: str, *arguments: Any, **named: Any) -> None:
        try:
            await operation(stack_name, *arguments, **named)
        except Exception as error:
            logger.exception("operation on %s", stack_name)
            stack = _stacks.get(stack_name) or {}
            status = str(stack.get("StackStatus", "")).replace("_IN_PROGRESS", "_FAILED")
            stack["StackStatus"], stack["StackStatusReason"] = status, f"The local twin failed: {error!r}"
            raise

    return run
