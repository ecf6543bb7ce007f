package main

import (
	"io"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/model"
)

// modelArgument is the first argument, or else the built-in model.
func modelArgument(ctx *cli.Context) string { return argument(ctx, 0, model.BuiltinName) }

func (c *command) model() *cli.Command {
	return &cli.Command{
		Name:  "model",
		Usage: "print the card of the built-in model: what it learned, what it was measured on, what it is not for",
		Description: "predict, serve and export-model use the built-in model unless you name another. Wherever a command\n" +
			"takes MODEL, RUN or --from, you may write builtin for it.\n\n" +
			"Example: degas model",
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print its name, hash, threshold, labels and parameters"}},
		Action: action(0, 0, c.modelAction),
	}
}

// builtinModel is what degas model --json prints.
type builtinModel struct {
	Name       string   `json:"name"`
	Hash       string   `json:"hash"` // model.Digest, which a report's metrics.json has too
	Threshold  float64  `json:"threshold"`
	Labels     []string `json:"labels"` // in output order, the benign one first
	Parameters int      `json:"parameters"`
}

func describeBuiltin() (builtinModel, error) {
	m, err := model.Builtin()
	if err != nil {
		return builtinModel{}, err
	}
	hash, err := m.Digest()
	return builtinModel{m.Spec.Name, hash, m.Threshold, m.Spec.Labels, m.Weights.Size()}, err
}

func (c *command) modelAction(ctx *cli.Context) error {
	if ctx.Bool("json") {
		b, err := describeBuiltin()
		if err != nil {
			return err
		}
		return c.printJSON(b)
	}
	_, err := io.WriteString(c.out, model.BuiltinCard())
	return err
}
