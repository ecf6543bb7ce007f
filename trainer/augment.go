package trainer

import (
	"fmt"
	"strings"

	"github.com/degas-dns/degas/model"
)

// hosts are what stands before a registered domain most often, in anybody's zone.
var hosts = []string{"www", "mail", "api", "cdn", "m", "app", "img", "static", "ns1", "blog", "shop", "mx", "vpn", "login", "update", "news"}

// hashed is the share of added hosts that are random hexadecimal digits, as content networks name theirs.
const hashed = 0.25

// augmented is a name of the given epoch as it is trained on: with probability share it has a host before it. Lists hold
// bare names of malware more often than of others, and a model trained on them learns that www. is benign. The draw
// depends on the seed, the epoch and the name's place alone.
func augmented(name string, share float64, seed uint64, epoch int, at uint32) string {
	draw := func(what uint64) uint64 {
		return model.SubSeed(seed^uint64(epoch)<<40^uint64(at)<<8^what, "augment")
	}
	if float64(draw(0)>>11)/(1<<53) >= share || strings.HasPrefix(name, "www.") {
		return name
	}
	digits := draw(1)
	if float64(draw(2)>>11)/(1<<53) < hashed {
		length := 4 + int(digits%13)
		return fmt.Sprintf("%016x", draw(3))[:length] + "." + name
	}
	return hosts[digits%uint64(len(hosts))] + "." + name
}
