// Command gen makes the files of the released model from a run or a version directory. Run it in the root of the
// repository:
//
//	go run ./model/builtin/gen RUN [DIR]
//
// It rounds the weights to float16, writes model.json and model.safetensors into model/builtin, and writes the scores
// of testdata/names.txt to testdata/scores.tsv, to which a test holds the model. scripts/release-model, which writes
// card.md, has the two files alone written into another DIR, to measure them.
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
	builtin = "model/builtin"
	names   = builtin + "/testdata/names.txt"
	scores  = builtin + "/testdata/scores.tsv"
)

func main() {
	err := errors.New("usage, in the root of the repository: go run ./model/builtin/gen RUN [DIR]")
	switch len(os.Args) {
	case 2:
		err = generate(os.Args[1])
	case 3:
		_, err = write(os.Args[1], os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generate makes the files of the built-in model of the model in run.
func generate(run string) error {
	text, err := os.ReadFile(names)
	if err != nil {
		return err
	}
	m, err := write(run, builtin)
	if err != nil {
		return err
	}
	table, err := scoresOf(m, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"))
	if err != nil {
		return err
	}
	return atomicfile.Write(scores, table)
}

// write writes the model in run with float16 weights to dir, and returns it with these.
func write(run, dir string) (*model.Model, error) {
	m, err := model.LoadAny(run)
	if err != nil {
		return nil, err
	}
	spec, weights, err := m.HalfFiles()
	if err != nil {
		return nil, fmt.Errorf("round the weights of %s: %w", run, err)
	}
	if m.Weights, err = model.ReadWeights(weights); err != nil {
		return nil, err
	}
	return m, errors.Join(os.MkdirAll(dir, 0o755), atomicfile.Write(filepath.Join(dir, model.WeightsFile), weights),
		atomicfile.Write(filepath.Join(dir, model.SpecFile), spec))
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
