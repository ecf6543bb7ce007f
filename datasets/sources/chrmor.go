package sources

// The address was not tried where this was written, which has no network.
func init() {
	Register(Source{
		Name:     "chrmor-25-families",
		Title:    "DGA domains of 25 families, and as many of Alexa's",
		Licence:  "for research; cite the paper",
		Citation: "Cucchiarelli et al., Expert Systems with Applications 170 (2021), doi:10.1016/j.eswa.2020.114551",
		Homepage: "https://github.com/chrmor/DGA_domains_dataset",
		Good:     "a balanced table of benign and DGA names",
		Rows:     675_000,
		Files:    github("chrmor/DGA_domains_dataset", "master", [2]string{"chrmor-25-families.csv", "dga_domains_full.csv"}),
	})
}
