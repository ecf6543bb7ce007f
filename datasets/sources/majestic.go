package sources

func init() {
	Register(Source{
		Name:     "majestic",
		Title:    "Majestic Million",
		Licence:  "CC BY 3.0",
		Citation: "The Majestic Million, Majestic-12 Ltd",
		Homepage: "https://majestic.com/reports/majestic-million",
		Good:     "benign registered domains, by links",
		Rows:     1_000_000,
		Bytes:    80_000_000,
		Files:    single("majestic_million.csv", "https://downloads.majestic.com/majestic_million.csv"),
	})
}
