"""A component is a folder that a reader can judge alone: code, README, nothing else; the code is a thin wrapper."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path for path in (ROOT / "components").iterdir() if path.is_dir() and path.name != "__pycache__")
LONGEST_BODY = 14


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def folder(request):
    return request.param


def _function(folder: Path) -> ast.FunctionDef:
    tree = ast.parse((folder / "component.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in functions] == [folder.name]
    return functions[0]


def test_a_folder_holds_its_code_and_its_readme(folder):
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == {"component.py", "README.md"}
    assert re.fullmatch(r"[a-z]+_[a-z]+", folder.name), "components are verb_noun"


def test_a_wrapper_is_thin(folder):
    function = _function(folder)
    body = function.body[1:]
    assert ast.get_docstring(function)
    assert body[-1].end_lineno - body[0].lineno + 1 <= LONGEST_BODY
    assert not any(
        isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda) for node in ast.walk(ast.Module(body, []))
    )


def test_the_readme_names_every_parameter_and_a_failure(folder):
    text = (folder / "README.md").read_text()
    for argument in _function(folder).args.args:
        assert f"| `{argument.arg}` |" in text, argument.arg
    inputs, outputs, codes = (text.index(f"## {part}") for part in ("Inputs", "Outputs", "Failure codes"))
    assert inputs < outputs < codes
    assert "| `" in text[codes:]


def test_the_failure_codes_of_the_readme_exist_in_the_code(folder):
    sources = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    text = (folder / "README.md").read_text()
    for code in re.findall(r"\| `([A-Z][A-Z_]+)` \|", text[text.index("## Failure codes") :]):
        assert f'"{code}"' in sources, code
