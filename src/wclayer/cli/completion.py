"""`wclayer completion`: scripts that make a shell complete wclayer's commands and options."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

__all__ = ["completion"]

# PowerShell asks through the same variables that click's other shells use; its answers are `type,value` lines.
_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName wclayer -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $env:COMP_WORDS = $commandAst.ToString()
    $count = $commandAst.CommandElements.Count
    $env:COMP_CWORD = if ($wordToComplete) { $count - 1 } else { $count }
    $env:_WCLAYER_COMPLETE = "bash_complete"
    wclayer | ForEach-Object {
        $kind, $value = $_ -split ",", 2
        [System.Management.Automation.CompletionResult]::new($value, $value, "ParameterValue", $value)
    }
    Remove-Item Env:COMP_WORDS, Env:COMP_CWORD, Env:_WCLAYER_COMPLETE
}
"""


@click.command("completion", no_args_is_help=True)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]))
def completion(shell: str) -> None:
    """Print a script that completes wclayer's commands and options in SHELL.

    \b
    Examples:
      wclayer completion bash > ~/.local/share/bash-completion/completions/wclayer
      wclayer completion zsh > ~/.zfunc/_wclayer
      wclayer completion fish > ~/.config/fish/completions/wclayer.fish
      wclayer completion powershell >> $PROFILE
    """
    if shell == "powershell":
        click.echo(_POWERSHELL, nl=False)
        return
    made = get_completion_class(shell)
    if made is None or not issubclass(made, ShellComplete):
        raise click.UsageError(f"no completion for {shell}")
    from .main import cli  # noqa: PLC0415 # main imports this module

    # Only the script: click's own source() asks the installed bash for its version first.
    complete = made(cli, {}, "wclayer", "_WCLAYER_COMPLETE")
    click.echo(complete.source_template % complete.source_vars())
