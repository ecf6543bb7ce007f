package main

import (
	"embed"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/internal/nearest"
)

// completions are scripts that ask degas itself, with completionFlag behind the words typed so far.
//
//go:embed completion
var completions embed.FS

const completionFlag = "--generate-bash-completion"

// shells are those that degas completion knows. urfave/cli writes the script for fish.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func (c *command) completion() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a script that completes degas' commands and flags in a shell",
		ArgsUsage: strings.Join(shells, "|"),
		Description: "The script's first lines say where your shell looks for it.\n\n" +
			"Example: source <(degas completion bash)\n" +
			"Example: degas completion fish > ~/.config/fish/completions/degas.fish",
		Action:       action(1, 1, c.completionAction),
		BashComplete: func(ctx *cli.Context) { io.WriteString(c.out, strings.Join(shells, "\n")+"\n") },
	}
}

func (c *command) completionAction(ctx *cli.Context) error {
	shell := ctx.Args().First()
	if !slices.Contains(shells, shell) {
		return usagef("shell %q: must be one of %s", shell, strings.Join(shells, ", "))
	}
	if shell == "fish" {
		script, err := ctx.App.ToFishCompletion()
		if err == nil {
			_, err = io.WriteString(c.out, script)
		}
		return err
	}
	script, err := completions.ReadFile("completion/" + shell)
	if err == nil {
		_, err = c.out.Write(script)
	}
	return err
}

// man is for packagers: degas man > degas.1.
func (c *command) man() *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "print degas' man page", Hidden: true,
		Action: action(0, 0, func(ctx *cli.Context) error {
			page, err := ctx.App.ToManWithSection(1)
			if err == nil {
				_, err = io.WriteString(c.out, page)
			}
			return err
		}),
	}
}

func (c *command) help() *cli.Command {
	return &cli.Command{
		Name:      "help",
		Usage:     "describe a command",
		ArgsUsage: "[COMMAND]",
		Action: action(0, 1, func(ctx *cli.Context) error {
			name := ctx.Args().First()
			if name == "" {
				return cli.ShowAppHelp(ctx)
			}
			if ctx.App.Command(name) == nil {
				return unknownCommand(ctx.App, name)
			}
			return cli.ShowCommandHelp(ctx, name)
		}),
		BashComplete: func(ctx *cli.Context) { io.WriteString(c.out, strings.Join(visible(ctx.App), "\n")+"\n") },
	}
}

// visible are the names of the commands that the help lists.
func visible(app *cli.App) (names []string) {
	for _, sub := range app.Commands {
		if !sub.Hidden {
			names = append(names, sub.Name)
		}
	}
	return names
}

func unknownCommand(app *cli.App, name string) error {
	names := visible(app)
	hint := "known are " + strings.Join(names, ", ")
	if meant := meantCommands(name, names); len(meant) > 0 {
		hint = "did you mean " + strings.Join(meant, " or ") + "?"
	}
	return usagef("unknown command %q: %s", name, hint)
}

// meantCommands are the commands that somebody who typed given most likely meant: those that it begins, else the one
// with nearly its spelling, else those with a word of the same stem ("training", "threshold").
func meantCommands(given string, names []string) (meant []string) {
	for _, name := range names {
		if len(given) > 1 && strings.HasPrefix(name, given) {
			meant = append(meant, name)
		}
	}
	if len(meant) > 0 {
		return meant
	}
	if best := nearest.Of(given, names); best != "" {
		return []string{best}
	}
	for _, name := range names {
		if slices.ContainsFunc(strings.Split(name, "-"), func(word string) bool { return sameStem(given, word) }) {
			meant = append(meant, name)
		}
	}
	return meant
}

// sameStem reports whether two words begin alike, for at least four letters and most of the first one. Half of all
// commands are about a model or about data.
func sameStem(given, word string) bool {
	if word == "model" || word == "data" {
		return false
	}
	n := 0
	for n < min(len(given), len(word)) && given[n] == word[n] {
		n++
	}
	return n >= 4 && 2*n > len(given)
}

// completing reports whether a shell asks how args may go on.
func completing(args []string) bool { return len(args) > 0 && args[len(args)-1] == completionFlag }
