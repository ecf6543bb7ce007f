package sources

func init() {
	Register(Source{
		Name:     "tranco",
		Title:    "Tranco top 1 M",
		Licence:  "MIT; the lists it is made from have their own",
		Citation: "Le Pochat et al., Tranco: A Research-Oriented Top Sites Ranking Hardened Against Manipulation, NDSS 2019",
		Homepage: "https://tranco-list.eu",
		Good:     "benign registered domains",
		Rows:     1_000_000,
		Bytes:    10_000_000,
		Files:    single("top-1m.csv.zip", "https://tranco-list.eu/top-1m.csv.zip"),
	})
}
