package sources

import (
	"context"
	"errors"

	"github.com/degas-dns/degas/datasets/fetch"
)

func init() {
	const file = "cloudflare-resolved-top.csv.zip"
	Register(Source{
		Name:     "cloudflare-resolved-top",
		Title:    "Names resolved while visiting Cloudflare's top million",
		Licence:  "none stated",
		Citation: "Gao et al., GraphTunnel: Robust DNS Tunnel Detection Based on DNS Recursive Resolution Graph, 2024",
		Homepage: "https://github.com/ggyggy666/DNS-Tunnel-Datasets",
		Good:     "benign host names as a resolver sees them",
		Rows:     865_000,
		Dead: "Count the names in the publisher's captures, the folder normal of github.com/ggyggy666/DNS-Tunnel-Datasets, " +
			"with degas scan --events, write rank,name lines as " + file + ", and take it with --from DIR",
		Files: func(_ context.Context, c *fetch.Client) ([]fetch.File, error) {
			if !c.Offline() {
				return nil, errors.New("the publisher has captures and no list")
			}
			return []fetch.File{{Path: file, Size: -1}}, nil
		},
	})
}
