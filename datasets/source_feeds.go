package datasets

// Feeds and blocklists.

func init() {
	RegisterSource(Source{
		Name: "bambenek", Title: "Bambenek Consulting DGA feed", Licence: "on request from the publisher",
		Citation: "OSINT DGA feed, Bambenek Consulting", Homepage: "https://osint.bambenekconsulting.com/feeds/",
		Good: "DGA names with their families, by date", Dead: "needs a licence now: ask the publisher, then --from DIR",
		Files: single("dga-feed.txt", "https://osint.bambenekconsulting.com/feeds/dga-feed.txt"),
	})
	RegisterSource(Source{
		Name: "netlab360", Title: "Netlab 360 DGA feed", Licence: "non-commercial", Citation: "Netlab OpenData Project, Qihoo 360",
		Homepage: "https://data.netlab.360.com/dga/", Good: "DGA names with their families",
		Dead:  "the publisher's certificate was reported dead: take dgta or umudga, or a copy of yours with --from DIR",
		Files: single("dga.txt", "https://data.netlab.360.com/feeds/dga/dga.txt", "http://data.netlab.360.com/feeds/dga/dga.txt"),
	})
	RegisterSource(Source{
		Name: "ctc", Title: "COVID-19 Cyber Threat Coalition blocklist", Licence: "CC BY-SA 4.0", Citation: "COVID-19 Cyber Threat Coalition, vetted domains",
		Homepage: "https://www.cyberthreatcoalition.org", Good: "malicious names that no algorithm made", Rows: 15_000,
		Dead: "the project ended: take a copy of yours with --from DIR",
		Files: single("domain.txt", "https://blocklist.cyberthreatcoalition.org/vetted/domain.txt",
			"https://blacklist.cyberthreatcoalition.org/vetted/domain.txt"),
	})
	RegisterSource(Source{
		Name: "legit_dga", Title: "Devo's legit_dga", Licence: "none stated", Citation: "Data Driven Security, 2014, as Devo's tutorials use it",
		Homepage: "https://devoinc.github.io/python-mlmodelmanager-client/", Good: "a small benign and DGA table for comparison with Devo's models", Rows: 133_900,
		Files: single("dataset.csv", "https://devo-ml-models-public-demos.s3.eu-west-3.amazonaws.com/legit_dga/dataset.csv"),
	})
}
