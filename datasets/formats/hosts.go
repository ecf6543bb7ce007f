package formats

import "bytes"

// Hosts files hold an address and its names a line; '#' begins a comment. Those that block give 0.0.0.0:
//
//	0.0.0.0 ads.example.com tracker.example.net # both
//
// An ordinary hosts file, with addresses of servers or 127.0.0.1, is no block list.
func init() {
	Register(blockReader{format: "hosts", comment: "#", misses: "its lines are not an address and names",
		rules: func() func([]byte) rule { return hostsRule }})
}

// notInHosts are characters that logs of servers have behind the client's address.
const notInHosts = `"[](){}<>/:=,;`

func hostsRule(line []byte) rule {
	text, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte{'#'})
	fields := bytes.Fields(text)
	if len(fields) == 0 {
		return rule{ours: true}
	}
	if _, ok := address(fields[0]); !ok || bytes.ContainsAny(text[len(fields[0]):], notInHosts) {
		return rule{}
	}
	return rule{ours: true, blocked: nowhere(fields[0]), names: fields[1:]}
}
