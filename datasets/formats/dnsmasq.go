package formats

import "bytes"

// Configurations of dnsmasq that block names, several a line if need be:
//
//	address=/ads.example.com/tracker.example.net/0.0.0.0
//	server=/ads.example.com/
//
// Where a server's address follows, the names are asked there and not blocked.
func init() {
	Register(blockReader{format: "dnsmasq", comment: "#", misses: "its lines are not rules such as address=/name/0.0.0.0",
		rules: func() func([]byte) rule { return dnsmasqRule }})
}

func dnsmasqRule(line []byte) rule {
	line, _, _ = bytes.Cut(line, []byte(" #"))
	fields := bytes.Split(bytes.TrimSpace(line), []byte{'/'})
	if len(fields) < 3 {
		return rule{}
	}
	switch target := fields[len(fields)-1]; string(fields[0]) {
	case "address=":
		blocked := len(target) == 0 || string(target) == "#" || nowhere(target)
		return rule{ours: true, blocked: blocked, names: fields[1 : len(fields)-1]}
	case "server=", "local=":
		return rule{ours: true, blocked: len(target) == 0, names: fields[1 : len(fields)-1]}
	}
	return rule{}
}
