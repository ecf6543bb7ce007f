package sources

func init() {
	Register(Source{
		Name:     "netlab360",
		Title:    "Netlab 360 DGA feed",
		Licence:  "non-commercial",
		Citation: "Netlab OpenData Project, Qihoo 360",
		Homepage: "https://data.netlab.360.com/dga/",
		Good:     "DGA names with their families",
		Dead:     "The publisher's certificate was reported dead: take dgta or umudga, or a copy of yours with --from DIR",
		Files: single("dga.txt", "https://data.netlab.360.com/feeds/dga/dga.txt",
			"http://data.netlab.360.com/feeds/dga/dga.txt"),
	})
}
