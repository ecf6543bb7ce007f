package datasets

// Popularity lists: benign names, with the label noise of whatever was popular.

func init() {
	RegisterSource(Source{
		Name: "tranco", Title: "Tranco top 1 M", Licence: "MIT; the lists it is made from have their own",
		Citation: "Le Pochat et al., Tranco: A Research-Oriented Top Sites Ranking Hardened Against Manipulation, NDSS 2019",
		Homepage: "https://tranco-list.eu", Good: "benign registered domains", Rows: 1_000_000, Bytes: 10_000_000,
		Files: single("top-1m.csv.zip", "https://tranco-list.eu/top-1m.csv.zip"),
	})
	RegisterSource(Source{
		Name: "umbrella", Title: "Cisco Umbrella top 1 M", Licence: "free to use, no warranty",
		Citation: "Cisco Umbrella Popularity List", Homepage: "https://umbrella-static.s3-us-west-1.amazonaws.com/index.html",
		Good: "benign host names as resolvers see them", Rows: 1_000_000,
		Files: single("top-1m.csv.zip", "https://umbrella-static.s3-us-west-1.amazonaws.com/top-1m.csv.zip",
			"http://s3-us-west-1.amazonaws.com/umbrella-static/top-1m.csv.zip"),
	})
	RegisterSource(Source{
		Name: "majestic", Title: "Majestic Million", Licence: "CC BY 3.0", Citation: "The Majestic Million, Majestic-12 Ltd",
		Homepage: "https://majestic.com/reports/majestic-million", Good: "benign registered domains, by links", Rows: 1_000_000, Bytes: 80_000_000,
		Files: single("majestic_million.csv", "https://downloads.majestic.com/majestic_million.csv"),
	})
	RegisterSource(Source{
		Name: "alexa", Title: "Alexa top 1 M", Licence: "none stated", Citation: "Alexa Internet, Inc.; discontinued in 2022",
		Homepage: "https://www.alexa.com", Good: "benign names of published experiments", Rows: 1_000_000,
		Dead:  "discontinued, the last file may be gone: take tranco, or a copy of yours with --from DIR",
		Files: single("top-1m.csv.zip", "http://s3.amazonaws.com/alexa-static/top-1m.csv.zip"),
	})
	RegisterSource(Source{
		Name: "domcop", Title: "DomCop top 10 M", Licence: "none stated; based on Common Crawl", Citation: "DomCop, Top 10 million domains by Open PageRank",
		Homepage: "https://www.domcop.com/top-10-million-domains", Good: "benign registered domains, many", Rows: 10_000_000,
		Files: single("top10milliondomains.csv.zip", "https://www.domcop.com/files/top/top10milliondomains.csv.zip"),
	})
}
