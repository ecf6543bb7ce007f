package degas

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/miekg/dns"

	"github.com/degas-dns/degas/detect"
)

// published is a decision that other plugins may ask for. ServeDNS fills it in.
type published struct{ decision *detect.Decision }

// publishedKey is published's in a context.
type publishedKey struct{ engine *engine }

// publish makes what is decided about a query known to other plugins. Those that ask before ServeDNS has decided, such
// as a view, have it decided then.
func (d *Degas) publish(ctx context.Context, r *dns.Msg) context.Context {
	if len(r.Question) != 1 {
		return ctx
	}
	p := &published{}
	early := sync.OnceValue(func() detect.Decision {
		q := &query{time: time.Now(), qtype: r.Question[0].Qtype}
		q.asked = detect.AppendAsked(nil, appendName(nil, r.Question[0].Name))
		decision, err := d.refine(ctx, q, d.policy.Load().cache.Decide(q.asked))
		if err != nil {
			return detect.Decision{Class: detect.Unscored.String(), Reason: "the model did not answer"}
		}
		return decision
	})
	decision := func() detect.Decision {
		if p.decision != nil {
			return *p.decision
		}
		return early()
	}
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
		"model":   d.called,
	} {
		metadata.SetValueFunc(ctx, name+"/"+label, value)
	}
	return context.WithValue(ctx, publishedKey{d.engine}, p)
}
