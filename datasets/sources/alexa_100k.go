package sources

// The address was not tried where this was written, which has no network.
func init() {
	Register(Source{
		Name:     "alexa-100k",
		Title:    "Alexa top 100,000 of 2013",
		Licence:  "none stated",
		Citation: "Alexa Internet, Inc., as SuperCowPowers/data_hacking keeps it",
		Homepage: "https://github.com/SuperCowPowers/data_hacking",
		Good:     "benign registered domains, where the source alexa is gone",
		Rows:     100_000,
		Files: github("SuperCowPowers/data_hacking", "master",
			[2]string{"alexa-100k.csv", "dga_detection/data/alexa_100k.csv"}),
	})
}
