package trainer

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model"
)

// name is the p-th training name as an epoch sees it: itself, or one that is made in its place, or either with a host before
// it. What is drawn depends on the seed, the epoch and p alone.
func (f *fit) name(epoch int, p uint32) string {
	name := f.Train.Name(int(p))
	if f.Invent == 0 && f.Augment == 0 {
		return name
	}
	rng := rand.New(rand.NewPCG(model.SubSeed(f.Seed, "augment"), uint64(epoch)<<32|uint64(p)))
	if f.Invent > 0 && f.Train.class(p) != datasets.Benign && rng.Float64() < f.Invent {
		by := inventions
		if f.before != nil {
			by = unlike
		}
		name = f.Train.invented(rng, p, by)
	}
	if f.Augment > 0 && rng.Float64() < f.Augment {
		name = hosted(rng, name)
	}
	return name
}

// changes says whether names are others in every epoch.
func (o *Options) changes() bool { return o.Augment > 0 || o.Invent > 0 }

// hosts are what stands before a registered domain most often, in anybody's zone.
var hosts = []string{"www", "mail", "api", "cdn", "m", "app", "img", "static", "ns1", "blog", "shop", "mx", "vpn", "login", "update", "news"}

// hashed is the share of added hosts that are random hexadecimal digits, as content networks name theirs.
const hashed = 0.25

// hosted is a name with a host before it. Lists hold bare names of malware more often than of others, and a model trained on
// them learns that www. is benign.
func hosted(rng *rand.Rand, name string) string {
	if strings.HasPrefix(name, "www.") {
		return name
	}
	if rng.Float64() < hashed {
		return fmt.Sprintf("%016x", rng.Uint64())[:4+rng.IntN(13)] + "." + name
	}
	return hosts[rng.IntN(len(hosts))] + "." + name
}
