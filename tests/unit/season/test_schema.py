"""The published JSON schema is the one that the code enforces."""

import json
from pathlib import Path

from aisc.season import season_schema

PUBLISHED = Path(__file__).parents[3] / "docs" / "formats" / "season.schema.json"


def test_the_published_schema_is_current() -> None:
    remedy = (
        "run: python -c 'import json, aisc.season as s; print(json.dumps(s.season_schema(), indent=2))'"
        " > docs/formats/season.schema.json"
    )
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == season_schema(), remedy


def test_every_setting_of_the_schema_stands_in_the_documentation() -> None:
    text = PUBLISHED.with_name("season.md").read_text(encoding="utf-8")
    schema = season_schema()
    models = [
        schema,
        *schema["$defs"].values(),
        *(
            rule["then"]["properties"]["stages"]["additionalProperties"]["properties"]["limits"]
            for rule in schema["$defs"]["Track"]["allOf"]
        ),
    ]
    settings = {name for model in models for name in model["properties"]}
    assert {name for name in settings if f"`{name}`" not in text} == set()
