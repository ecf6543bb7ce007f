package formats

import "bytes"

// Configurations of Unbound that block names:
//
//	server:
//	local-zone: "ads.example.com" always_nxdomain
//	local-data: "ads.example.com A 0.0.0.0"
func init() {
	Register(blockReader{format: "unbound", comment: "#",
		misses: `its lines are not rules such as local-zone: "name" always_nxdomain`,
		rules:  func() func([]byte) rule { return unboundRule }})
}

// zoneBlocks are the types of local zones that block their names.
var zoneBlocks = map[string]bool{"always_nxdomain": true, "always_refuse": true, "always_null": true,
	"always_nodata": true, "always_deny": true, "refuse": true, "deny": true, "inform_deny": true}

func unboundRule(line []byte) rule {
	text, _, _ := bytes.Cut(line, []byte{'#'})
	fields := bytes.Fields(bytes.ReplaceAll(text, []byte{'"'}, []byte{' '}))
	if len(fields) == 0 || len(fields) == 1 && string(fields[0]) == "server:" {
		return rule{ours: true}
	}
	if len(fields) < 3 {
		return rule{}
	}
	switch last := fields[len(fields)-1]; string(fields[0]) {
	case "local-zone:":
		switch string(last) {
		case "transparent", "typetransparent", "always_transparent", "nodefault", "inform":
			return rule{ours: true, left: leftException}
		}
		return rule{ours: true, blocked: zoneBlocks[string(last)], names: fields[1:2]}
	case "local-data:":
		return rule{ours: true, blocked: nowhere(last), names: fields[1:2]}
	}
	return rule{}
}
