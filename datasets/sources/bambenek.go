package sources

func init() {
	Register(Source{
		Name:     "bambenek",
		Title:    "Bambenek Consulting DGA feed",
		Licence:  "on request from the publisher",
		Citation: "OSINT DGA feed, Bambenek Consulting",
		Homepage: "https://osint.bambenekconsulting.com/feeds/",
		Good:     "DGA names with their families, by date",
		Dead:     "The feed needs a licence now: ask the publisher, then use --from DIR",
		Files:    single("dga-feed.txt", "https://osint.bambenekconsulting.com/feeds/dga-feed.txt"),
	})
}
