package sources

func init() {
	Register(Source{
		Name:     "domcop",
		Title:    "DomCop top 10 M",
		Licence:  "none stated; based on Common Crawl",
		Citation: "DomCop, Top 10 million domains by Open PageRank",
		Homepage: "https://www.domcop.com/top-10-million-domains",
		Good:     "benign registered domains, many",
		Rows:     10_000_000,
		Files:    single("top10milliondomains.csv.zip", "https://www.domcop.com/files/top/top10milliondomains.csv.zip"),
	})
}
