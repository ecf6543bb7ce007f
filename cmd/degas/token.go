package main

import (
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/serve/token"
)

func (c *command) token() *cli.Command {
	return &cli.Command{
		Name:      "token",
		Usage:     "make a token for a server of serve --tokens",
		ArgsUsage: "NAME",
		Description: "Prints a line for the file of tokens on standard output, and the token itself on standard error.\n" +
			"The file has only the token's hash, so the token is shown once.\n\n" +
			"Example: degas token resolver-1 --scope lists --scope events >> tokens",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "scope", Value: cli.NewStringSlice(string(token.Score)),
				Usage: "what it is good for: score, events, lists, decide, metrics or admin; may be given again"},
			&cli.DurationFlag{Name: "for", Usage: "the token expires after `TIME`, such as 8760h (default: never)"},
		},
		Action: action(1, 1, c.tokenAction),
	}
}

func (c *command) tokenAction(ctx *cli.Context) error {
	var scopes []token.Scope
	for _, s := range ctx.StringSlice("scope") {
		for word := range strings.SplitSeq(s, ",") {
			scopes = append(scopes, token.Scope(word))
		}
	}
	var expires time.Time
	if d := ctx.Duration("for"); d > 0 {
		expires = time.Now().Add(d)
	}
	secret, line, err := token.New(ctx.Args().First(), scopes, expires)
	if err != nil {
		return err
	}
	if _, err := printable.Fprintf(c.out, "%s\n", strings.TrimSuffix(line, "\n")); err != nil {
		return err
	}
	printable.Fprintf(c.err, "%s\n", secret)
	return nil
}
