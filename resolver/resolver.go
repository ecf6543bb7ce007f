// Package resolver looks up DNS names and keeps back those that malware makes: names of domain-generation algorithms
// and names that carry a tunnel. A [detect.Policy] judges every name before anything is sent. To the caller a blocked
// name does not exist: the error is a *net.DNSError whose IsNotFound is true. It unwraps to [Blocked], which says why.
//
// One line guards a whole program, if all of it resolves names with package net:
//
//	net.DefaultResolver = resolver.Net()
//
// # Which names are judged
//
// The name that was asked for, as it would leave: also with a suffix of the search list. A name that ends in such a
// suffix is also judged without it, because a blocked name must not leave with a suffix either. If one name of a search
// is blocked, the search ends there. A name on the allow list passes whatever it ends in. The policy is asked again for
// each look-up, also for one that the cache answers, so that a new policy holds at once.
//
// The targets of CNAME records are not judged: they are the answer of a domain that passed. To judge one, call
// [Resolver.Check].
//
// # What is sent
//
// Queries go to the servers of resolv.conf or of [WithServers] by UDP, TCP or DNS over TLS (RFC 7858), with a payload
// size of 1232 bytes (RFC 6891). An answer must have the query's ID and its question. An answer that UDP truncates is
// fetched by TCP. If a server does not answer, fails or refuses, the next one is asked.
//
// An upstream can block names itself. [UpstreamBlocked] tells such an answer from a name that does not exist.
package resolver

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
)

// Resolver looks up names that its policy lets pass. All its methods are safe for concurrent use.
type Resolver struct {
	live   *detect.Live
	judged atomic.Pointer[judged]
	log    *slog.Logger
	source source
	cache  *cache // nil remembers nothing
	joined joined

	ctx   context.Context // ends with Close
	close context.CancelFunc
}

// judged are the decisions of one policy.
type judged struct {
	policy *detect.Policy
	cache  *detect.Cache
}

// judgedEntries bounds the memory of decisions to some 10 MB.
const judgedEntries = 1 << 14

// New makes a Resolver. Without options it judges by the built-in model, blocks from that model's threshold on, and
// asks the servers of /etc/resolv.conf. The error names an option that is wrong, or a file that cannot be read.
func New(opts ...Option) (*Resolver, error) {
	o := options{resolvConf: systemConf, systemConf: systemConf, cache: defaultCache}
	for _, opt := range opts {
		opt(&o)
	}
	live, err := o.policy()
	if err != nil {
		return nil, fmt.Errorf("new resolver: %w", err)
	}
	r := &Resolver{live: live, log: o.log, source: source{options: o}, cache: newCache(o.cache)}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if err := r.source.load(); err != nil {
		return nil, fmt.Errorf("new resolver: %w", err)
	}
	r.ctx, r.close = context.WithCancel(context.Background())
	return r, nil
}

// policy is the Live that decides.
func (o *options) policy() (*detect.Live, error) {
	if o.live != nil {
		if o.threshold != nil {
			return nil, fmt.Errorf("a policy has a threshold of its own. Try: WithThreshold without WithPolicy and WithLive")
		}
		return o.live, nil
	}
	threshold := 0.0 // the model's own
	if o.threshold != nil {
		threshold = *o.threshold
		if !(threshold > 0 && threshold <= 1) {
			return nil, fmt.Errorf("threshold %v: must be above 0, and at most 1", threshold)
		}
	}
	m, err := model.Builtin()
	if err != nil {
		return nil, err
	}
	classifier, err := model.NewClassifier(m)
	if err != nil {
		return nil, err
	}
	p, err := detect.New(detect.Options{Classifier: classifier, Threshold: threshold, Action: detect.Block})
	if err != nil {
		return nil, err
	}
	live := new(detect.Live)
	live.Swap(p)
	return live, nil
}

// Close ends the look-ups that are under way and closes connections. Later look-ups fail. A Resolver of servers that
// are asked by UDP need not be closed.
func (r *Resolver) Close() error {
	r.close()
	r.source.settings().close()
	return nil
}

// Answer is what a name resolves to.
type Answer struct {
	// Name is the name that was found, with its final dot and in lower case: with the suffix of the search list, if one
	// was needed.
	Name string
	// Records are the answer's: records of the type that was asked for, and the CNAME records that lead to them. TTLs are
	// what is left of them. They are the caller's.
	Records []dns.RR
	// Server is where the answer came from, as "192.0.2.1:53".
	Server string
	// Decision is the policy's about Name. Its Action can be detect.Report.
	Decision detect.Decision
}

// Resolve looks up the records of a name. qtype is such as dns.TypeMX of github.com/miekg/dns. A name without a final
// dot is searched for as resolv.conf(5) says.
//
// Every error is a *net.DNSError. IsNotFound says that there is no such name, or that it has no such records. It
// unwraps to *Blocked if the policy blocks the name, to *UpstreamBlocked if the upstream does, and to ctx's error if
// ctx ended.
func (r *Resolver) Resolve(ctx context.Context, name string, qtype uint16) (*Answer, error) {
	settings := r.source.settings()
	last := notFound(printable.Terminal(name), "", nil) // if the name cannot be sent
	for _, candidate := range settings.list.NameList(name) {
		q, ok := newQuery(candidate, qtype)
		if !ok {
			continue
		}
		answer, err := r.one(ctx, settings, q)
		if err == nil {
			return answer, nil
		}
		if last.IsNotFound { // else a server failed, and nobody knows whether that name exists
			shared := *err
			last = &shared
			last.Name = printable.Terminal(name) // without the suffix
		}
		if blocked(err) {
			break
		}
	}
	return nil, last
}

// one resolves one name.
func (r *Resolver) one(ctx context.Context, settings *settings, q query) (*Answer, *net.DNSError) {
	d, err := r.judge(ctx, settings, q)
	if err != nil {
		return nil, err
	}
	e, err := r.lookup(ctx, settings, q)
	if err != nil {
		return nil, err
	}
	return e.answer(q, d)
}

// lookup asks the cache and then the servers. It does not judge. Any number of callers may share the entry.
func (r *Resolver) lookup(ctx context.Context, settings *settings, q query) (*entry, *net.DNSError) {
	if err := ctx.Err(); err != nil {
		return nil, failed(q.name, "", err)
	}
	if err := r.ctx.Err(); err != nil { // nor does the cache answer any more
		return nil, failed(q.name, "", fmt.Errorf("the resolver is closed: %w", err))
	}
	if e := r.cache.get(q.key()); e != nil {
		return e, nil
	}
	return r.joined.do(ctx, r.ctx, q.key(), func(ctx context.Context) (*entry, *net.DNSError) {
		e, err := settings.ask(ctx, q)
		if err == nil {
			r.cache.put(q.key(), e)
		}
		return e, err
	})
}

// Check is the error with which Resolve would refuse a name, nil if it would look the name up. Nothing is sent.
func (r *Resolver) Check(name string) error {
	q, ok := newQuery(dns.Fqdn(name), dns.TypeA)
	if !ok {
		return nil // such a name cannot be sent
	}
	if _, err := r.judge(context.Background(), r.source.settings(), q); err != nil {
		err.Name = printable.Terminal(name)
		return err
	}
	return nil
}

// judge decides about a name, and about what stands before a suffix of the search list. The error is a *net.DNSError
// that unwraps to *Blocked.
func (r *Resolver) judge(ctx context.Context, settings *settings, q query) (detect.Decision, *net.DNSError) {
	policy := r.live.Policy()
	j := r.judged.Load()
	if j == nil || j.policy != policy {
		j = &judged{policy, detect.NewCache(policy, judgedEntries)}
		r.judged.Store(j)
	}
	d := j.decide(q.text, settings.suffixes, maxSuffixes)
	if d.Action == detect.Pass {
		return d, nil
	}
	r.log.LogAttrs(ctx, slog.LevelInfo, "name judged", slog.String("action", d.Action.String()),
		slog.String("name", q.name), slog.String("type", dns.Type(q.qtype).String()), slog.String("class", d.Class),
		slog.Float64("score", d.Score), slog.String("rule", d.Rule.String()), slog.String("entry", d.Entry))
	if d.Action != detect.Block {
		return d, nil
	}
	return d, notFound(q.name, "", &Blocked{Name: strings.TrimSuffix(q.name, "."), Score: d.Score, Class: d.Class,
		Model: modelOf(policy, d), Rule: d.Rule.String(), Entry: d.Entry})
}

// maxSuffixes is how many suffixes are taken off a name: one of the caller's and one of the search.
const maxSuffixes = 2

// decide decides about a name with and without each of at most so many suffixes.
func (j *judged) decide(name string, suffixes []string, most int) detect.Decision {
	d := j.cache.Decide([]byte(name))
	if d.Verdict == detect.Allowed || d.Action == detect.Block || most == 0 {
		return d
	}
	for _, suffix := range suffixes {
		if rest, ok := strings.CutSuffix(name, suffix); ok && rest != "" {
			if before := j.decide(rest, suffixes, most-1); before.Action == detect.Block {
				return before
			}
		}
	}
	return d
}

// modelOf is the name of the model that decided, "" if a list did.
func modelOf(p *detect.Policy, d detect.Decision) string {
	if d.Rule != detect.Score {
		return ""
	}
	return p.Model()
}

// query is a name as it is sent, and as it is judged.
type query struct {
	name  string // as RFC 1035's master files have it: in lower case, with a final dot, and escaped
	text  string // without the final dot, as detect.AppendAsked gives it
	qtype uint16
}

// newQuery reads a name in the form of master files. It goes through the wire format, so that an escape does not hide
// from the policy what a server would see. ok is false if the name cannot be sent.
func newQuery(name string, qtype uint16) (q query, ok bool) {
	var space [256]byte
	end, err := dns.PackDomainName(name, space[:], 0, nil, false)
	if err != nil {
		return q, false
	}
	packed := space[:end]
	text := make([]byte, 0, 2*end) // as events have it
	for at := 0; packed[at] != 0; at += 1 + int(packed[at]) {
		label := packed[at+1 : at+1+int(packed[at])]
		for i, c := range label {
			if 'A' <= c && c <= 'Z' {
				label[i] += 'a' - 'A'
			}
			if label[i] == '.' || label[i] == '\\' {
				text = append(text, '\\')
			}
			text = append(text, label[i])
		}
		text = append(text, '.')
	}
	presented, _, err := dns.UnpackDomainName(packed, 0)
	if err != nil {
		return q, false
	}
	text = detect.AppendAsked(nil, bytes.TrimSuffix(text, []byte{'.'}))
	return query{name: presented, text: string(text), qtype: qtype}, true
}

// key is what answers are remembered by.
func (q query) key() key { return key{q.name, q.qtype} }

// message is a new query with a random ID.
func (q query) message() *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.qtype)
	m.SetEdns0(payload, false)
	return m
}
