package sources

import (
	_ "embed"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

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
		m := mendeley{id: "y8ph45msv8", version: 1, want: wantUMUDGA(t.most), folder: umudgaFolder, pick: largestTier,
			names: umudgaNames(t.most)}
		Register(Source{
			Name:     t.name,
			Title:    "UMUDGA: University of Murcia DGA data set",
			Licence:  "MIT",
			Citation: "Zago, Gil Pérez and Martínez Pérez, UMUDGA, Data in Brief 30 (2020), doi:10.17632/y8ph45msv8.1",
			Homepage: "https://data.mendeley.com/datasets/y8ph45msv8/1",
			Good:     t.good,
			Rows:     t.rows,
			Files:    m.files(t.name == "umudga", knownUMUDGA(m)...),
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
	for _, f := range umudgaFiles() {
		if f.tier == "10000" {
			families = append(families, f.family)
		}
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

//go:embed umudga.tsv
var umudgaTable string

// umudgaFile is a list whose id and hash are pinned, as Mendeley gives them.
type umudgaFile struct {
	family, tier, id, sha256 string
	bytes                    int64
}

// umudgaFiles reads the embedded table of the lists whose hashes are known: all of the tier 10000 but the benign one,
// some of the tier 1000, and the benign list of the tier 100000.
var umudgaFiles = sync.OnceValue(func() (out []umudgaFile) {
	for line := range strings.Lines(umudgaTable[strings.IndexByte(umudgaTable, '\n')+1:]) {
		f := strings.Fields(line)
		n, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			panic("sources: umudga.tsv: " + err.Error())
		}
		out = append(out, umudgaFile{family: f[0], tier: f[1], id: f[2], bytes: n, sha256: f[4]})
	}
	return out
})

// knownUMUDGA are the files up to m's tier whose ids and hashes are pinned.
func knownUMUDGA(m mendeley) []fetch.File {
	var out []fetch.File
	for _, f := range umudgaFiles() {
		if dest, ok := m.want(path.Join(umudgaRoot, f.family, "list", f.tier+".txt")); ok {
			out = append(out, fetch.File{Path: dest, URL: m.fileURL(f.id), Size: f.bytes, SHA256: f.sha256})
		}
	}
	return out
}
