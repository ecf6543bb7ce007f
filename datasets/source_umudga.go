package datasets

import (
	"path"
	"strings"

	"github.com/degas-dns/degas/datasets/fetch"
)

const umudgaRoot = "Fully Qualified Domain Names"

func init() {
	m := mendeley{id: "y8ph45msv8", version: 1, want: wantUMUDGA("100000.txt")}
	RegisterSource(Source{
		Name: "umudga", Title: "UMUDGA: University of Murcia DGA data set", Licence: "MIT",
		Citation: "Zago, Gil Pérez and Martínez Pérez, UMUDGA, Data in Brief 30 (2020), doi:10.17632/y8ph45msv8.1",
		Homepage: "https://data.mendeley.com/datasets/y8ph45msv8/1", Good: "50 DGA families with up to a million names each; lists to 100,000 are taken",
		Rows: 4_000_000, Files: m.files(knownUMUDGA(m)...),
	})
}

// wantUMUDGA selects the lists of names up to a tier: the features, and the folders with malware sources, stay behind.
func wantUMUDGA(most string) func(string) (string, bool) {
	tiers := []string{"1000.txt", "5000.txt", "10000.txt", "50000.txt", "100000.txt", "500000.txt", "1000000.txt"}
	return func(name string) (string, bool) {
		at := strings.Index(name, umudgaRoot+"/")
		if at < 0 {
			return "", false
		}
		parts := strings.Split(name[at:], "/")
		if len(parts) != 4 || parts[2] != "list" {
			return "", false
		}
		for _, t := range tiers {
			if parts[3] == t {
				return path.Join(parts...), true
			}
			if t == most {
				break
			}
		}
		return "", false
	}
}

// knownUMUDGA are the files whose ids and hashes are pinned: what is fetched when the listing cannot be had.
func knownUMUDGA(m mendeley) []fetch.File {
	file := func(family, tier, id string, size int64, sum string) fetch.File {
		return fetch.File{Path: path.Join(umudgaRoot, family, "list", tier), URL: m.fileURL(id), Size: size, SHA256: sum}
	}
	out := []fetch.File{file("legit", "100000.txt", "7ab7a9d2-4ac6-4a42-ae90-603152d45bc8", 1391900, "d82bfef4bfd3a6c7f20762c0bdecf748cbb80e58a83eb6b4e70085b810ba0ffa")}
	for _, f := range umudga10000 {
		out = append(out, file(f.family, "10000.txt", f.id, f.bytes, f.sha256))
	}
	return out
}
