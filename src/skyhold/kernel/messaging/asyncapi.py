"""The AsyncAPI document of the events: what is sent, in what form, and where it can be read.

Written by hand and not by FastStream, whose generator knows one key for a queue and no dead
letters, and lists what it found in another order every time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .bus import Subscription
from .cloudevents import CONTENT_TYPE, SEQUENCE_DIGITS, SPEC_VERSION
from .plan import Plan

ENVELOPE = "CloudEvent"
BINDING_VERSION = "0.3.0"

Json = dict[str, Any]
Payload = type[BaseModel]


class EventKind(Protocol):
    """A type of event: who tells it, what it says, and what is in its data."""

    @property
    def type(self) -> str: ...  # noqa: D102 - the class says it
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def says(self) -> str: ...  # noqa: D102
    @property
    def payload(self) -> Payload: ...  # noqa: D102


def asyncapi_document(
    kinds: Sequence[EventKind],
    topology: Sequence[Subscription],
    *,
    version: str,
    delivery_limit: int,
) -> str:
    """The document, as JSON; the same for the same arguments."""
    plan = Plan(tuple(topology), "", delivery_limit)
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Skyhold events",
            "version": version,
            "description": (
                "Every event is a CloudEvent 1.0 in its structured JSON form. It comes at least "
                "once: its `id` tells a repeat, and `sequence`, which grows with every event of "
                "one `subject` and `source`, tells an older one. What a reader does not know it "
                "passes over."
            ),
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": _channels(kinds, plan),
        "operations": _operations(kinds, plan),
        "components": {
            "messages": {kind.type: _message(kind) for kind in kinds},
            "schemas": _schemas(kinds),
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _channels(kinds: Sequence[EventKind], plan: Plan) -> Json:
    channels: Json = {}
    for kind in kinds:
        channels[kind.type] = {
            "address": kind.type,
            "description": kind.says,
            "messages": _messages([kind]),
            "bindings": {"amqp": _routing_key_binding(plan)},
        }
    for subscription in plan.topology:
        queue, dead = plan.queue(subscription), plan.dead_queue(subscription)
        messages = _messages(_wanted(kinds, subscription))
        channels[queue.name] = {
            "address": queue.name,
            "description": (
                f"Bound to {plan.events.name} by {', '.join(subscription.keys)}. An event that is "
                f"sent back more than {plan.delivery_limit} times goes to {dead.name}, as does "
                "what is no event."
            ),
            "messages": messages,
            "bindings": {"amqp": _queue_binding(queue.name)},
            "x-routing-keys": list(subscription.keys),
            "x-arguments": queue.arguments,
        }
        channels[dead.name] = {
            "address": dead.name,
            "description": f"What {queue.name} gave up on; it waits for a person.",
            "messages": messages,
            "bindings": {"amqp": _queue_binding(dead.name)},
            "x-routing-keys": [queue.name],
            "x-arguments": dead.arguments,
        }
    return channels


def _operations(kinds: Sequence[EventKind], plan: Plan) -> Json:
    operations: Json = {}
    for kind in kinds:
        operations[f"send.{kind.type}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{kind.type}"},
            "summary": kind.says,
            "bindings": {
                "amqp": {
                    "deliveryMode": 2,
                    "mandatory": True,
                    "bindingVersion": BINDING_VERSION,
                }
            },
        }
    for subscription in plan.topology:
        operations[f"receive.{subscription.queue}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{subscription.queue}"},
            "bindings": {"amqp": {"ack": True, "bindingVersion": BINDING_VERSION}},
        }
    return operations


def _message(kind: EventKind) -> Json:
    own = {
        "type": {"const": kind.type},
        "source": {"const": kind.source},
        "data": _schema(kind.payload.__name__),
    }
    return {
        "name": kind.type,
        "title": kind.says,
        "contentType": CONTENT_TYPE,
        "payload": {"allOf": [_schema(ENVELOPE), {"type": "object", "properties": own}]},
    }


def _schemas(kinds: Sequence[EventKind]) -> Json:
    payloads = dict.fromkeys(kind.payload for kind in kinds)
    _, generated = models_json_schema(
        [(payload, "serialization") for payload in payloads],
        ref_template="#/components/schemas/{model}",
    )
    return {ENVELOPE: _envelope()} | dict(sorted(generated["$defs"].items()))


def _envelope() -> Json:
    text = {"type": "string", "minLength": 1}
    required: Json = {
        "specversion": {"const": SPEC_VERSION},
        "id": text | {"description": "The same in a repeat, and in no other event"},
        "source": text | {"description": "The service that tells of it"},
        "type": text | {"description": "What happened; on the broker, the routing key"},
        "subject": text | {"description": "What it happened to"},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "sequence": {
            "type": "string",
            "pattern": f"^[0-9]{{{SEQUENCE_DIGITS}}}$",
            "description": "Grows with every event of this subject and source; sorts as text",
        },
        "data": {"type": "object"},
    }
    optional: Json = {
        "requestid": text | {"description": "The X-Request-ID in whose course it happened"},
        "traceparent": text | {"description": "The trace that it belongs to (W3C Trace Context)"},
    }
    return {
        "type": "object",
        "description": "CloudEvents 1.0 with the extensions sequence and traceparent.",
        "properties": required | optional,
        "required": list(required),
    }


def _wanted(kinds: Iterable[EventKind], subscription: Subscription) -> list[EventKind]:
    return [kind for kind in kinds if subscription.wants(kind.type)]


def _messages(kinds: Iterable[EventKind]) -> Json:
    return {kind.type: {"$ref": f"#/components/messages/{kind.type}"} for kind in kinds}


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _routing_key_binding(plan: Plan) -> Json:
    exchange = plan.events
    return {
        "is": "routingKey",
        "exchange": {
            "name": exchange.name,
            "type": exchange.type.value,
            "durable": exchange.durable,
            "autoDelete": exchange.auto_delete,
        },
        "bindingVersion": BINDING_VERSION,
    }


def _queue_binding(name: str) -> Json:
    return {
        "is": "queue",
        "queue": {"name": name, "durable": True, "exclusive": False, "autoDelete": False},
        "bindingVersion": BINDING_VERSION,
    }
