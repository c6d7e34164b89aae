"""Programs that process the messages of a queue: those of docs/guides/worker-*.md."""

from pathlib import Path

from pgmq_gateway.dashboard.connect.snippets import Snippet, shell_text

# By the name of the language: the file of the program.
FILES = {"Python": "worker.py", "TypeScript": "worker.ts", "bash": "worker.sh", "Edge Function": "index.ts"}


def program(language: str) -> str:
    return Path(__file__).with_name(f"{FILES[language]}.txt").read_text().rstrip("\n")


def settings(language: str, snippet: Snippet) -> str:
    """The commands that set the program's environment."""
    if language == "Edge Function":
        values = {"QUEUE_URL": f"{snippet.url}/rest/v1/queues/{snippet.queue}", "QUEUE_KEY": snippet.bearer}
        return "\n".join(f"supabase secrets set {name}={shell_text(value)}" for name, value in values.items())
    values = {"SUPABASE_URL": snippet.url, "SUPABASE_KEY": snippet.bearer, "QUEUE": snippet.queue}
    return "\n".join(f"export {name}={shell_text(value)}" for name, value in values.items())
