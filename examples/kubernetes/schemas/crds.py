"""Prints definitions of VolSync's objects for an API server, made of volsync.yaml, so that it knows no more fields than that."""

import json
import pathlib

import yaml

SCHEMA = yaml.safe_load((pathlib.Path(__file__).parent / "volsync.yaml").read_text())
PLURALS = {"ReplicationSource": "replicationsources", "ReplicationDestination": "replicationdestinations"}


def structural(schema):
    """A server wants references resolved and a type everywhere, and refuses unknown fields by itself."""
    if isinstance(schema, list):
        return [structural(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return structural(SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")])
    schema = {key: structural(value) for key, value in schema.items() if (key, value) != ("additionalProperties", False)}
    return {"type": "string", **schema} if "enum" in schema else schema


def definition(kind, spec):
    group, version = SCHEMA["properties"]["apiVersion"]["const"].split("/")
    schema = {"type": "object", "required": ["spec"], "properties": {"spec": structural(spec)}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURALS[kind]}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": PLURALS[kind], "singular": kind.lower()},
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


kinds = [(way["properties"]["kind"]["const"], way["properties"]["spec"]) for way in SCHEMA["oneOf"]]
print(json.dumps({"apiVersion": "v1", "kind": "List", "items": [definition(*kind) for kind in kinds]}))
