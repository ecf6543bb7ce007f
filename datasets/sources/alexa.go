package sources

func init() {
	Register(Source{
		Name:     "alexa",
		Title:    "Alexa top 1 M",
		Licence:  "none stated",
		Citation: "Alexa Internet, Inc.; discontinued in 2022",
		Homepage: "https://www.alexa.com",
		Good:     "benign names of published experiments",
		Rows:     1_000_000,
		Dead:     "The list was discontinued and its last file may be gone: take tranco, or a copy of yours with --from DIR",
		Files:    single("top-1m.csv.zip", "http://s3.amazonaws.com/alexa-static/top-1m.csv.zip"),
	})
}
