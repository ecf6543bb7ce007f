// Watchbench measures package detect/watch with the built-in model and writes docs/RESULTS-WATCH.md.
//
// Usage: go run ./internal/watchbench [-data DIR] [-out DIR] [-captures DIR] [-domains N] [PART…]
//
// PART is simulate, flood or captures; all of them without one. The results of each part are kept in OUT/results as
// JSON, and the page is made of all that are there.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/evaluate/simulate"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
)

// bench is a call of the program.
type bench struct {
	data, out, captures, split string
	domains, clients, repeat   int
	policy                     *detect.Policy
	tables                     *watch.Tables
}

func main() {
	log.SetFlags(log.Ltime)
	b := &bench{}
	flag.StringVar(&b.data, "data", "data/release/processed", "a data set whose names the model was not trained on")
	flag.StringVar(&b.split, "split", "test", "the split of it")
	flag.StringVar(&b.out, "out", "docs", "where RESULTS-WATCH.md goes")
	flag.StringVar(&b.captures, "captures", "", "a folder of captures of tunnels, TOOL-WHAT.pcap")
	flag.IntVar(&b.domains, "domains", 50e6, "one-off domains of the flood")
	flag.IntVar(&b.clients, "clients", 10000, "clean clients")
	flag.IntVar(&b.repeat, "repeat", 50, "infected clients of each family")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx, flag.Args()); err != nil {
		log.Fatal("watchbench: ", err)
	}
}

func (b *bench) run(ctx context.Context, parts []string) error {
	m, err := model.Builtin()
	if err != nil {
		return err
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		return err
	}
	if b.policy, err = detect.New(detect.Options{Classifier: c}); err != nil {
		return err
	}
	if b.tables, err = watch.TablesFor(b.policy, m); err != nil {
		return err
	}
	if len(parts) == 0 {
		parts = []string{"simulate", "flood", "captures"}
	}
	for _, part := range parts {
		var result any
		switch part {
		case "simulate":
			result, err = b.simulate(ctx)
		case "flood":
			result, err = b.flood(ctx)
		case "captures":
			if b.captures == "" {
				continue
			}
			result, err = b.sessions(ctx)
		case "page": // of what there is
			continue
		default:
			err = fmt.Errorf("unknown part, known are simulate, flood, captures and page")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		text, err := json.Marshal(result) // in one line: nobody reads ten thousand
		if err != nil {
			return err
		}
		if err := atomicfile.Write(b.path(part), append(text, '\n')); err != nil {
			return err
		}
	}
	return b.page()
}

// path is where the results of a part are.
func (b *bench) path(part string) string {
	return filepath.Join(b.out, "results", "watch-"+part+".json")
}

// read reads the results of a part into out. ok is false if there are none.
func (b *bench) read(part string, out any) (ok bool, err error) {
	text, err := os.ReadFile(b.path(part))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %s", b.path(part), printable.Terminal(err.Error()))
	}
	return true, nil
}

func (b *bench) simulate(ctx context.Context) (*simulate.Result, error) {
	split, err := datasets.Open(ctx, b.data, b.split)
	if err != nil {
		return nil, err
	}
	defer split.Close()
	o := simulate.Options{Policy: b.policy, Tables: b.tables, Clients: b.clients, Repeat: b.repeat, Seed: 1,
		Progress: func(what string) { log.Print(what) }}
	if o.Benign, o.Families, err = simulate.Names(ctx, split, 0); err != nil {
		return nil, err
	}
	log.Printf("%d benign names, %d families of the data set", len(o.Benign), len(o.Families))
	return simulate.Run(ctx, o)
}

// floodTime is how long the flood lasts in the simulation.
const floodTime = 4 * 24 * time.Hour

func (b *bench) flood(ctx context.Context) (*simulate.FloodResult, error) {
	o := simulate.FloodOptions{Tables: b.tables, Policy: b.policy, Domains: b.domains, Clients: max(b.domains/50, 1),
		Time: floodTime, Samples: 50, Seed: 1}
	o.Progress = func(s simulate.Memory) { log.Printf("%d events, %d MB, RSS %d MB", s.Events, s.Heap>>20, s.RSS>>20) }
	for seed, names := range map[uint64]*[]string{1: &o.Fast, 2: &o.Slow} {
		f, err := synth.Lookup("iodine")
		if err != nil {
			return nil, err
		}
		if *names, err = f.Generate(synth.Params{Seed: 90000 + seed, Count: 300}); err != nil {
			return nil, err
		}
	}
	return simulate.Flood(ctx, o)
}
