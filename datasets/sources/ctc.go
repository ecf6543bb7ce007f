package sources

func init() {
	Register(Source{
		Name:     "ctc",
		Title:    "COVID-19 Cyber Threat Coalition blocklist",
		Licence:  "CC BY-SA 4.0",
		Citation: "COVID-19 Cyber Threat Coalition, vetted domains",
		Homepage: "https://www.cyberthreatcoalition.org",
		Good:     "malicious names that no algorithm made",
		Rows:     15_000,
		Dead:     "The project ended: take a copy of yours with --from DIR",
		Files: single("domain.txt", "https://blocklist.cyberthreatcoalition.org/vetted/domain.txt",
			"https://blacklist.cyberthreatcoalition.org/vetted/domain.txt"),
	})
}
