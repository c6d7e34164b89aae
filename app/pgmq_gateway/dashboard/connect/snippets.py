"""Code that calls the gateway, for users to copy: each operation in each language, with that language's client."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pgmq_gateway.queue_functions import FUNCTIONS
from pgmq_gateway.schemas import MANAGEMENT, QUEUES

PLACEHOLDER = "YOUR_KEY"
PUBLISHABLE_PLACEHOLDER = "YOUR_PUBLISHABLE_KEY"


@dataclass(frozen=True)
class Snippet:
    """One call. `token` is a user's access token, sent beside the API key."""

    url: str
    queue: str
    operation: str
    key: str
    token: str | None = None

    @property
    def arguments(self) -> dict[str, object]:
        return {"queue_name": self.queue, **FUNCTIONS[self.operation].example}

    @property
    def address(self) -> str:
        return f"{self.url}/rest/v1/rpc/{self.operation}"

    @property
    def bearer(self) -> str:
        """The credentials of the header Authorization."""
        return self.token or self.key


def curl(snippet: Snippet) -> str:
    return _curl(snippet.address, QUEUES, snippet.arguments, snippet.key, snippet.bearer)


def create_queue(url: str, queue: str, key: str) -> str:
    return _curl(f"{url}/rest/v1/rpc/create_queue", MANAGEMENT, {"queue_name": queue}, key, key)


def _curl(address: str, schema: str, arguments: object, key: str, bearer: str) -> str:
    body = json.dumps(arguments, ensure_ascii=False)
    parts = [
        f"curl -sS {shell_text(address)}",
        f"-H {shell_text(f'apikey: {key}')}",
        f"-H {shell_text(f'Authorization: Bearer {bearer}')}",
        f"-H {shell_text(f'Content-Profile: {schema}')}",
        "-H 'Content-Type: application/json'",
        f"-d {shell_text(body)}",
    ]
    return " \\\n  ".join(parts)


def fetch(snippet: Snippet) -> str:
    """JavaScript without a library."""
    headers = {
        "apikey": snippet.key,
        "Authorization": f"Bearer {snippet.bearer}",
        "Content-Profile": QUEUES,
        "Content-Type": "application/json",
    }
    lines = "".join(f"    {json.dumps(name)}: {json.dumps(value)},\n" for name, value in headers.items())
    return f"""const response = await fetch({json.dumps(snippet.address)}, {{
  method: "POST",
  headers: {{
{lines}  }},
  body: JSON.stringify({_json(snippet.arguments, 2)}),
}});
const result = await response.json();
if (!response.ok) throw new Error(`${{result.code}}: ${{result.message}}`);
console.log(result);"""


def supabase_js(snippet: Snippet) -> str:
    options = f", {{\n  accessToken: async () => {json.dumps(snippet.token)},\n}}" if snippet.token else ""
    return f"""import {{ createClient }} from "@supabase/supabase-js";

const supabase = createClient({json.dumps(snippet.url)}, {json.dumps(snippet.key)}{options});
const {{ data, error }} = await supabase
  .schema("{QUEUES}")
  .rpc("{snippet.operation}", {_json(snippet.arguments, 2)});
if (error) throw error;
console.log(data);"""


def supabase_py(snippet: Snippet) -> str:
    session = f"\nsupabase.postgrest.auth({json.dumps(snippet.token)})" if snippet.token else ""
    return f"""from supabase import create_client

supabase = create_client({json.dumps(snippet.url)}, {json.dumps(snippet.key)}){session}
response = supabase.schema("{QUEUES}").rpc("{snippet.operation}", {_python(snippet.arguments)}).execute()
print(response.data)"""


def dart(snippet: Snippet) -> str:
    session = f",\n  accessToken: () async => {_dart(snippet.token)}" if snippet.token else ""
    return f"""import 'package:supabase/supabase.dart';

final supabase = SupabaseClient(
  {_dart(snippet.url)},
  {_dart(snippet.key)}{session},
);
final data = await supabase
    .schema('{QUEUES}')
    .rpc('{snippet.operation}', params: {_dart(snippet.arguments)});
print(data);"""


def swift(snippet: Snippet) -> str:
    session = (
        f",\n  options: SupabaseClientOptions(auth: .init(accessToken: {{ {_swift(snippet.token)} }}))"
        if snippet.token
        else ""
    )
    return f"""import Foundation
import Supabase

let supabase = SupabaseClient(
  supabaseURL: URL(string: {_swift(snippet.url)})!,
  supabaseKey: {_swift(snippet.key)}{session}
)
let arguments: [String: AnyJSON] = {_swift(snippet.arguments)}
let response = try await supabase
  .schema("{QUEUES}")
  .rpc("{snippet.operation}", params: arguments)
  .execute()
print(String(decoding: response.data, as: UTF8.self))"""


def kotlin(snippet: Snippet) -> str:
    session = f"    accessToken = {{ {_kotlin_text(snippet.token)} }}\n" if snippet.token else ""
    return f"""import io.github.jan.supabase.createSupabaseClient
import io.github.jan.supabase.postgrest.Postgrest
import io.github.jan.supabase.postgrest.postgrest
import kotlinx.serialization.json.*

val supabase = createSupabaseClient({_kotlin_text(snippet.url)}, {_kotlin_text(snippet.key)}) {{
{session}    install(Postgrest) {{ defaultSchema = "{QUEUES}" }}
}}
val result = supabase.postgrest.rpc("{snippet.operation}", {_kotlin(snippet.arguments)})
println(result.data)"""


LANGUAGES: Mapping[str, Callable[[Snippet], str]] = {
    "curl": curl,
    "supabase-js": supabase_js,
    "fetch": fetch,
    "supabase-py": supabase_py,
    "Dart": dart,
    "Swift": swift,
    "Kotlin": kotlin,
}


def shell_text(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _json(value: object, indent: int) -> str:
    """JSON on several lines, within code that is indented by `indent` spaces."""
    return json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n" + " " * indent)


def _python(value: object) -> str:
    # The examples have no true, false or null: their JSON is valid Python.
    return json.dumps(value, indent=4, ensure_ascii=False)


def _dart(value: object) -> str:
    # JSON is valid Dart, except that $ starts an interpolation.
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$")


def _swift(value: object) -> str:
    if isinstance(value, dict):
        return "[" + (", ".join(f"{_swift(key)}: {_swift(item)}" for key, item in value.items()) or ":") + "]"
    # The escapes that Swift reads differently, \\/ and \\u0000, are not produced by json.dumps for the examples.
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, list) else _swift_list(value)


def _swift_list(values: list[object]) -> str:
    return "[" + ", ".join(_swift(value) for value in values) + "]"


def _kotlin(value: object) -> str:
    if isinstance(value, dict):
        inner = "; ".join(f"put({_kotlin_text(key)}, {_kotlin(item)})" for key, item in value.items())
        return f"buildJsonObject {{ {inner} }}"
    if isinstance(value, list):
        return f"buildJsonArray {{ {'; '.join(f'add({_kotlin(item)})' for item in value)} }}"
    return _kotlin_text(value) if isinstance(value, str) else json.dumps(value)


def _kotlin_text(text: object) -> str:
    return json.dumps(text, ensure_ascii=False).replace("$", "\\$")
