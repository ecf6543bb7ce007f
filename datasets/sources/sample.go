package sources

import (
	"context"

	"github.com/degas-dns/degas/datasets/synth"
)

func init() {
	Register(Source{
		Name:     "sample",
		Title:    "Built-in sample",
		Licence:  "Apache-2.0",
		Homepage: "https://github.com/degas-dns/degas",
		Citation: "degas, package datasets/synth: published algorithms, each cited beside its code",
		Good:     "trying degas out, without a network; not for models that will be used",
		Rows:     40_000,
		Write: func(_ context.Context, dir string) error {
			return synth.WriteSample(dir, synth.SampleOptions{Spread: true})
		},
	})
}
