package sources

// The coalition's project ended, and mlbridge kept its list, beside a sample of DomCop's. The addresses were not tried
// where this was written, which has no network.
func init() {
	Register(Source{
		Name:     "ctc",
		Title:    "COVID-19 Cyber Threat Coalition blocklist, and the top of DomCop's list",
		Licence:  "CC BY-SA 4.0",
		Citation: "COVID-19 Cyber Threat Coalition, vetted domains, as mlbridge/mlbridge-machine-learning keeps them",
		Homepage: "https://github.com/mlbridge/mlbridge-machine-learning",
		Good:     "malicious names that no algorithm made",
		Rows:     30_089,
		Files: github("mlbridge/mlbridge-machine-learning", "c9b73f8 master",
			[2]string{"malicious_domains.txt", "data/malicious_domains.txt"},
			[2]string{"benign_domains.csv", "data/benign_domains.csv"}),
	})
}
