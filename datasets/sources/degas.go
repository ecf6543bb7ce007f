package sources

import (
	"context"
	"path"

	"github.com/degas-dns/degas/datasets/fetch"
)

func init() {
	Register(Source{
		Name:     "degas",
		Title:    "Raw data of the original degas",
		Licence:  "of its parts: Bambenek, Alexa, Umbrella, Majestic, DomCop",
		Citation: "M. Hoffman, degas, 2019",
		Homepage: "https://github.com/matthoffman/degas",
		Good:     "repeating the original's training",
		Rows:     14_900_000,
		Dead:     "The 2019 file has not been seen since: take dgta, umudga and tranco, or a copy of yours with --from DIR",
		Files: func(context.Context, *fetch.Client) ([]fetch.File, error) {
			return []fetch.File{{
				Path: "dga_data_public.tar.gz", URL: "https://s3.amazonaws.com/dga-data/dga_data_public.tar.gz", Size: -1,
				Extract: &fetch.Extraction{Select: byBaseName},
			}}, nil
		},
	})
}

// byBaseName puts an archive's members side by side: nobody knows the original tarball's folders.
func byBaseName(name string) (dest string, ok bool) {
	base := path.Base(name)
	return base, base[0] != '.'
}
