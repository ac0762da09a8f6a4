"""The settings: check, show, import, document."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meliora.cli.shared import Json, config_file, paint, say, settings, show
from meliora.errors import Conflict

app = typer.Typer(no_args_is_help=True, help="Settings: check them, show them, bring them over, document them.")
bring = typer.Typer(no_args_is_help=True, help="Bring settings over from elsewhere.")
app.add_typer(bring, name="import")


@app.command()
def check(json: Json = False) -> None:
    """Say everything that is wrong with the settings: where, what, and what to write. Ends with 2 if anything is."""
    from meliora.settings.load import read

    loaded = read(config_file())
    for problem in loaded.problems:
        if json:
            show(problem)
        else:
            say(f"{paint(problem.severity, 'red' if problem.severity == 'error' else 'yellow')}  {problem}")
    if loaded.errors:
        raise typer.Exit(2)
    if not json:
        say(f"{loaded.file or 'Defaults and environment'}: the settings hold together.")


@app.command("show")
def show_() -> None:
    """Print the settings in force as JSON. Keys are shown by reference, passwords in addresses not at all."""
    from meliora.settings.secret import mask_login

    say(mask_login(settings().model_dump_json(indent=2)))


@bring.command("litellm")
def litellm(
    file: Annotated[Path, typer.Argument(help="LiteLLM proxy `config.yaml`.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: standard output.")
    ] = None,
) -> None:
    """Translate a LiteLLM proxy configuration. What cannot cross is said, and noted in the result."""
    from meliora.settings.litellm import convert

    _give(*convert(file), output)


@bring.command("self-improvement")
def self_improvement(
    file: Annotated[Path, typer.Argument(help="YAML with `selfImprovement:`, e.g. a Helm values file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: standard output.")
    ] = None,
) -> None:
    """Translate `selfImprovement:` to the settings of the loop. A key there is not is refused; what cannot cross is said."""
    from meliora.settings.self_improvement import convert

    _give(*convert(file), output)


def _give(text: str, notes: list[str], output: Path | None) -> None:
    if output is None:
        say(text.rstrip())
    else:
        _write_new(output, text)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    if output is not None:
        typer.echo(f"{output} is written. Look at it with: meliora config check --config {output}", err=True)


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Conflict(f"{path} exists already.", hint="Name another file, or remove it.") from None


@app.command()
def document(
    write: Annotated[bool, typer.Option("--write", help="Write the files under docs/ again.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail where the files under docs/ are not current.")] = False,
    example: Annotated[bool, typer.Option("--example", help="Print a commented meliora.toml instead.")] = False,
    directory: Annotated[Path, typer.Option(help="Where the documentation lies.")] = Path("docs"),
) -> None:
    """Print the reference of all settings, or write it and that of all commands under docs/, from the code."""
    from meliora.cli.reference import reference as commands
    from meliora.settings.document import example as example_text
    from meliora.settings.document import reference

    if not write and not check:
        say((example_text() if example else reference()).rstrip())
        return
    texts = {
        "configuration.md": reference(),
        "meliora.example.toml": example_text(),
        "cli.md": commands(),
    }
    for name, text in texts.items():
        path = directory / name
        if write:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise Conflict(f"{path} is not current.", hint="Run: meliora config document --write")
