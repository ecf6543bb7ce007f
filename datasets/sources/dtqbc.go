package sources

import "strconv"

// Bubnov's DNS tunnelling queries, in two versions.
func init() {
	registerDTQBC(1, 20_000, "training.csv", "validating.csv")
	registerDTQBC(2, 80_000,
		"binary/dtqbc-b-train.csv", "binary/dtqbc-b-val.csv", "binary/dtqbc-b-test.csv",
		"multi/dtqbc-m-train.csv", "multi/dtqbc-m-val.csv", "multi/dtqbc-m-test.csv")
}

// registerDTQBC registers a version. names are its files, as users of them name them.
func registerDTQBC(version int, rows int64, names ...string) {
	m := mendeley{id: "mzn9hvdcxg", version: version, want: bySuffix(".csv"), names: names}
	v := strconv.Itoa(version)
	Register(Source{
		Name:     "dtqbc-v" + v,
		Parts:    []string{"dtqbc"},
		Title:    "DNS Tunneling Queries for Binary Classification, version " + v,
		Licence:  "CC BY 4.0",
		Citation: "Bubnov, DNS Tunneling Queries for Binary Classification, Mendeley Data, doi:10.17632/mzn9hvdcxg." + v,
		Homepage: "https://data.mendeley.com/datasets/mzn9hvdcxg",
		Good:     "tunnels of dns2tcp, dnscapy, iodine and tuns",
		Rows:     rows,
		Files:    m.files(false),
	})
}
