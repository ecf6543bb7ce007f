package sources

// The address was not tried where this was written, which has no network.
func init() {
	Register(Source{
		Name:     "legit-dga_domains",
		Title:    "Data Driven Security's legit-dga, as H2O keeps it",
		Licence:  "none stated",
		Citation: "Data Driven Security, 2014",
		Homepage: "https://github.com/h2oai/app-malicious-domains",
		Good:     "the names of legit_dga, in the table that Devo's was made of",
		Rows:     133_900,
		Files: github("h2oai/app-malicious-domains", "master",
			[2]string{"legit-dga_domains.csv", "legit-dga_domains.csv"}),
	})
}
