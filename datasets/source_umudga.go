package datasets

import (
	"path"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets/fetch"
)

const umudgaRoot = "Fully Qualified Domain Names"

// umudgaTiers are the lists that a family's folder may hold, each a prefix of the next.
var umudgaTiers = []string{"1000.txt", "5000.txt", "10000.txt", "50000.txt", "100000.txt", "500000.txt", "1000000.txt"}

func init() {
	for _, t := range []struct {
		name, most, good string
		rows             int64
	}{
		{"umudga", "100000.txt", "50 DGA families with up to a million names each; lists to 100,000 are taken", 4_000_000},
		{"umudga-1000", "1000.txt", "the same families, 1,000 names of each", 51_000},
		{"umudga-10000", "10000.txt", "the same families, up to 10,000 names of each", 510_000},
		{"umudga-1000000", "1000000.txt", "the same families, every name there is", 30_000_000},
	} {
		m := mendeley{id: "y8ph45msv8", version: 1, want: wantUMUDGA(t.most), folder: umudgaFolder, pick: largestTier, names: umudgaNames(t.most)}
		RegisterSource(Source{
			Name: t.name, Title: "UMUDGA: University of Murcia DGA data set", Licence: "MIT",
			Citation: "Zago, Gil Pérez and Martínez Pérez, UMUDGA, Data in Brief 30 (2020), doi:10.17632/y8ph45msv8.1",
			Homepage: "https://data.mendeley.com/datasets/y8ph45msv8/1", Good: t.good,
			Rows: t.rows, Files: m.files(t.name == "umudga", knownUMUDGA(m)...),
		})
	}
}

// wantUMUDGA selects the lists of names up to a tier: the features, and the folders with malware sources, stay behind.
func wantUMUDGA(most string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		at := strings.Index(name, umudgaRoot+"/")
		if at < 0 {
			return "", false
		}
		parts := strings.Split(name[at:], "/")
		if len(parts) != 4 || parts[2] != "list" {
			return "", false
		}
		tier := slices.Index(umudgaTiers, parts[3])
		if tier < 0 || tier > slices.Index(umudgaTiers, most) {
			return "", false
		}
		return path.Join(parts...), true
	}
}

// umudgaFolder tells the folders of lists, the only ones that need listing, from the hundreds of others.
func umudgaFolder(dir string) bool {
	return strings.Contains(dir, umudgaRoot+"/") && path.Base(dir) == "list"
}

// largestTier keeps the longest list of each family: the shorter ones are the beginning of it.
func largestTier(files []fetch.File) []fetch.File {
	best := map[string]int{} // by folder
	tier := func(f fetch.File) int { return slices.Index(umudgaTiers, path.Base(f.Path)) }
	for _, f := range files {
		dir := path.Dir(f.Path)
		if b, ok := best[dir]; !ok || tier(f) > b {
			best[dir] = tier(f)
		}
	}
	return slices.DeleteFunc(files, func(f fetch.File) bool { return tier(f) != best[path.Dir(f.Path)] })
}

// umudgaNames are the paths of all lists up to a tier.
func umudgaNames(most string) []string {
	want := wantUMUDGA(most)
	families := []string{"legit"}
	for _, f := range umudga10000 {
		families = append(families, f.family)
	}
	var out []string
	for _, family := range families {
		for _, tier := range umudgaTiers {
			if dest, ok := want(path.Join(umudgaRoot, family, "list", tier)); ok {
				out = append(out, dest)
			}
		}
	}
	return out
}

// knownUMUDGA are the files up to m's tier whose ids and hashes are pinned.
func knownUMUDGA(m mendeley) []fetch.File {
	var out []fetch.File
	add := func(family, tier, id string, size int64, sum string) {
		dest, ok := m.want(path.Join(umudgaRoot, family, "list", tier))
		if ok {
			out = append(out, fetch.File{Path: dest, URL: m.fileURL(id), Size: size, SHA256: sum})
		}
	}
	for _, f := range umudga1000 {
		add(f.family, "1000.txt", f.id, f.bytes, f.sha256)
	}
	add("legit", "100000.txt", "7ab7a9d2-4ac6-4a42-ae90-603152d45bc8", 1391900, "d82bfef4bfd3a6c7f20762c0bdecf748cbb80e58a83eb6b4e70085b810ba0ffa")
	for _, f := range umudga10000 {
		add(f.family, "10000.txt", f.id, f.bytes, f.sha256)
	}
	return out
}
