package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/printable"
)

func (c *command) generate() *cli.Command {
	return &cli.Command{
		Name:  "generate",
		Usage: "write names of re-implemented DGA families and tunnel tools",
		Description: "Deterministic: the same family, variant, seed and date give the names the malware would ask for.\n" +
			"--list shows families, variants and the analyses they follow.\n\n" +
			"Example: degas generate --family necurs --seed 9 --date 2024-05-01 --count 5",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "family", Usage: "`NAME`s, or all, all-dga, all-tunnel"},
			&cli.StringFlag{Name: "variant", Usage: "of a single family (its first)"},
			&cli.Uint64Flag{Name: "seed", Usage: "as the malware's configuration sets it (0: the family's best known)"},
			&cli.StringFlag{Name: "date", Usage: "`YYYY-MM-DD` the names are for (the family's own default)"},
			&cli.IntFlag{Name: "count", Value: 100, Usage: "names a family"},
			&cli.StringFlag{Name: "layout", Value: "lines",
				Usage: "lines, csv (domain,class,family), or umudga (a tree of lists below --out)"},
			&cli.StringFlag{Name: "out", Usage: "`DIR` of --layout umudga"},
			&cli.BoolFlag{Name: "list", Usage: "show the families and stop"},
			&cli.BoolFlag{Name: "json",
				Usage: "one JSON object a line in place of names; of --list and --layout umudga, the result as JSON"},
		},
		Action: action(0, 0, c.generateAction),
	}
}

// mostNames is how many names of a family generate makes: it holds them in memory.
const mostNames = 10_000_000

func (c *command) generateAction(ctx *cli.Context) error {
	if ctx.Bool("list") {
		return c.listFamilies(ctx)
	}
	families, err := chooseFamilies(ctx.StringSlice("family"), ctx.String("variant"))
	if err != nil {
		return usageError{err}
	}
	p := synth.Params{Seed: ctx.Uint64("seed"), Count: ctx.Int("count"), Variant: ctx.String("variant")}
	if p.Count < 1 || p.Count > mostNames {
		return usagef("count %d: must be 1 to %d", p.Count, mostNames)
	}
	if d := ctx.String("date"); d != "" {
		if p.Date, err = time.Parse(time.DateOnly, d); err != nil {
			return usagef("date %q: must be YYYY-MM-DD", d)
		}
	}
	switch layout := ctx.String("layout"); layout {
	case "lines", "csv":
		if ctx.Bool("json") && layout == "csv" {
			return usagef("layout csv: it is no JSON. Leave out --layout or --json")
		}
		if ctx.Bool("json") {
			layout = "json"
		}
		return c.writeNames(ctx.Context, families, p, layout)
	case "umudga":
		if ctx.String("out") == "" {
			return usagef("layout umudga: --out DIR is missing")
		}
		return c.writeTree(ctx, families, p)
	default:
		return usagef("layout %q: must be lines, csv or umudga", layout)
	}
}

func (c *command) listFamilies(ctx *cli.Context) error {
	type row struct {
		Name      string   `json:"name"`
		Class     string   `json:"class"`
		Variants  []string `json:"variants"`
		Doc       string   `json:"doc"`
		Reference string   `json:"reference"`
	}
	var rows []row
	for _, f := range synth.Families() {
		rows = append(rows, row{f.Name, f.Class, f.Variants, f.Doc, f.Reference})
	}
	return c.show(ctx, rows, func(w io.Writer) {
		printable.Fprintf(w, "FAMILY\tCLASS\tVARIANTS\tWHAT IT IS\n")
		for _, r := range rows {
			printable.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Name, r.Class, strings.Join(r.Variants, ", "), r.Doc)
		}
	})
}

// chooseFamilies resolves the names of --family.
func chooseFamilies(names []string, variant string) ([]synth.Family, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("generate: --family NAME is missing. Try: degas generate --list")
	}
	for _, name := range names {
		if name == "all" || name == "all-"+synth.ClassDGA || name == "all-"+synth.ClassTunnel {
			continue
		}
		if _, err := synth.Lookup(name); err != nil {
			return nil, fmt.Errorf("%w. Try: degas generate --list", err)
		}
	}
	var out []synth.Family
	for _, f := range synth.Families() {
		if slices.Contains(names, f.Name) || slices.Contains(names, "all") || slices.Contains(names, "all-"+f.Class) {
			out = append(out, f)
		}
	}
	if variant != "" && (len(out) != 1 || !slices.Contains(out[0].Variants, variant)) {
		return nil, fmt.Errorf("variant %q: give it with one family that has it. Try: degas generate --list", variant)
	}
	return out, nil
}

// eachFamily gives write the names of one family after the other, and says on stderr if there are fewer than asked for.
func (c *command) eachFamily(
	ctx context.Context, families []synth.Family, p synth.Params, write func(f synth.Family, names []string) error,
) error {
	for _, f := range families {
		if err := ctx.Err(); err != nil {
			return err
		}
		names, err := f.Generate(p)
		if err != nil {
			return fmt.Errorf("generate %s: %w", f.Name, err)
		}
		if len(names) < p.Count {
			slog.Warn("the family makes fewer names for these parameters", "family", f.Name, "names", len(names),
				"asked", p.Count)
		}
		if err := write(f, names); err != nil {
			return err
		}
	}
	return nil
}

// writeNames prints families one after the other as lines, csv or json.
func (c *command) writeNames(ctx context.Context, families []synth.Family, p synth.Params, layout string) error {
	type line struct {
		Domain string `json:"domain"`
		Class  string `json:"class"`
		Family string `json:"family"`
	}
	w := bufio.NewWriterSize(c.out, 1<<16)
	e := json.NewEncoder(printable.JSONWriter(w))
	if layout == "csv" {
		printable.Fprintf(w, "domain,class,family\n")
	}
	err := c.eachFamily(ctx, families, p, func(f synth.Family, names []string) error {
		for _, n := range names {
			var err error
			switch layout {
			case "csv":
				_, err = printable.Fprintf(w, "%s,%s,%s\n", n, f.Class, f.Name)
			case "json":
				err = e.Encode(line{n, f.Class, f.Name})
			default:
				_, err = printable.Fprintf(w, "%s\n", n)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// tiers are the lengths of UMUDGA's lists.
var tiers = []int{1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000}

// writeTree writes lists as UMUDGA lays them out, each tier a prefix of the next, and benign names as its legit folder.
// The tree appears whole or not at all. Families that an earlier call put there stay.
func (c *command) writeTree(ctx *cli.Context, families []synth.Family, p synth.Params) error {
	out := ctx.String("out")
	root := filepath.Join(out, "Fully Qualified Domain Names")
	rows, err := synth.Sample(synth.SampleOptions{Seed: p.Seed + 1, Benign: p.Count})
	if err != nil {
		return err
	}
	var legit []string
	for _, r := range rows {
		legit = append(legit, r.Name)
	}
	err = atomicfile.UpdateDir(root, func(stage string) error {
		if err := writeTiers(filepath.Join(stage, "legit", "list"), legit, p.Count); err != nil {
			return err
		}
		return c.eachFamily(ctx.Context, families, p, func(f synth.Family, names []string) error {
			return writeTiers(filepath.Join(stage, f.Name, "list"), names, p.Count)
		})
	})
	if err != nil {
		return err
	}
	return c.show(ctx, map[string]any{"path": root, "families": len(families)}, func(w io.Writer) {
		printable.Fprintf(w, "%s: %d families and legit\n\nNext: degas process-data %q\n", root, len(families), out)
	})
}

// writeTiers writes N.txt for every tier below count, and one for count itself.
func writeTiers(dir string, names []string, count int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, n := range append([]int{count}, tiers...) {
		if n > count {
			break
		}
		var list bytes.Buffer
		for _, name := range names[:min(n, len(names))] {
			list.WriteString(name + "\n")
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.txt", n)), list.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
