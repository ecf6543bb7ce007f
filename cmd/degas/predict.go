package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/detect/predict"
	"github.com/degas-dns/degas/internal/asutf8"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
)

func (c *command) predict() *cli.Command {
	return &cli.Command{
		Name:      "predict",
		Usage:     "score names from arguments or standard input",
		ArgsUsage: "[MODEL] [NAME…]",
		Description: "MODEL is a run's directory, its model/, or an exported version directory. If the first argument is\n" +
			"no such directory, it is a name, and the built-in model scores it. Names come from the arguments or, one\n" +
			"per line, from standard input. Each line of output holds a name, its score and its label, separated by\n" +
			"tabs, in the order of the input. The score is the probability that the name is not benign. The label is\n" +
			"benign below the model's threshold, which degas show MODEL prints. Of a URL or a name with a port, the\n" +
			"host is scored. What is no name, such as an address or a comment, has the score 0, the label invalid and\n" +
			"a fourth column with the reason; empty lines are left out. Control characters in a name are shown as\n" +
			"escapes such as \\t.\n\n" +
			"Example: degas predict google.com xjpakmdcfuqe.biz\n" +
			"Example: degas predict runs/first/model google.com xjpakmdcfuqe.biz",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Usage: "`MODEL` or builtin; then every argument is a name"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object per line, with the probabilities of all labels"},
		},
		Action: c.predictAction,
	}
}

func (c *command) predictAction(ctx *cli.Context) error {
	m, names, err := modelAndNames(ctx)
	if err != nil {
		return err
	}
	cl, err := model.NewClassifier(m)
	if err != nil {
		return err
	}
	p := predictor{scorer: predict.New(cl), out: bufio.NewWriterSize(c.out, 1<<16), json: ctx.Bool("json")}
	if len(names) > 0 {
		err = p.score(ctx.Context, names)
	} else {
		err = p.stream(ctx.Context, c.in)
	}
	return errors.Join(err, p.out.Flush())
}

// modelAndNames reads the model that the command line asks for, and returns the names on it. A first argument that
// looks like a model, and is none, is an error: scored as a name, a mistyped directory would go unnoticed.
func modelAndNames(ctx *cli.Context) (*model.Model, []string, error) {
	names := ctx.Args().Slice()
	if ctx.IsSet("model") {
		m, err := model.LoadNamed(ctx.String("model"))
		return m, names, err
	}
	if len(names) == 0 {
		m, err := model.Builtin()
		return m, nil, err
	}
	first := names[0]
	if first == "" && len(names) > 1 { // a shell's variable for the model that is not set
		return nil, nil, usagef("predict: the first argument is empty. "+
			"Try: degas predict --model %s NAME…", model.BuiltinName)
	}
	_, err := os.Lstat(first) // a link that leads nowhere is no name, either
	exists := err == nil
	if info, err := os.Stat(first); first == model.BuiltinName || err == nil && info.IsDir() {
		if m, err := model.LoadNamed(first); !errors.Is(err, model.ErrNoModel) {
			return m, names[1:], err
		}
	}
	path := strings.ContainsAny(first, "/"+string(os.PathSeparator)) && !strings.Contains(first, "://") // no URL
	if newest := model.NewestVersion(first); newest != "" {
		return nil, nil, fmt.Errorf("%s is a store, a folder of versions. Try: degas predict %s NAME…", first, newest)
	}
	if exists || path {
		return nil, nil, fmt.Errorf("%s is not a model's directory: there is no %s in it. To score it as a name, "+
			"try: degas predict --model %s %s", first, model.SpecFile, model.BuiltinName, first)
	}
	m, err := model.Builtin()
	return m, names, err
}

// predictor scores names and writes verdicts. One goroutine uses it.
type predictor struct {
	scorer *predict.Scorer
	out    *bufio.Writer
	json   bool
}

// stream scores lines as they come. While it scores a batch, the lines of the next one arrive.
func (p *predictor) stream(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines, failed := readLines(ctx, in)
	for batch := make([]string, 0, predict.Batch); ; batch = batch[:0] {
		select {
		case line, ok := <-lines:
			if !ok {
				return <-failed
			}
			batch = append(batch, line)
		case <-ctx.Done():
			return ctx.Err()
		}
		for len(batch) < predict.Batch && len(lines) > 0 {
			batch = append(batch, <-lines)
		}
		if err := errors.Join(p.score(ctx, batch), p.out.Flush()); err != nil {
			return err
		}
	}
}

// readLines sends the lines of in, UTF-8 or UTF-16, that are not empty. The second channel gets the error before the
// first is closed.
func readLines(ctx context.Context, in io.Reader) (<-chan string, <-chan error) {
	lines, failed := make(chan string, predict.Batch), make(chan error, 1)
	go func() {
		defer close(lines)
		in, err := asutf8.Reader(in)
		if err != nil {
			failed <- fmt.Errorf("read names: %w", err)
			return
		}
		s := bufio.NewScanner(in)
		s.Buffer(make([]byte, 0, 4096), predict.MaxLine)
		n := 0
		for s.Scan() {
			n++
			if line := strings.TrimRight(s.Text(), "\r"); line != "" {
				select {
				case lines <- line:
				case <-ctx.Done():
					failed <- ctx.Err()
					return
				}
			}
		}
		err = s.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("read names: line %d is longer than %d bytes. Try: one name a line", n+1, predict.MaxLine)
		} else if err != nil {
			err = fmt.Errorf("read names: line %d: %w", n+1, err)
		}
		failed <- err
	}()
	return lines, failed
}

func (p *predictor) score(ctx context.Context, names []string) error {
	return p.scorer.Score(ctx, names, p.write)
}

func (p *predictor) write(name string, v *model.Verdict) error {
	if p.json {
		return p.scorer.WriteJSON(p.out, name, v)
	}
	if v.Invalid != nil {
		_, err := printable.Fprintf(p.out, "%s\t%.6f\t%s\t%s\n", name, v.Score, v.Label, v.Invalid)
		return err
	}
	_, err := printable.Fprintf(p.out, "%s\t%.6f\t%s\n", name, v.Score, v.Label)
	return err
}
