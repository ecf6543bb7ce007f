package degas

import (
	"context"
	"strconv"
	"sync"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/miekg/dns"

	"github.com/degas-dns/degas/detect"
)

// publish makes what is decided about a query known to other plugins. The decision is made when the first of them asks,
// and then remembered for the query's turn.
func (d *Degas) publish(ctx context.Context, r *dns.Msg) {
	if len(r.Question) != 1 {
		return
	}
	decision := sync.OnceValue(func() detect.Decision {
		d := d.policy.Load()
		return d.cache.Decide(detect.AppendAsked(nil, appendName(nil, r.Question[0].Name)))
	})
	for label, value := range map[string]func() string{
		"score": func() string {
			if d := decision(); d.Rule == detect.Score {
				return strconv.FormatFloat(d.Score, 'f', 6, 64)
			}
			return ""
		},
		"class":   func() string { return decision().Class },
		"verdict": func() string { return decision().Verdict.String() },
		"reason":  func() string { return decision().Reason },
		"model":   func() string { return d.called },
	} {
		metadata.SetValueFunc(ctx, name+"/"+label, value)
	}
}
