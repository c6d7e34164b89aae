"""Pages of docs/reference that are generated from the code: `make reference` writes them."""

from pathlib import Path

from website.reference import commands, errors, functions, resources, settings

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


def pages() -> dict[Path, str]:
    """The text of each generated page by its path."""
    made = {
        "commands": commands.page,
        "errors": errors.page,
        "functions": functions.page,
        "resources": resources.page,
        "settings": settings.page,
    }
    return {FOLDER / f"{name}.md": page() for name, page in made.items()}
