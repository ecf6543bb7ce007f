package search

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/tally"
)

// Bounds of questions.
const (
	maxHits    = 10_000 // that a cluster gives at once
	countsPage = 5_000
	listsPage  = 100
	longestAsk = 4 * time.Second // wait between two attempts: an index that has just been made cannot be searched yet
)

// object is JSON for the cluster's query language. Values are encoded, never pasted.
type object map[string]any

func term(field string, value any) object { return object{"term": object{field: value}} }
func terms(field string, values []string) object {
	return object{"terms": object{field: values}}
}

// between asks for times from from on and before to.
func between(from, to time.Time) object {
	return object{"range": object{"@timestamp": object{"gte": from.UTC().Format(timeLayout),
		"lt": to.UTC().Format(timeLayout)}}}
}

// clip keeps a range within times that the cluster can read. ok is false if it is empty.
func clip(r store.Range) (_ store.Range, ok bool) {
	r.From = later(r.From, time.Unix(0, 0))
	if most := time.Now().Add(24 * time.Hour); r.To.After(most) {
		r.To = most
	}
	return r, r.From.Before(r.To)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// ask makes a search.
func (s *Store) ask(ctx context.Context, indices string, body object, out any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	path := "/" + indices + "/_search?ignore_unavailable=true&allow_no_indices=true"
	for wait := 100 * time.Millisecond; ; wait *= 2 {
		err := s.client.do(ctx, http.MethodPost, path, raw, out)
		if err == nil {
			return nil
		}
		refusal := (*answerError)(nil)
		busy := errors.As(err, &refusal) &&
			(refusal.status == http.StatusServiceUnavailable || refusal.status == http.StatusTooManyRequests)
		if !busy || wait > longestAsk {
			return fmt.Errorf("ask the search cluster: %w", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ready is where the events are, or the error of a cluster that has not answered yet.
func (s *Store) ready() (*target, error) {
	if t := s.target.Load(); t != nil {
		return t, nil
	}
	s.problem.Lock()
	defer s.problem.Unlock()
	if s.problem.send != nil {
		return nil, fmt.Errorf("ask the search cluster: %w", s.problem.send)
	}
	return nil, fmt.Errorf("the search cluster %s has not answered yet. Try: again in a moment", s.client.base.Host)
}

// over brings parts up to date, and gives what they know.
func (s *Store) over(spans []tally.Span, kind store.Kind, which int) overlay {
	s.counting.Lock()
	defer s.counting.Unlock()
	s.takeNews(time.Now(), true, false)
	return s.parts.over(spans, kind, which)
}

// Counts implements store.Store.
func (s *Store) Counts(ctx context.Context, r store.Range, step store.Step, f store.Filter) ([]store.Count, error) {
	if _, ok := (tally.CountKey{}).Fits(f); !ok {
		return nil, fmt.Errorf("%w. Try: the verdict, or flagged events", store.ErrFilter)
	}
	step = min(step, store.Day)
	r, ok := clip(r)
	if err := ctx.Err(); err != nil || !ok {
		return nil, err
	}
	if _, err := s.ready(); err != nil {
		return nil, err
	}
	span := tally.Slots(r, step)
	over := s.over([]tally.Span{span}, 0, 0)
	sums, err := s.storedCounts(ctx, span, over.ids, f)
	if err != nil {
		return nil, err
	}
	for k, sum := range over.counts {
		if fits, _ := k.Fits(f); fits {
			old := sums[k]
			sums[k] = tally.Sum{N: old.N + sum.N, Score: old.Score + sum.Score}
		}
	}
	return sums.List(), nil
}

// countsAnswer is a page of counts.
type countsAnswer struct {
	Aggregations struct {
		Counts struct {
			After   json.RawMessage `json:"after_key"`
			Buckets []struct {
				Key struct {
					Slot                         int64
					Verdict, Action, Type, RCode string
				}
				N     struct{ Value float64 }
				Score struct{ Value float64 }
			}
		}
	}
}

// storedCounts adds the cluster's documents up, without those of some parts.
func (s *Store) storedCounts(ctx context.Context, span tally.Span, without []string, f store.Filter) (tally.Counts,
	error) {
	filter := []object{between(span.From, span.To), term("degas.doc", "count")}
	filter = append(filter, verdicts(f)...)
	composite := object{"size": countsPage, "sources": []object{
		{"slot": object{"date_histogram": object{"field": "@timestamp",
			"fixed_interval": fmt.Sprintf("%ds", int(span.Step.Duration().Seconds()))}}},
		source("verdict", "degas.verdict"), source("action", "degas.action"), source("type", "dns.question.type"),
		source("rcode", "dns.response_code"),
	}}
	body := object{
		"size": 0, "track_total_hits": false,
		"query": object{"bool": object{"filter": filter, "must_not": terms("degas.part", orNone(without))}},
		"aggs": object{"counts": object{"composite": composite, "aggs": object{
			"n": object{"sum": object{"field": "degas.count"}}, "score": object{"sum": object{"field": "degas.score_sum"}},
		}}},
	}
	out := tally.Counts{}
	for {
		var answer countsAnswer
		if err := s.ask(ctx, countsPrefix+steps[span.Step].name+"-*", body, &answer); err != nil {
			return nil, err
		}
		page := answer.Aggregations.Counts
		for _, b := range page.Buckets {
			k := tally.CountKey{Slot: b.Key.Slot / 1000, Verdict: uint8(named(b.Key.Verdict, detect.Invalid)),
				Action: uint8(named(b.Key.Action, detect.Block)), RCode: events.ParseRCode(b.Key.RCode)}
			k.Type, _ = events.ParseType(b.Key.Type)
			out[k] = tally.Sum{N: out[k].N + int64(b.N.Value), Score: out[k].Score + b.Score.Value}
		}
		if len(page.Buckets) < countsPage || page.After == nil {
			return out, nil
		}
		composite["after"] = page.After
	}
}

func source(name, field string) object {
	return object{name: object{"terms": object{"field": field, "missing_bucket": true}}}
}

// orNone is the list, which is never null in JSON.
func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// verdicts are the conditions of a filter on verdicts.
func verdicts(f store.Filter) (out []object) {
	if f.Verdict != nil {
		out = append(out, term("degas.verdict", f.Verdict.String()))
	}
	if f.Flagged {
		out = append(out, terms("degas.verdict", []string{detect.Malicious.String(), detect.Blocked.String()}))
	}
	return out
}

// Top implements store.Store.
func (s *Store) Top(ctx context.Context, r store.Range, kind store.Kind, n int, f store.Filter) ([]store.Top, error) {
	if f.Verdict != nil || f.Name != "" || f.Domain != "" || f.Client != "" {
		return nil, fmt.Errorf("%w. Try: flagged events, or all", store.ErrFilter)
	}
	which := tally.All
	if f.Flagged {
		which = tally.Flagged
	}
	kind = min(kind, store.Clients)
	var lists []tally.List
	over, err := s.eachPart(ctx, r, kind, which, func(p *tally.Part) { lists = append(lists, p.Top[kind][which]) })
	if err != nil {
		return nil, err
	}
	out := tally.Merge(append(lists, over.lists...)...)
	return out.Keys[:max(min(n, len(out.Keys)), 0)], nil
}

// Distinct implements store.Store.
func (s *Store) Distinct(ctx context.Context, r store.Range, kind store.Kind) (int64, error) {
	kind = min(kind, store.Clients)
	var all tally.Part
	over, err := s.eachPart(ctx, r, kind, tally.All, func(p *tally.Part) {
		all.Sketch[kind] = tally.MergeSketches(all.Sketch[kind], p.Sketch[kind])
	})
	if err != nil {
		return 0, err
	}
	if sketch := tally.MergeSketches(all.Sketch[kind], over.sketch); sketch != nil {
		return int64(sketch.Estimate()), nil
	}
	return 0, nil
}

// listsAnswer is a page of parts.
type listsAnswer struct {
	Hits struct {
		Hits []struct {
			Source listsDocument   `json:"_source"`
			Sort   json.RawMessage `json:"sort"`
		}
	}
}

// eachPart gives f the lists and sketches of all parts that the cluster has of a range, and returns what memory has.
func (s *Store) eachPart(ctx context.Context, r store.Range, kind store.Kind, which int, f func(*tally.Part)) (
	over overlay, err error) {
	r, ok := clip(r)
	if err := ctx.Err(); err != nil || !ok {
		return over, err
	}
	if _, err := s.ready(); err != nil {
		return over, err
	}
	now := time.Now()
	// A day less than they are kept: the index of the first day goes while some of its slots are asked for.
	spans := tally.Cover(r, now.Add(24*time.Hour-steps[store.Minute].kept), now.Add(24*time.Hour-steps[store.Hour].kept))
	over = s.over(spans, kind, which)
	for _, span := range spans {
		if err := s.storedParts(ctx, span, over.ids, f); err != nil {
			return over, err
		}
	}
	return over, nil
}

// storedParts gives f the parts of a span that the cluster has, without some.
func (s *Store) storedParts(ctx context.Context, span tally.Span, without []string, f func(*tally.Part)) error {
	body := object{
		"size": listsPage, "track_total_hits": false, "_source": []string{"degas.lists"}, "sort": []string{"degas.part"},
		"query": object{"bool": object{
			"filter":   []object{between(span.From, span.To), term("degas.doc", "lists")},
			"must_not": terms("degas.part", orNone(without)),
		}},
	}
	for {
		var answer listsAnswer
		if err := s.ask(ctx, countsPrefix+steps[span.Step].name+"-*", body, &answer); err != nil {
			return err
		}
		hits := answer.Hits.Hits
		for _, hit := range hits {
			raw, err := base64.StdEncoding.DecodeString(hit.Source.Degas.Lists)
			var p tally.Part
			if err == nil {
				err = p.UnmarshalBinary(raw)
			}
			if err != nil {
				return fmt.Errorf("read a top list of the search cluster: %w", err)
			}
			f(&p)
		}
		if len(hits) < listsPage {
			return nil
		}
		body["search_after"] = hits[len(hits)-1].Sort
	}
}

// eventsAnswer is a page of events.
type eventsAnswer struct {
	Hits struct {
		Hits []struct {
			Source document `json:"_source"`
			Sort   [2]int64 // milliseconds, sequence
		}
	}
}

// Events implements store.Store. It gives at most 9,999 events at once.
func (s *Store) Events(ctx context.Context, r store.Range, f store.Filter, cursor store.Cursor, n int) (store.Page,
	error) {
	var page store.Page
	after, err := parseCursor(cursor)
	if err != nil {
		return page, err
	}
	r, ok := clip(r)
	if err := ctx.Err(); err != nil || !ok || n <= 0 {
		return page, err
	}
	t, err := s.ready()
	if err != nil {
		return page, err
	}
	filter := append([]object{between(r.From, r.To)}, verdicts(f)...)
	for field, value := range map[string]string{"dns.question.name": f.Name, "dns.question.registered_domain": f.Domain,
		"client.address": f.Client} {
		if value != "" {
			filter = append(filter, term(field, value))
		}
	}
	n = min(n, maxHits-1)
	body := object{"size": n + 1, "track_total_hits": false, "query": object{"bool": object{"filter": filter}},
		"sort": []object{{"@timestamp": "desc"}, {"event.sequence": "desc"}}}
	if after != nil {
		body["search_after"] = after
	}
	var answer eventsAnswer
	if err := s.ask(ctx, t.read(), body, &answer); err != nil {
		return page, err
	}
	hits := answer.Hits.Hits
	if len(hits) > n {
		hits = hits[:n]
		page.Next = store.Cursor(fmt.Sprintf("%d.%d", hits[n-1].Sort[0], hits[n-1].Sort[1]))
	}
	for i := range hits {
		e, err := hits[i].Source.event()
		if err != nil {
			return store.Page{}, fmt.Errorf("read an event of the search cluster: %w", err)
		}
		page.Events = append(page.Events, e)
	}
	return page, nil
}

// parseCursor reads the time and the sequence of the last event of a page; nil for the first page.
func parseCursor(cursor store.Cursor) ([]int64, error) {
	if cursor == "" {
		return nil, nil
	}
	at, sequence, _ := strings.Cut(string(cursor), ".")
	first, err1 := strconv.ParseUint(at, 10, 62)
	second, err2 := strconv.ParseUint(sequence, 10, 62)
	if err1 != nil || err2 != nil {
		return nil, fmt.Errorf("%w: %.40q. Try: Page.Next", store.ErrCursor, string(cursor))
	}
	return []int64{int64(first), int64(second)}, nil
}
