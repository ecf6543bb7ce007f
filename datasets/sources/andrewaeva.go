package sources

// The files' names are the families, and dga in the source's name is what they are. The addresses were not tried where
// this was written, which has no network.
func init() {
	var places [][2]string
	for _, family := range []string{"conficker", "cryptolocker", "matsnu", "pushdo", "ramdo", "rovnix", "tinba", "zeus"} {
		places = append(places, [2]string{family + ".txt", "dga_wordlists/" + family + ".txt"})
	}
	Register(Source{
		Name:     "dga-lists",
		Title:    "Abakumov's DGA word lists",
		Licence:  "GPL-2.0",
		Citation: "A. Abakumov, andrewaeva/DGA",
		Homepage: "https://github.com/andrewaeva/DGA",
		Good:     "DGA names of eight families, 100,000 of most",
		Rows:     800_000,
		Files:    github("andrewaeva/DGA", "master", places...),
	})
}
