// Command gen makes the files of the released model from a run or a version directory. Run it in the root of the
// repository:
//
//	go run ./model/builtin/gen RUN
//
// It rounds the weights to float16, writes model.json and model.safetensors into model/builtin, and writes the scores
// of testdata/names.txt to testdata/scores.tsv, to which a test holds the model. Then write by hand what belongs to the
// new model: card.md, which begins with a title, and the first example of README.md, which a test compares.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/model"
)

const (
	dir    = "model/builtin"
	names  = dir + "/testdata/names.txt"
	scores = dir + "/testdata/scores.tsv"
)

func main() {
	err := errors.New("usage, in the root of the repository: go run ./model/builtin/gen RUN")
	if len(os.Args) == 2 {
		err = generate(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generate makes the files of the model in run.
func generate(run string) error {
	m, err := model.LoadAny(run)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(names)
	if err != nil {
		return err
	}
	spec, weights, err := m.HalfFiles()
	if err != nil {
		return fmt.Errorf("round the weights of %s: %w", run, err)
	}
	if m.Weights, err = model.ReadWeights(weights); err != nil {
		return err
	}
	table, err := scoresOf(m, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"))
	if err != nil {
		return err
	}
	return errors.Join(atomicfile.Write(filepath.Join(dir, model.WeightsFile), weights),
		atomicfile.Write(filepath.Join(dir, model.SpecFile), spec), atomicfile.Write(scores, table))
}

// scoresOf returns lines of a name, a tab and m's score of the name.
func scoresOf(m *model.Model, names []string) ([]byte, error) {
	c, err := model.NewClassifier(m)
	if err != nil {
		return nil, err
	}
	p := make([]float32, len(names)*c.Width())
	if err := c.Probabilities(context.Background(), names, p); err != nil {
		return nil, err
	}
	var out []byte
	for i, n := range names {
		out = fmt.Appendf(out, "%s\t%.9f\n", n, model.ScoreOf(p[i*c.Width():(i+1)*c.Width()]))
	}
	return out, nil
}
