package sources

import (
	"context"
	"time"

	"github.com/degas-dns/degas/datasets/synth"
)

// apart is the day from which generated names are for measuring: the built-in model was trained on days before.
var apart = time.Date(2026, time.July, 1, 0, 0, 0, 0, time.UTC)

// Names of re-implemented families and tools, for training, and others for measuring what was trained on them.
func init() {
	generated := Source{
		Name:     "generated",
		Title:    "Names of re-implemented families and tunnel tools",
		Licence:  "Apache-2.0",
		Homepage: "https://github.com/degas-dns/degas",
		Citation: "degas, package datasets/synth: published algorithms, each cited beside its code",
		Good: "more families beside public lists: many seeds and days of each, and benign names that look machine-made. " +
			"Not for training alone",
		Rows: 616_000,
		Write: func(_ context.Context, dir string) error {
			return synth.WriteSample(dir, synth.SampleOptions{Seed: 20261130, Benign: 100_000, DGA: 400_000, Tunnel: 80_000,
				Hard: 3_000, End: apart})
		},
	}
	Register(generated)
	later := generated
	later.Name, later.Title, later.Rows = "generated-later", later.Title+", other seeds and days", 71_000
	later.Good = "measuring what was trained on generated"
	later.Write = func(_ context.Context, dir string) error {
		return synth.WriteSample(dir, synth.SampleOptions{Seed: 5, Benign: 5_000, DGA: 48_000, Tunnel: 6_000,
			Hard: 1_000, First: apart, End: apart.AddDate(0, 6, 0)})
	}
	Register(later)
}
