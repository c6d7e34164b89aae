"""Code that calls the gateway, for people to copy: each operation in each language, as its client has it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pgmq_gateway.queue_functions import FUNCTIONS, SCHEMA

PLACEHOLDER = "YOUR_KEY"


@dataclass(frozen=True)
class Snippet:
    """What the code is to do. `token` is a user's, which goes beside the key."""

    url: str
    queue: str
    operation: str
    key: str
    token: str | None = None

    @property
    def arguments(self) -> dict[str, object]:
        """The arguments of the call."""
        return {"queue_name": self.queue, **FUNCTIONS[self.operation].example}

    @property
    def address(self) -> str:
        """Where the call goes."""
        return f"{self.url}/rest/v1/rpc/{self.operation}"

    @property
    def bearer(self) -> str:
        """What goes into Authorization."""
        return self.token or self.key


def curl(snippet: Snippet) -> str:
    """A command for a shell."""
    return _curl(snippet.address, SCHEMA, snippet.arguments, snippet.key, snippet.bearer)


def create_queue(url: str, queue: str, key: str) -> str:
    """A command that creates a queue."""
    return _curl(f"{url}/rest/v1/rpc/create_queue", "pgmq_admin", {"queue_name": queue}, key, key)


def _curl(address: str, schema: str, arguments: object, key: str, bearer: str) -> str:
    body = json.dumps(arguments, ensure_ascii=False)
    parts = [
        f"curl -sS {_shell(address)}",
        f"-H {_shell(f'apikey: {key}')}",
        f"-H {_shell(f'Authorization: Bearer {bearer}')}",
        f"-H {_shell(f'Content-Profile: {schema}')}",
        "-H 'Content-Type: application/json'",
        f"-d {_shell(body)}",
    ]
    return " \\\n  ".join(parts)


def fetch(snippet: Snippet) -> str:
    """JavaScript with nothing but the platform."""
    headers = {
        "apikey": snippet.key,
        "Authorization": f"Bearer {snippet.bearer}",
        "Content-Profile": SCHEMA,
        "Content-Type": "application/json",
    }
    lines = "".join(f"    {json.dumps(name)}: {json.dumps(value)},\n" for name, value in headers.items())
    return f"""const response = await fetch({json.dumps(snippet.address)}, {{
  method: "POST",
  headers: {{
{lines}  }},
  body: JSON.stringify({_json(snippet.arguments, 2)}),
}});
const answer = await response.json();
if (!response.ok) throw new Error(`${{answer.code}}: ${{answer.message}}`);
console.log(answer);"""


def supabase_js(snippet: Snippet) -> str:
    """JavaScript with supabase-js."""
    options = f", {{\n  accessToken: async () => {json.dumps(snippet.token)},\n}}" if snippet.token else ""
    return f"""import {{ createClient }} from "@supabase/supabase-js";

const supabase = createClient({json.dumps(snippet.url)}, {json.dumps(snippet.key)}{options});
const {{ data, error }} = await supabase
  .schema("{SCHEMA}")
  .rpc("{snippet.operation}", {_json(snippet.arguments, 2)});
if (error) throw error;
console.log(data);"""


def supabase_py(snippet: Snippet) -> str:
    """Python with supabase-py."""
    session = f"\nsupabase.postgrest.auth({json.dumps(snippet.token)})" if snippet.token else ""
    return f"""from supabase import create_client

supabase = create_client({json.dumps(snippet.url)}, {json.dumps(snippet.key)}){session}
answer = supabase.schema("{SCHEMA}").rpc("{snippet.operation}", {_python(snippet.arguments)}).execute()
print(answer.data)"""


def dart(snippet: Snippet) -> str:
    """Dart with the package supabase."""
    session = f",\n  accessToken: () async => {_dart(snippet.token)}" if snippet.token else ""
    return f"""import 'package:supabase/supabase.dart';

final supabase = SupabaseClient(
  {_dart(snippet.url)},
  {_dart(snippet.key)}{session},
);
final data = await supabase
    .schema('{SCHEMA}')
    .rpc('{snippet.operation}', params: {_dart(snippet.arguments)});
print(data);"""


def swift(snippet: Snippet) -> str:
    """Swift with supabase-swift."""
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
  .schema("{SCHEMA}")
  .rpc("{snippet.operation}", params: arguments)
  .execute()
print(String(decoding: response.data, as: UTF8.self))"""


def kotlin(snippet: Snippet) -> str:
    """Kotlin with supabase-kt."""
    session = f"    accessToken = {{ {_kotlin_text(snippet.token)} }}\n" if snippet.token else ""
    return f"""import io.github.jan.supabase.createSupabaseClient
import io.github.jan.supabase.postgrest.Postgrest
import io.github.jan.supabase.postgrest.postgrest
import kotlinx.serialization.json.*

val supabase = createSupabaseClient({_kotlin_text(snippet.url)}, {_kotlin_text(snippet.key)}) {{
{session}    install(Postgrest) {{ defaultSchema = "{SCHEMA}" }}
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


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _json(value: object, indent: int) -> str:
    """JSON over several lines, within code that is indented."""
    return json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n" + " " * indent)


def _python(value: object) -> str:
    # Of what occurs here, only strings, numbers and containers, JSON is Python.
    return json.dumps(value, indent=4, ensure_ascii=False)


def _dart(value: object) -> str:
    # JSON is Dart too, but for the sign that begins an interpolation.
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$")


def _swift(value: object) -> str:
    if isinstance(value, dict):
        return "[" + (", ".join(f"{_swift(key)}: {_swift(item)}" for key, item in value.items()) or ":") + "]"
    # Swift would take \\/ and \\u0000 otherwise than JSON has them; neither is made here.
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
