package datasets

import (
	"path"
	"strings"
)

// Bubnov's data sets: DGTA-BENCH and the DNS tunnelling queries.

func init() {
	dgta := mendeley{id: "2wzf9bz7xr", version: 1, want: bySuffix(".parquet"),
		names: []string{"gta-v1.parquet", "dgta-benchmark.parquet"}}
	RegisterSource(Source{
		Name: "dgta", Title: "DGTA-BENCH: domain generation and tunnelling algorithms", Licence: "CC BY 4.0",
		Citation: "Bubnov, DGTA-BENCH, Mendeley Data (2021), doi:10.17632/2wzf9bz7xr.1", Homepage: "https://data.mendeley.com/datasets/2wzf9bz7xr/1",
		Good: "benign, 50 DGA families and 4 tunnels in one file", Rows: 1_657_234, Files: dgta.files(false),
	})
	for version, name := range map[int]string{1: "dtqbc-v1", 2: "dtqbc-v2"} {
		m := mendeley{id: "mzn9hvdcxg", version: version, want: bySuffix(".csv"), names: dtqbcNames[version]}
		rows := map[int]int64{1: 20_000, 2: 80_000}[version]
		RegisterSource(Source{
			Name: name, Title: "DNS Tunneling Queries for Binary Classification, version " + name[len(name)-1:], Licence: "CC BY 4.0",
			Citation: "Bubnov, DNS Tunneling Queries for Binary Classification, Mendeley Data, doi:10.17632/mzn9hvdcxg." + name[len(name)-1:],
			Homepage: "https://data.mendeley.com/datasets/mzn9hvdcxg", Good: "tunnels of dns2tcp, dnscapy, iodine and tuns", Rows: rows, Files: m.files(false),
		})
	}
}

// dtqbcNames are the files of the tunnelling queries by version, as users of them name them.
var dtqbcNames = map[int][]string{
	1: {"training.csv", "validating.csv"},
	2: {"binary/dtqbc-b-train.csv", "binary/dtqbc-b-val.csv", "binary/dtqbc-b-test.csv",
		"multi/dtqbc-m-train.csv", "multi/dtqbc-m-val.csv", "multi/dtqbc-m-test.csv"},
}

// bySuffix wants files by the end of their name, keeping their folders.
func bySuffix(suffix string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		clean := strings.TrimPrefix(path.Clean("/"+name), "/")
		return clean, strings.HasSuffix(strings.ToLower(clean), suffix)
	}
}
