package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/degas-dns/degas/internal/printable"

	_ "go4.org/unsafe/assume-no-moving-gc" // gorgonia needs this version on current Go

	_ "github.com/degas-dns/degas/export/formats"
	_ "github.com/degas-dns/degas/trainer/cuda"
	_ "github.com/degas-dns/degas/trainer/graph"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitFound       = 3
	exitInterrupted = 130
)

// command holds what all commands share: where they read and write.
type command struct {
	in       io.Reader
	out, err io.Writer
	terminal bool // err is one, so progress may be drawn
	quiet    bool
	goesOn   string // how an interrupted command goes on, if not by the same command again
}

// usageError is a mistake in how a command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	results := &output{w: out}
	c := &command{in: in, out: results, err: errOut}
	if f, ok := errOut.(*os.File); ok {
		c.terminal = term.IsTerminal(int(f.Fd()))
	}
	app := c.app()
	if completing(args) && slices.Contains(args, "--") {
		return 0 // urfave/cli would run the command: behind "--" there are no flags to complete
	}
	args, err := intersperse(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	if results.err != nil && (err == nil || errors.Is(err, results.err)) {
		err = fmt.Errorf("print the result: %w", results.err)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		goesOn := cmp.Or(c.goesOn, "run the same command again")
		printable.Fprintf(errOut, "degas: interrupted; %s\n", goesOn)
		return exitInterrupted
	}
	for i, line := range errorLines(err) {
		printable.Fprintf(errOut, "%s%s\n", map[bool]string{true: "degas: "}[i == 0], shortened(line))
	}
	if errors.As(err, &usageError{}) {
		return exitUsage
	}
	if errors.As(err, &foundError{}) {
		return exitFound
	}
	return exitFailed
}

// output is where results go. It keeps the first error, for those who do not look at what writing says.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (n int, err error) {
	if o.err == nil {
		n, o.err = o.w.Write(p)
	}
	return n, o.err
}

// errorLines is what an error says, a line for each of the errors that errors.Join joined in it. An error may quote a
// stranger's text: other line ends are left for printing to escape.
func errorLines(err error) []string {
	var parts []error
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		parts = []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		parts = e.Unwrap()
	}
	rest, lines := err.Error(), []string{""}
	add := func(text string) { lines[len(lines)-1] += text }
	for i, part := range parts {
		if part == nil {
			continue
		}
		before, after, ok := strings.Cut(rest, part.Error())
		if !ok {
			continue
		}
		if i > 0 && before == "\n" {
			lines = append(lines, "")
		} else {
			add(before)
		}
		inner := errorLines(part)
		add(inner[0])
		lines, rest = append(lines, inner[1:]...), after
	}
	add(rest)
	return lines
}

// shortened leaves out the middle of a long line: an error may quote a file that has one endless word. What to do next
// stands at the end.
func shortened(line string) string {
	const begin, end = 700, 300
	if len(line) <= begin+end {
		return line
	}
	return strings.ToValidUTF8(line[:begin], "") + " … " + strings.ToValidUTF8(line[len(line)-end:], "")
}

func (c *command) app() *cli.App {
	app := &cli.App{
		Name:      "degas",
		Usage:     "train, measure and ship classifiers for DNS names: benign, DGA, tunnel",
		Version:   version(),
		Writer:    c.out,
		ErrWriter: c.err,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress", EnvVars: []string{"DEGAS_QUIET"}},
			&cli.BoolFlag{Name: "verbose", Usage: "log what is being done", EnvVars: []string{"DEGAS_VERBOSE"}},
			&cli.StringFlag{Name: "log-format", Value: "text", Usage: "text or json", EnvVars: []string{"DEGAS_LOG_FORMAT"}},
			cli.HelpFlag, // urfave/cli adds it only to a program without a command help
		},
		Before:               c.before,
		Commands:             c.commands(),
		EnableBashCompletion: true,
		HideHelpCommand:      true,
		// run prints errors and chooses the exit code.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			if _, name, ok := strings.Cut(err.Error(), "not defined: -"); ok && strings.Contains(name, ".") { // no flag has dots
				err = fmt.Errorf("%w. Before a name or a file that begins with a hyphen, write --, as in: -- -%s", err, name)
			}
			return usageError{err}
		},
		Action: func(ctx *cli.Context) error {
			if name := ctx.Args().First(); name != "" {
				return unknownCommand(ctx.App, name)
			}
			return cli.ShowAppHelp(ctx)
		},
	}
	for _, sub := range app.Commands {
		sub.OnUsageError = app.OnUsageError
		sub.Before = func(ctx *cli.Context) error { return cmp.Or(noEmptyFlag(ctx), noStorage(ctx)) }
		sub.HideHelpCommand = true // degas help COMMAND does it
	}
	return app
}

func (c *command) commands() []*cli.Command {
	return []*cli.Command{
		c.download(), c.process(), c.describe(), c.inspect(), c.convert(), c.devices(),
		c.train(), c.threshold(), c.calibrate(), c.evaluate(), c.compare(), c.tune(),
		c.export(), c.publish(), c.importModel(), c.predict(), c.explain(), c.classify(), c.scan(), c.watch(),
		c.dns(), c.serve(), c.token(), c.model(), c.showCommand(), c.runs(), c.generate(), c.run(),
		c.completion(), c.man(), c.help(), c.version(),
	}
}

func (c *command) before(ctx *cli.Context) error {
	c.quiet = ctx.Bool("quiet")
	level := slog.LevelWarn
	if ctx.Bool("verbose") {
		level = slog.LevelDebug
	}
	var h slog.Handler
	switch o := (&slog.HandlerOptions{Level: level}); ctx.String("log-format") {
	case "text":
		h = slog.NewTextHandler(c.err, o)
	case "json":
		h = slog.NewJSONHandler(printable.JSONWriter(c.err), o)
	default:
		return usagef("log-format %q: must be text or json", ctx.String("log-format"))
	}
	slog.SetDefault(slog.New(h))
	return nil
}

// intersperse moves a command's flags before its arguments, where urfave/cli looks for them, so that
// "train-model data/processed --epochs 5" means what it says. It moves degas' own flags before the command. What
// follows "--" stays as it is.
func intersperse(app *cli.App, args []string) ([]string, error) {
	at, sub := 1, (*cli.Command)(nil)
	for ; at < len(args); at++ {
		if !strings.HasPrefix(args[at], "-") {
			sub = app.Command(args[at])
			break
		}
		if takesValue(app.Flags, args[at]) {
			at++
		}
	}
	if sub == nil || sub.SkipFlagParsing || completing(args) {
		return args, nil
	}
	global, own, rest := slices.Clone(args[:at]), []string{sub.Name}, []string(nil)
	for i := at + 1; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		to, flags := &own, sub.Flags
		if !hasFlag(sub.Flags, a) && hasFlag(app.Flags, a) {
			to, flags = &global, app.Flags
		}
		*to = append(*to, a)
		if takesValue(flags, a) {
			if i++; i == len(args) {
				return nil, usagef("%s: flag %s needs a value", sub.Name, a)
			}
			*to = append(*to, args[i])
		}
	}
	out := append(global, own...)
	if len(rest) > 0 {
		out = append(append(out, "--"), rest...)
	}
	return out, nil
}

// flagAt is where the flag that arg sets is in flags, -1 if it is not there.
func flagAt(flags []cli.Flag, arg string) int {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	return slices.IndexFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
}

func hasFlag(flags []cli.Flag, arg string) bool { return flagAt(flags, arg) >= 0 }

// takesValue reports whether the argument behind arg is the value of the flag arg.
func takesValue(flags []cli.Flag, arg string) bool {
	i := flagAt(flags, arg)
	if i < 0 || strings.Contains(arg, "=") {
		return false
	}
	_, isBool := flags[i].(*cli.BoolFlag)
	return !isBool
}

// noEmptyFlag refuses a flag whose value is empty, as that of a shell's variable is which is not set: the default in
// its place would be another model, run or folder than the user means.
func noEmptyFlag(ctx *cli.Context) error {
	for _, name := range ctx.LocalFlagNames() {
		if s, ok := ctx.Value(name).(string); ok && s == "" {
			return usagef("--%s is empty. Try: give it a value, or leave it out for its default", name)
		}
	}
	return nil
}

// otherArguments are the commands whose arguments may be URLs of object storage, or names.
var otherArguments = []string{"inspect", "convert", "train-model", "tune", "show", "publish-model", "process-data",
	"predict", "explain"}

// noStorage refuses a URL of object storage where a command takes paths: it would read or make a folder named "s3:".
// The error does not repeat the URL, which may hold a secret. A flag that takes URLs says so.
func noStorage(ctx *cli.Context) error {
	for _, f := range ctx.Command.Flags {
		name := f.Names()[0]
		usage := f.(cli.DocGenerationFlag).GetUsage()
		values := append(ctx.StringSlice(name), ctx.String(name))
		if !strings.Contains(usage, "URL") && slices.ContainsFunc(values, inStorage) {
			return usagef("--%s: %s takes paths here, and no URL of object storage. Try: copy it to this machine", name,
				ctx.Command.Name)
		}
	}
	if !slices.Contains(otherArguments, ctx.Command.Name) && slices.ContainsFunc(ctx.Args().Slice(), inStorage) {
		return usagef("%s takes paths, and no URL of object storage. Try: copy it to this machine", ctx.Command.Name)
	}
	return nil
}

func inStorage(s string) bool {
	return strings.HasPrefix(s, "s3://") || strings.HasPrefix(s, "gs://") || strings.HasPrefix(s, "file://")
}

// arguments checks how many positional arguments a command got, and that none is empty, for noEmptyFlag's reason.
func arguments(ctx *cli.Context, least, most int) error {
	if n := ctx.NArg(); n < least || most >= 0 && n > most {
		return usagef("%s: %d arguments; usage: degas %s %s", ctx.Command.Name, n, ctx.Command.Name, ctx.Command.ArgsUsage)
	}
	if i := slices.Index(ctx.Args().Slice(), ""); i >= 0 {
		return usagef("%s: argument %d is empty. Try: degas help %s", ctx.Command.Name, i+1, ctx.Command.Name)
	}
	return nil
}

// action is do, after the check of arguments.
func action(least, most int, do cli.ActionFunc) cli.ActionFunc {
	return func(ctx *cli.Context) error {
		if err := arguments(ctx, least, most); err != nil {
			return err
		}
		return do(ctx)
	}
}

// argument is the i-th positional argument or a default.
func argument(ctx *cli.Context, i int, def string) string {
	return cmp.Or(ctx.Args().Get(i), def)
}

// show prints a result: v where --json asks for it, otherwise what text writes, whose tabs become columns.
func (c *command) show(ctx *cli.Context, v any, text func(w io.Writer)) error {
	if ctx.Bool("json") {
		return c.printJSON(v)
	}
	w := tabwriter.NewWriter(c.out, 2, 0, 2, ' ', 0)
	text(w)
	return w.Flush()
}

func (c *command) printJSON(v any) error {
	e := json.NewEncoder(printable.JSONWriter(c.out))
	e.SetIndent("", "  ")
	return e.Encode(v)
}

var jsonFlag = &cli.BoolFlag{Name: "json", Usage: "print the result as JSON"}
