package trainer

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model"
)

// trainingName is name p of a portion as an epoch sees it: the name itself or an invented one in its place, either
// with or without a host before it. A name of the focus is never replaced. What is drawn depends on the seed, the
// epoch, the portion and p alone.
func (f *fit) trainingName(epoch int, set Portion, p uint32) string {
	o := &f.options
	name := set.Name(int(p))
	if !o.changesNames() {
		return name
	}
	rng := rand.New(rand.NewPCG(model.SubSeed(o.Seed, "augment"), uint64(epoch)<<32+uint64(set.from)+uint64(p)))
	if o.Invent > 0 && !set.kind(p).focused && set.kind(p).class != datasets.Benign && rng.Float64() < o.Invent {
		by := inventions
		if f.blendFrom != nil {
			by = unlike
		}
		name = set.invented(rng, p, by)
	}
	if o.Augment > 0 && rng.Float64() < o.Augment {
		name = hosted(rng, name)
	}
	return name
}

// changesNames reports whether an epoch sees other names than the last.
func (o *Options) changesNames() bool { return o.Augment > 0 || o.Invent > 0 }

// hosts are what stands before a registered domain most often, in anybody's zone.
var hosts = strings.Fields("www mail api cdn m app img static ns1 blog shop mx vpn login update news")

// hashed is the share of added hosts that are random hexadecimal digits, as content networks name theirs.
const hashed = 0.25

// hosted is a name with a host before it. Lists hold bare names of malware more often than of others. A model that is
// trained on them learns that www. means benign.
func hosted(rng *rand.Rand, name string) string {
	if strings.HasPrefix(name, "www.") {
		return name
	}
	if rng.Float64() < hashed {
		return fmt.Sprintf("%016x", rng.Uint64())[:4+rng.IntN(13)] + "." + name
	}
	return hosts[rng.IntN(len(hosts))] + "." + name
}
