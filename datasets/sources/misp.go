package sources

// The warning lists of MISP that name hosts which are asked for, by what they hold: a kind is a source of its own among
// the names. 84f0610 is the state of August 2026 that the built-in model learned from; main has newer lists. The
// addresses were not tried where this was written, which has no network.
func init() {
	var places [][2]string
	var kinds []string
	for _, kind := range []struct {
		name  string
		lists []string
	}{
		{"umbrella-hosts", []string{"cisco_top20k"}},
		{"radar-top", []string{"cloudflare-top20k"}},
		{"popular", []string{"tranco10k", "majestic_million", "moz-top500"}},
		{"institutions", []string{"university_domains", "bank-website", "covid-19-cyber-threat-coalition-whitelist"}},
		{"resolver-hosts", []string{"public-dns-hostname"}},
		{"dynamic-dns", []string{"dynamic-dns"}},
		{"disposable-mail", []string{"disposable-email"}},
		{"vendors", []string{"microsoft", "microsoft-office365", "microsoft-win10-connection-endpoints", "google",
			"url-shortener", "security-provider-blogpost"}},
	} {
		kinds = append(kinds, kind.name)
		for _, list := range kind.lists {
			places = append(places, [2]string{kind.name + "/" + list + ".json", "lists/" + list + "/list.json"})
		}
	}
	Register(Source{
		Name:     "misp-warninglists",
		Parts:    kinds,
		Title:    "Warning lists of MISP: popular hosts, institutions, resolvers, dynamic DNS, vendors",
		Licence:  "CC0 1.0",
		Citation: "MISP project, misp-warninglists",
		Homepage: "https://github.com/MISP/misp-warninglists",
		Good:     "benign host names of many kinds",
		Rows:     155_000,
		Files:    github("MISP/misp-warninglists", "84f0610 main", places...),
	})
}
