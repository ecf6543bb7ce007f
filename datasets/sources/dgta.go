package sources

// DGTA-BENCH, by Bubnov.
func init() {
	m := mendeley{id: "2wzf9bz7xr", version: 1, want: bySuffix(".parquet"),
		names: []string{"gta-v1.parquet", "dgta-benchmark.parquet"}}
	Register(Source{
		Name:     "dgta",
		Parts:    []string{"dgta-bench"},
		Title:    "DGTA-BENCH: domain generation and tunnelling algorithms",
		Licence:  "CC BY 4.0",
		Citation: "Bubnov, DGTA-BENCH, Mendeley Data (2021), doi:10.17632/2wzf9bz7xr.1",
		Homepage: "https://data.mendeley.com/datasets/2wzf9bz7xr/1",
		Good:     "benign, 50 DGA families and 4 tunnels in one file",
		Rows:     1_657_234,
		Files:    m.files(false),
	})
}
