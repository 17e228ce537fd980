"""Writes `clients/js/api.js` and `api.d.ts` from the API document: what can be called, and types.

With `--check` it only says whether they are what it would write. Run it with the project's Python:
`.venv/bin/python tools/js_client.py`.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from holdfast.api.app import describe

FOLDER = Path(__file__).resolve().parent.parent / "clients" / "js"
NOTE = "// Made from the API document by tools/js_client.py; changes belong there.\n"
JSON = "application/json"

Schema = Mapping[str, Any]


def main() -> int:
    files = written()
    if "--check" in sys.argv[1:]:
        stale = [name for name, text in files.items() if (FOLDER / name).read_text() != text]
        for name in stale:
            print(f"{name} is not what the API document makes of it")
        return 1 if stale else 0
    for name, text in files.items():
        (FOLDER / name).write_text(text)
    return 0


def written() -> dict[str, str]:
    """File name to text."""
    document = describe()
    calls = [_Call(path, method, each) for path, method, each in _operations(document)]
    return {"api.js": _script(calls), "api.d.ts": _types(document, calls)}


def _operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)


class _Call:
    """An operation as a method of the client: path and query by name, the body as `body`."""

    def __init__(self, path: str, method: str, operation: Schema) -> None:
        self.name: str = operation["operationId"]
        self.method = method.upper()
        self.path = re.sub(r"\{(\w+)\}", lambda match: "{" + _camel(match.group(1)) + "}", path)
        self.about: str = operation.get("description", "")
        parameters: list[Schema] = operation.get("parameters", [])
        self.places = [_camel(each["name"]) for each in parameters if each["in"] == "path"]
        self.queries = [each for each in parameters if each["in"] == "query"]
        self.content: Schema = operation.get("requestBody", {}).get("content", {})
        self.answer: Schema = operation["responses"]["200"].get("content", {})

    @property
    def binary_body(self) -> bool:
        return bool(self.content) and JSON not in self.content

    @property
    def binary_answer(self) -> bool:
        return JSON not in self.answer

    def described(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"method": self.method, "path": self.path}
        if self.queries:
            shown["query"] = [each["name"] for each in self.queries]
        if self.binary_body:
            shown["bytes"] = True
        if self.binary_answer:
            shown["raw"] = True
        return shown

    def signature(self, schemas: Mapping[str, Schema]) -> str:
        fields = [f"{name}: string" for name in self.places]
        fields += [
            f"{each['name']}{'' if each.get('required') else '?'}: {_type(each['schema'])}"
            for each in self.queries
        ]
        if self.content:
            body = "BodyInit" if self.binary_body else _type(self.content[JSON]["schema"])
            fields.append(f"body: {body}")
        needed = any(not field.split(":")[0].endswith("?") for field in fields)
        arguments = f"args{'' if needed else '?'}: {{ {'; '.join(fields)} }}" if fields else ""
        about = f"  /** {' '.join(self.about.split())} */\n" if self.about else ""
        return f"{about}  {self.name}({arguments}): Promise<{self._result(schemas)}>;"

    def _result(self, schemas: Mapping[str, Schema]) -> str:
        """What is in the envelope: the data, or with pages the data and its pagination."""
        if self.binary_answer:
            return "Response"
        name = self.answer[JSON]["schema"].get("$ref", "").rpartition("/")[2]
        if not name:
            return "unknown"
        data = _type(schemas[name]["properties"]["data"])
        return f"Page<{data}>" if name.startswith("Many_") else data


def _script(calls: list[_Call]) -> str:
    lines = [f"  {call.name}: {json.dumps(call.described())}," for call in calls]
    return "\n".join([NOTE, "export const operations = {", *lines, "};", ""])


def _types(document: Schema, calls: list[_Call]) -> str:
    schemas: Mapping[str, Schema] = document["components"]["schemas"]
    declared = [
        _declared(name, each)
        for name, each in schemas.items()
        if not name.startswith(("One_", "Many_"))
    ]
    page = "export interface Page<T> { data: T; pagination: Pagination }"
    methods = [call.signature(schemas) for call in calls]
    return "\n".join([NOTE, *declared, page, "export interface Calls {", *methods, "}", ""])


def _declared(name: str, schema: Schema) -> str:
    if schema.get("type") != "object":
        return f"export type {name} = {_type(schema)};"
    required = set(schema.get("required", []))
    fields = [
        f"  {field}{'' if field in required else '?'}: {_type(each)};"
        for field, each in schema.get("properties", {}).items()
    ]
    return "\n".join([f"export interface {name} {{", *fields, "}"])


_PLAIN = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


def _type(schema: Schema) -> str:
    """Null is left out: what is absent is not sent, and nothing that is sent is null."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(each) for each in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        kinds = [_type(each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " | ".join(dict.fromkeys(kinds))
    return _plain(schema)


def _plain(schema: Schema) -> str:
    if schema.get("type") == "array":
        return f"Array<{_type(schema.get('items', {}))}>"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"Record<string, {_type(values) if isinstance(values, Mapping) else 'unknown'}>"
    return _PLAIN.get(schema.get("type", ""), "unknown")


if __name__ == "__main__":
    sys.exit(main())
